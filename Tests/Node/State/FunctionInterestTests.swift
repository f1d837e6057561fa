// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeState
import Testing

@testable import BrumeNode

/// What functions say and do about who keeps their state.
struct FunctionInterestTests {
    private func function(_ name: String, _ annotations: [String: String] = [:]) throws -> FunctionSpec {
        var spec = FunctionSpec(id: try FunctionID(name: name), contract: .fork(command: ["cat"]))
        spec.annotations = annotations
        return spec
    }

    private func kept(_ state: StateService, _ name: String) -> KeptNamespace {
        state.withReplica { replica, _ in replica.keeping(name) }
    }

    @Test("a function holds its namespace from its deployment to its removal, and another one from the deployment that names it")
    func holds() async throws {
        try await withPlace { place in
            let state = try await Keeping.open(place)
            let observer = FunctionInterest(state).observer
            observer.installed(try function("one"), true)
            observer.installed(try function("one"), true)
            #expect(kept(state, "openfaas-fn/one").users == 1, "deployed twice it holds once")
            observer.installed(try function("two", [FunctionState.namespaceAnnotation: "shared"]), false)
            observer.installed(try function("one", [FunctionState.namespaceAnnotation: "shared"]), true)
            #expect(kept(state, "openfaas-fn/one").users == 0)
            #expect(kept(state, "shared").users == 2)
            observer.removed(try FunctionID(name: "one"))
            observer.removed(try FunctionID(name: "one"))
            observer.removed(try FunctionID(name: "never"))
            #expect(kept(state, "shared").users == 1)
            await state.stop()
        }
    }

    @Test("an annotation is said when the function is deployed, and not when a node starts with it")
    func says() async throws {
        try await withPlace { place in
            let state = try await Keeping.open(place)
            let observer = FunctionInterest(state).observer
            let spec = try function("one", [InterestPolicy.annotation: "2"])
            observer.installed(spec, true)
            #expect(kept(state, "openfaas-fn/one").policy == .copies(2))
            try state.withReplica { replica, now throws(StateError) in try replica.keep("openfaas-fn/one", .edge, now) }
            observer.installed(spec, false)
            #expect(kept(state, "openfaas-fn/one").policy == .edge)
            observer.installed(spec, true)
            #expect(kept(state, "openfaas-fn/one").policy == .copies(2))
            observer.installed(try function("one"), true)
            #expect(kept(state, "openfaas-fn/one").policy == .copies(2), "who says nothing takes nothing back")
            observer.installed(try function("one", [InterestPolicy.annotation: "default"]), true)
            #expect(kept(state, "openfaas-fn/one").isDefault)
            await state.stop()
        }
    }

    @Test("annotations that make no sense are refused before anything is stored")
    func refuses() throws {
        for (annotation, value) in [
            (InterestPolicy.annotation, "moon"), (InterestPolicy.annotation, "0"), (FunctionState.namespaceAnnotation, ""),
            (FunctionState.namespaceAnnotation, "two words"), (FunctionState.namespaceAnnotation, ".brume.keep"),
        ] {
            let spec = try function("one", [annotation: value])
            let error = #expect(throws: BrumeError.self) { try FunctionState.check(spec) }
            #expect(error?.code == .invalid && error?.message.contains(annotation) == true)
        }
        try FunctionState.check(try function("one", [InterestPolicy.annotation: "cloud"]))
    }
}
