// SPDX-License-Identifier: Apache-2.0

/// What one target may import: the drawing in ARCHITECTURE.md as a table.
struct Layer: Sendable {
    let target: String
    /// The folder of its sources; a target whose folder holds no Swift file is not listed.
    let folder: String
    /// The project's own modules it may import.
    let own: Set<String>
    /// The outside families it may import, by the keys of ``Layer/families``.
    let outside: Set<String>

    /// Modules that are replaced together, by the name of their family.
    static let families: [String: Set<String>] = [
        "foundation": ["Foundation", "FoundationEssentials", "FoundationNetworking", "Dispatch"],
        "system": ["Glibc", "Musl", "Darwin", "Synchronization", "SystemPackage", "CSystem"],
        "synchronization": ["Synchronization"],
        "collections": ["Collections", "DequeModule", "HeapModule", "OrderedCollections", "HashTreeCollections", "BitCollections"],
        "nio": [
            "NIO", "NIOCore", "NIOPosix", "NIOHTTP1", "NIOEmbedded", "NIOConcurrencyHelpers", "NIOFoundationCompat", "NIOTLS",
            "NIOSSL", "NIOHTTP2", "NIOHPACK", "_NIOFileSystem",
        ],
        "nio-core": ["NIOCore"],
        "telemetry": ["Logging", "Metrics", "CoreMetrics", "Tracing", "Instrumentation"],
        "lifecycle": ["ServiceLifecycle", "UnixSignals"],
        "hummingbird": ["Hummingbird", "HummingbirdCore", "HummingbirdTesting", "HTTPTypes"],
        "grdb": ["GRDB"],
        "crypto": ["Crypto"],
        "certificates": ["X509", "SwiftASN1"],
        "grpc": ["GRPCCore", "GRPCNIOTransportCore", "GRPCNIOTransportHTTP2Posix"],
        "subprocess": ["Subprocess"],
        "histogram": ["Histogram"],
        "http-client": ["AsyncHTTPClient"],
        "yaml": ["Yams"],
        "arguments": ["ArgumentParser"],
    ]

    /// From the bottom up.
    static let all: [Layer] = [
        Layer(target: "BrumeModel", folder: "Sources/Core/Model", own: [], outside: []),
        Layer(target: "BrumeBroker", folder: "Sources/Core/Broker", own: ["BrumeModel"], outside: ["collections"]),
        Layer(target: "BrumeHarvest", folder: "Sources/Core/Harvest", own: ["BrumeModel"], outside: ["collections"]),
        Layer(target: "BrumeCRDT", folder: "Sources/Core/CRDT", own: [], outside: ["collections"]),
        Layer(target: "BrumeState", folder: "Sources/Core/State", own: ["BrumeModel", "BrumeCRDT"], outside: ["collections"]),
        Layer(target: "BrumeMembership", folder: "Sources/Core/Membership", own: ["BrumeModel"], outside: ["collections"]),
        Layer(
            target: "BrumeEngine", folder: "Sources/Core/Engine", own: ["BrumeModel", "BrumeBroker", "BrumeHarvest"],
            outside: ["collections"]),
        Layer(target: "BrumeWorkload", folder: "Sources/Lab/Workload", own: ["BrumeModel"], outside: ["collections"]),
        Layer(
            target: "BrumeSimulator", folder: "Sources/Lab/Simulator",
            own: ["BrumeModel", "BrumeBroker", "BrumeHarvest", "BrumeEngine", "BrumeWorkload"],
            outside: ["collections", "synchronization"]),
        Layer(target: "BrumeReport", folder: "Sources/Lab/Report", own: ["BrumeModel", "BrumeWorkload"], outside: []),
        Layer(
            target: "BrumeTestbeds", folder: "Sources/Lab/Testbeds",
            own: ["BrumeModel", "BrumeHarvest", "BrumeEngine", "BrumeWorkload", "BrumeSimulator"], outside: []),
        Layer(
            target: "BrumeLoad", folder: "Sources/Lab/LoadGenerator", own: ["BrumeModel", "BrumeWorkload"],
            outside: ["nio", "histogram", "system", "foundation"]),
        Layer(
            target: "BrumeSandbox", folder: "Sources/Adapters/Sandbox", own: ["BrumeModel", "CBrumeLinux"],
            outside: ["nio", "system", "subprocess", "telemetry", "foundation"]),
        Layer(
            target: "BrumeStore", folder: "Sources/Adapters/Store", own: ["BrumeModel"],
            outside: ["grdb", "crypto", "nio-core", "system", "telemetry", "foundation"]),
        Layer(
            target: "BrumeGateway", folder: "Sources/Adapters/Gateway", own: ["BrumeModel", "BrumeCRDT", "BrumeState"],
            outside: ["hummingbird", "crypto", "nio", "lifecycle", "system", "telemetry", "foundation"]),
        Layer(
            target: "BrumeRedis", folder: "Sources/Adapters/Redis", own: ["BrumeModel", "BrumeCRDT", "BrumeState", "CBrumeLinux"],
            outside: ["lifecycle", "system", "telemetry", "crypto", "collections", "foundation"]),
        Layer(
            target: "BrumeLink", folder: "Sources/Adapters/Link", own: ["BrumeModel"],
            outside: ["grpc", "certificates", "crypto", "nio", "lifecycle", "system", "collections", "foundation"]),
        Layer(
            target: "BrumeTelemetry", folder: "Sources/Adapters/Telemetry", own: ["BrumeModel"],
            outside: ["telemetry", "system", "foundation"]),
        Layer(target: "BrumeFunctions", folder: "Sources/Functions", own: [], outside: ["nio", "system", "foundation"]),
        Layer(
            target: "BrumeNode", folder: "Sources/Node",
            own: ["BrumeModel", "BrumeHarvest", "BrumeEngine", "BrumeCRDT", "BrumeState", "BrumeMembership"],
            outside: ["nio-core", "lifecycle", "telemetry", "collections", "synchronization"]),
        Layer(
            target: "brume", folder: "Sources/brume",
            own: [
                "BrumeModel", "BrumeBroker", "BrumeHarvest", "BrumeEngine", "BrumeWorkload", "BrumeSimulator", "BrumeTestbeds",
                "BrumeLoad", "BrumeReport", "BrumeSandbox", "BrumeStore",
                "BrumeGateway", "BrumeRedis", "BrumeLink", "BrumeTelemetry", "BrumeNode", "BrumeCRDT", "BrumeState", "BrumeMembership",
            ],
            outside: [
                "arguments", "http-client", "yaml", "crypto", "lifecycle", "telemetry", "nio", "subprocess", "system", "foundation",
            ]),
    ]

    /// The folders of decisions and virtual time: no I/O, no clocks, no chance of their own.
    static let pure = [
        "Sources/Core/Model", "Sources/Core/Broker", "Sources/Core/Harvest", "Sources/Core/CRDT", "Sources/Core/State",
        "Sources/Core/Membership", "Sources/Core/Engine", "Sources/Lab/Workload",
        "Sources/Lab/Simulator", "Sources/Lab/Testbeds", "Sources/Lab/Report",
    ]

    /// Families each adapter needs to speak with its neighbours at all: bytes, system calls, the log interface, being a service, keys
    /// and certificates.
    static let currency: Set<String> = [
        "foundation", "system", "synchronization", "collections", "nio", "nio-core", "telemetry", "lifecycle", "crypto", "certificates",
    ]

    /// The layer a file belongs to.
    static func of(_ path: String) -> Layer? { all.first { path.hasPrefix($0.folder + "/") } }

    func allows(_ module: String) -> Bool {
        own.contains(module) || outside.contains { Self.families[$0]?.contains(module) ?? false }
    }
}

/// One `import` line.
struct Import {
    let module: String
    let line: Int

    private static let kinds: Set<String> = ["struct", "class", "enum", "protocol", "typealias", "func", "let", "var"]

    static func all(in file: SourceFile) -> [Import] {
        let tokens = Lexer.tokens(of: file.text)
        return tokens.indices.compactMap { index in
            guard tokens[index].is("import"), tokens.at(index - 1)?.is(".") != true, var next = tokens.at(index + 1) else { return nil }
            if kinds.contains(next.text), let name = tokens.at(index + 2), name.line == next.line { next = name }
            return Import(module: next.text, line: tokens[index].line)
        }
    }
}
