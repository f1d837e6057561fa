// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import Foundation
import Testing

/// A change of a good spec, and the sentence that it earns.
struct SpecCase: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let change: @Sendable (inout FunctionSpec) -> Void

    init(_ sentence: String, _ change: @escaping @Sendable (inout FunctionSpec) -> Void) {
        testDescription = sentence
        self.change = change
    }
}

@Suite("Function spec")
struct FunctionSpecTests {
    private static func spec(_ change: (inout FunctionSpec) -> Void = { _ in }) throws -> FunctionSpec {
        var spec = FunctionSpec(id: try FunctionID(name: "f"), contract: .fork(command: ["cat"]))
        change(&spec)
        return spec
    }

    static let badCases: [SpecCase] = [
        SpecCase("A memory limit of 1 bytes is too small; give at least 4Mi, for example --memory 128Mi.") { $0.limits.memoryBytes = 1 },
        SpecCase("A memory limit of 4194303 bytes is too small") { $0.limits.memoryBytes = (4 << 20) - 1 },
        SpecCase("The CPU limit must be at least 1m, for example --cpu 500m.") { $0.limits.millicores = 0 },
        SpecCase("Requested resources must not be negative.") { $0.requests.millicores = -1 },
        SpecCase("Requested resources must not be negative.") { $0.requests.memoryBytes = -1 },
        SpecCase("The timeout must be between 1ms and 24h, for example --timeout 60s.") { $0.timeout = .microseconds(999) },
        SpecCase("The timeout must be between 1ms and 24h") { $0.timeout = .seconds(86_401) },
        SpecCase("The timeout must be between 1ms and 24h") { $0.timeout = .seconds(-1) },
        SpecCase("The concurrency must be between 1 and 1000 calls per replica.") { $0.concurrency = 0 },
        SpecCase("The concurrency must be between 1 and 1000 calls per replica.") { $0.concurrency = 1_001 },
        SpecCase("The lambda contract takes one call at a time; leave the concurrency at 1 and raise --max instead.") {
            $0.contract = .lambda(executable: "bootstrap")
            $0.concurrency = 2
        },
        SpecCase("Replicas must satisfy 0 <= min <= max <= 1000 and max >= 1; got min -1, max 8.") { $0.scale.min = -1 },
        SpecCase("got min 9, max 8.") { $0.scale.min = 9 },
        SpecCase("got min 0, max 0.") { $0.scale.max = 0 },
        SpecCase("got min 0, max 1001.") { $0.scale.max = 1_001 },
        SpecCase("The keep-alive must not be negative.") { $0.scale.keepAlive = .seconds(-1) },
        SpecCase("The environment variable name '' is not valid; it must not be empty or hold '='.") { $0.environment[""] = "x" },
        SpecCase("The environment variable name 'A=B' is not valid") { $0.environment["A=B"] = "x" },
        SpecCase("is not valid; it must not be empty or hold '='.") { $0.environment["A\u{0}"] = "x" },
        SpecCase("The value of the environment variable 'A' holds a NUL byte.") { $0.environment["A"] = "x\u{0}" },
        SpecCase("The secret name '../x' is not valid") { $0.secrets = ["ok", "../x"] },
        SpecCase("The fork contract needs a command, for example --command 'cat'.") { $0.contract = .fork(command: []) },
        SpecCase("The fork contract needs a command") { $0.contract = .fork(command: ["", "x"]) },
        SpecCase("The http contract needs the server's command, for example --http './server'.") {
            $0.contract = .http(command: [], port: 80)
        },
        SpecCase("The port must be between 1 and 65535.") { $0.contract = .http(command: ["x"], port: 0) },
        SpecCase("The port must be between 1 and 65535.") { $0.contract = .http(command: ["x"], port: 65_536) },
        SpecCase("The handler file must be a path inside the package.") { $0.contract = .handler(language: .python, file: "") },
        SpecCase("The handler file must be a path inside the package.") { $0.contract = .handler(language: .node, file: "/etc/passwd") },
        SpecCase("The handler file must be a path inside the package.") { $0.contract = .handler(language: .node, file: "a/../../b") },
        SpecCase("The lambda executable must be a path inside the package.") { $0.contract = .lambda(executable: "") },
        SpecCase("The lambda executable must be a path inside the package.") { $0.contract = .lambda(executable: "../x") },
    ]

    @Test("Each bound has its sentence", arguments: badCases)
    func refused(bad: SpecCase) throws {
        let spec = try Self.spec(bad.change)
        let error = #expect(throws: BrumeError.self) { try spec.validate() }
        #expect(error?.code == .invalid)
        #expect(error?.message.contains(bad.testDescription) == true, "\(error?.message ?? "")")
    }

    static let goodCases: [SpecCase] = [
        SpecCase("the defaults") { _ in },
        SpecCase("the least memory") { $0.limits.memoryBytes = 4 << 20 },
        SpecCase("the least CPU") { $0.limits.millicores = 1 },
        SpecCase("the shortest timeout") { $0.timeout = .milliseconds(1) },
        SpecCase("the longest timeout") { $0.timeout = .seconds(86_400) },
        SpecCase("the most replicas and calls") {
            $0.concurrency = 1_000
            $0.scale = Scale(min: 1_000, max: 1_000, keepAlive: .zero)
        },
        SpecCase("an image's own server") {
            $0.package = .image(reference: "docker.io/library/nginx")
            $0.contract = .http(command: [], port: 65_535)
        },
        SpecCase("a handler in a folder") { $0.contract = .handler(language: .python, file: "src/handler.py") },
        SpecCase("a lambda") { $0.contract = .lambda(executable: "bootstrap") },
        SpecCase("an empty value") { $0.environment["A"] = "" },
    ]

    @Test("What is inside the bounds is accepted", arguments: goodCases)
    func accepted(good: SpecCase) throws {
        try Self.spec(good.change).validate()
    }

    @Test("Without requests, a replica reserves its memory and a twentieth of a core at most")
    func requests() throws {
        let large = try Self.spec().requests
        #expect(large == Resources(millicores: 50, memoryBytes: FunctionSpec.defaultLimits.memoryBytes))
        let small = FunctionSpec(
            id: try FunctionID(name: "f"), contract: .fork(command: ["cat"]), limits: Resources(millicores: 20, memoryBytes: 5 << 20))
        #expect(small.requests == small.limits)
    }

    @Test("A spec survives JSON, which is how it is stored and sent")
    func coding() throws {
        let spec = try Self.spec {
            $0.contract = .handler(language: .node, file: "h.js")
            $0.package = .bundle(digest: "abc")
            $0.timeout = .nanoseconds(1_500_000_001)
            $0.environment = ["a": "ü\n"]
        }
        #expect(try JSONDecoder().decode(FunctionSpec.self, from: try JSONEncoder().encode(spec)) == spec)
    }

    @Test("Only a lambda takes one call at a time by its contract")
    func contracts() {
        let contracts: [(Contract, String, Bool)] = [
            (.fork(command: []), "fork", true), (.http(command: [], port: 1), "http", true),
            (.handler(language: .python, file: ""), "handler", true),
            (.lambda(executable: ""), "lambda", false),
        ]
        for (contract, word, allows) in contracts {
            #expect(contract.word == word)
            #expect(contract.allowsConcurrency == allows)
        }
    }
}
