// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeSimulator
import Testing

/// The simulated driver keeps what the real ones keep, so that what is tested on it holds for them.
@Suite("Virtual sandboxes conform")
struct VirtualConformanceTests {
    typealias Suite = SandboxConformance<VirtualSandbox<Int>>

    @Test("The simulated driver keeps the contract", .timeLimit(.minutes(1)), arguments: [true, false])
    func conformance(immediate: Bool) async throws {
        let recorder = EventRecorder()
        let driver = VirtualSandbox<Int>(
            immediate: immediate,
            behaviour: { spec in
                let fails = spec.id.name == "fails"
                let start: VirtualBehaviour<Int>.Start =
                    fails ? .fails("There is no such program.", after: .zero) : .comesUp(after: .milliseconds(5))
                return VirtualBehaviour(start: start) { request in
                    switch request.body {
                    case .whole(1):
                        .crashes(ReplicaExit(.exited(code: 3), "The program ended with code 3."), .exited, after: .milliseconds(1))
                    case .whole(2): .hangs
                    default: .replies(CallResponse(status: 200, body: request.body), after: .milliseconds(1))
                    }
                }
            }, events: { recorder.record($0) })
        let suite = Suite(
            driver: driver, recorder: recorder,
            spec: { FunctionSpec(id: try FunctionID(name: $0 == .failsToStart ? "fails" : "probe"), contract: .fork(command: ["probe"])) },
            payload: { $0 == .crashes ? 1 : $0 == .hangs ? 2 : 0 }, pump: { driver.advance(by: .seconds(1)) })
        try await suite.run()
    }
}
