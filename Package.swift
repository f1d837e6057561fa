// swift-tools-version:6.2
// SPDX-License-Identifier: Apache-2.0
//
// Folders tell the layers, from the bottom up: Core (pure decisions), Lab (virtual time and load),
// Native (C that must run before or without Swift), Adapters (one outside library each), Node (the shell),
// brume (the commands). Tests mirror them. The arrows are enforced by Tests/Tidy.

import PackageDescription

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableUpcomingFeature("InferIsolatedConformances"),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
]

/// What no call waits for: small rather than fast.
let small: [SwiftSetting] = strict + [.unsafeFlags(["-Osize"], .when(configuration: .release))]

/// What every write of a client passes through. Whether accesses exclude each other is checked at run time in debug builds, which all tests
/// are; here these checks would take a tenth of a write.
let hot: [SwiftSetting] = strict + [.unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))]

/// Links a C program without any shared library, so that it starts in under a millisecond and runs in any root file system.
let staticC: [LinkerSetting] = [
    .unsafeFlags([
        "-static-stdlib", "-nostartfiles", "-Xclang-linker", "-static", "-Xclang-linker", "-Wno-unused-command-line-argument",
    ])
]

let strictC: [CSetting] = [.unsafeFlags(["-std=gnu17", "-Wall", "-Wextra", "-Werror", "-O2"])]

extension Target.Dependency {
    static let nioCore = product(name: "NIOCore", package: "swift-nio")
    static let nioPosix = product(name: "NIOPosix", package: "swift-nio")
    static let nioHTTP1 = product(name: "NIOHTTP1", package: "swift-nio")
    static let nioEmbedded = product(name: "NIOEmbedded", package: "swift-nio")
    static let nioAsync = product(name: "NIOConcurrencyHelpers", package: "swift-nio")
    static let systemPackage = product(name: "SystemPackage", package: "swift-system")
    static let nioSSL = product(name: "NIOSSL", package: "swift-nio-ssl")
    static let nioTLS = product(name: "NIOTLS", package: "swift-nio")
    static let nioHTTP2 = product(name: "NIOHTTP2", package: "swift-nio-http2")
    static let nioHPACK = product(name: "NIOHPACK", package: "swift-nio-http2")
    static let grpcCore = product(name: "GRPCCore", package: "grpc-swift-2")
    static let grpcTransport = product(name: "GRPCNIOTransportHTTP2Posix", package: "grpc-swift-nio-transport")
    static let x509 = product(name: "X509", package: "swift-certificates")
    static let asn1 = product(name: "SwiftASN1", package: "swift-asn1")
    static let heap = product(name: "HeapModule", package: "swift-collections")
    static let deque = product(name: "DequeModule", package: "swift-collections")
    static let logging = product(name: "Logging", package: "swift-log")
    static let metrics = product(name: "Metrics", package: "swift-metrics")
    static let lifecycle = product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
    static let unixSignals = product(name: "UnixSignals", package: "swift-service-lifecycle")
    static let hummingbird = product(name: "Hummingbird", package: "hummingbird")
    static let hummingbirdCore = product(name: "HummingbirdCore", package: "hummingbird")
    static let hummingbirdTesting = product(name: "HummingbirdTesting", package: "hummingbird")
    static let httpTypes = product(name: "HTTPTypes", package: "swift-http-types")
    static let grdb = product(name: "GRDB", package: "GRDB.swift")
    static let crypto = product(name: "Crypto", package: "swift-crypto")
    static let yams = product(name: "Yams", package: "Yams")
    static let histogram = product(name: "Histogram", package: "hdrhistogram-swift")
    static let asyncHTTPClient = product(name: "AsyncHTTPClient", package: "async-http-client")
    static let subprocess = product(name: "Subprocess", package: "swift-subprocess")
    static let argumentParser = product(name: "ArgumentParser", package: "swift-argument-parser")
}

func layer(
    _ name: String, _ path: String, _ dependencies: [Target.Dependency], exclude: [String] = [], resources: [Resource] = [],
    settings: [SwiftSetting] = strict
) -> Target {
    .target(
        name: name, dependencies: dependencies, path: "Sources/\(path)", exclude: exclude, resources: resources, swiftSettings: settings)
}

func tests(_ name: String, _ path: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .testTarget(
        name: name, dependencies: dependencies, path: "Tests/\(path)", exclude: exclude, swiftSettings: strict)
}

let package = Package(
    name: "brume",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "brume", targets: ["brume"]),
        .executable(name: "brume-spawner", targets: ["brume-spawner"]),
        .executable(name: "brume-agent", targets: ["brume-agent"]),
        .library(name: "BrumeFunctions", targets: ["BrumeFunctions"]),
        .library(name: "BrumeCRDT", targets: ["BrumeCRDT"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
        .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-http2", from: "1.46.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/grpc/grpc-swift-2", from: "2.4.3"),
        .package(url: "https://github.com/grpc/grpc-swift-nio-transport", from: "2.9.2"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2"),
    ],
    targets: [
        // Core: pure decisions.
        layer("BrumeModel", "Core/Model", [], settings: small),
        layer("BrumeBroker", "Core/Broker", ["BrumeModel", .deque, .heap]),
        layer("BrumeHarvest", "Core/Harvest", ["BrumeModel", .heap]),
        layer("BrumeCRDT", "Core/CRDT", [.heap]),
        layer("BrumeState", "Core/State", ["BrumeModel", "BrumeCRDT", .deque, .heap], settings: hot),
        layer("BrumeMembership", "Core/Membership", ["BrumeModel", .deque], settings: small),
        layer("BrumeEngine", "Core/Engine", ["BrumeModel", "BrumeBroker", "BrumeHarvest", .deque, .heap]),
        // Lab: the same engine in virtual time, and load for the real one.
        layer("BrumeWorkload", "Lab/Workload", ["BrumeModel"], settings: small),
        layer(
            "BrumeSimulator", "Lab/Simulator",
            ["BrumeModel", "BrumeBroker", "BrumeHarvest", "BrumeEngine", "BrumeWorkload", .deque, .heap], settings: small),
        layer("BrumeReport", "Lab/Report", ["BrumeModel", "BrumeWorkload"], settings: small),
        layer(
            "BrumeTestbeds", "Lab/Testbeds", ["BrumeModel", "BrumeHarvest", "BrumeEngine", "BrumeWorkload", "BrumeSimulator"],
            settings: small),
        layer("BrumeLoad", "Lab/LoadGenerator", ["BrumeModel", "BrumeWorkload", .nioCore, .nioPosix, .nioHTTP1, .histogram]),
        // Native: C.
        .target(name: "CBrumeLinux", path: "Sources/Native/CBrumeLinux", cSettings: strictC),
        .executableTarget(name: "brume-spawner", path: "Sources/Native/Spawner", cSettings: strictC, linkerSettings: staticC),
        .executableTarget(name: "brume-agent", path: "Sources/Native/Agent", cSettings: strictC, linkerSettings: staticC),
        // Adapters: one outside family each, strangers to each other.
        layer(
            "BrumeSandbox", "Adapters/Sandbox",
            ["BrumeModel", "CBrumeLinux", .nioCore, .nioPosix, .nioHTTP1, .systemPackage, .subprocess, .logging],
            resources: [.embedInCode("Shims/handler.py"), .embedInCode("Shims/handler.mjs"), .embedInCode("Shims/brume.py")]),
        layer("BrumeStore", "Adapters/Store", ["BrumeModel", .grdb, .crypto, .nioCore, .logging], settings: small),
        layer(
            "BrumeGateway", "Adapters/Gateway",
            [
                "BrumeModel", "BrumeCRDT", "BrumeState", .hummingbird, .hummingbirdCore, .httpTypes, .nioCore, .nioPosix, .nioHTTP1,
                .lifecycle, .logging, .metrics,
                .crypto,
            ],
            resources: [.embedInCode("openapi.json")]),
        layer(
            "BrumeRedis", "Adapters/Redis",
            ["BrumeModel", "BrumeCRDT", "BrumeState", "CBrumeLinux", .heap, .lifecycle, .logging, .metrics, .crypto], settings: hot),
        layer(
            "BrumeLink", "Adapters/Link",
            [
                "BrumeModel", .grpcCore, .grpcTransport, .nioCore, .nioPosix, .nioSSL, .nioTLS, .nioHTTP2, .nioHPACK, .x509, .asn1,
                .crypto, .deque, .lifecycle,
            ],
            exclude: ["Wire/link.proto"], settings: small),
        layer("BrumeTelemetry", "Adapters/Telemetry", ["BrumeModel", .logging, .metrics], settings: small),
        // For functions written in Swift: their state, by the socket in their sandbox.
        layer("BrumeFunctions", "Functions", [.nioCore, .nioPosix]),
        // The shell round the engine.
        layer(
            "BrumeNode", "Node",
            [
                "BrumeModel", "BrumeHarvest", "BrumeEngine", "BrumeCRDT", "BrumeState", "BrumeMembership", .nioCore, .lifecycle, .logging,
                .metrics, .deque,
            ]),
        .executableTarget(
            name: "brume",
            dependencies: [
                "BrumeModel", "BrumeHarvest", "BrumeEngine", "BrumeWorkload", "BrumeSimulator", "BrumeTestbeds", "BrumeLoad",
                "BrumeReport", "BrumeSandbox", "BrumeStore", "BrumeGateway", "BrumeRedis", "BrumeLink",
                "BrumeMembership", "BrumeTelemetry", "BrumeNode", "BrumeCRDT", "BrumeState",
                "brume-spawner", "brume-agent",
                .argumentParser, .asyncHTTPClient, .yams, .crypto, .lifecycle, .unixSignals, .logging, .metrics, .nioCore, .nioPosix,
                .nioHTTP1,
                .subprocess, .systemPackage,
            ],
            path: "Sources/brume", swiftSettings: small),
        // Tests mirror the folders.
        tests("ModelTests", "Core/Model", ["BrumeModel"]),
        tests("BrokerTests", "Core/Broker", ["BrumeModel", "BrumeBroker"]),
        tests("HarvestTests", "Core/Harvest", ["BrumeModel", "BrumeHarvest"], exclude: ["Fixtures"]),
        tests("CRDTTests", "Core/CRDT", ["BrumeCRDT"], exclude: ["Oracles/differential.py"]),
        tests("StateTests", "Core/State", ["BrumeModel", "BrumeCRDT", "BrumeState"]),
        tests("MembershipTests", "Core/Membership", ["BrumeModel", "BrumeMembership"]),
        tests("EngineTests", "Core/Engine", ["BrumeModel", "BrumeHarvest", "BrumeEngine"], exclude: ["Scenarios"]),
        tests("WorkloadTests", "Lab/Workload", ["BrumeModel", "BrumeWorkload"], exclude: ["Fixtures"]),
        tests("SimulatorTests", "Lab/Simulator", ["BrumeModel", "BrumeHarvest", "BrumeEngine", "BrumeSimulator", "BrumeWorkload"]),
        tests("TestbedsTests", "Lab/Testbeds", ["BrumeModel", "BrumeHarvest", "BrumeSimulator", "BrumeTestbeds"]),
        tests("ReportTests", "Lab/Report", ["BrumeModel", "BrumeWorkload", "BrumeReport"], exclude: ["Fixtures"]),
        tests("LoadTests", "Lab/LoadGenerator", ["BrumeLoad", "BrumeWorkload", .nioCore, .nioPosix, .nioHTTP1]),
        tests(
            "SandboxTests", "Adapters/Sandbox",
            [
                "BrumeModel", "BrumeSandbox", "BrumeSimulator", "brume-spawner", "brume-agent", .nioCore, .nioPosix, .nioHTTP1,
                .nioEmbedded,
                .logging,
            ]),
        tests("StoreTests", "Adapters/Store", ["BrumeModel", "BrumeStore", "BrumeSimulator", .grdb, .nioCore, .logging]),
        tests(
            "GatewayTests", "Adapters/Gateway",
            [
                "BrumeModel", "BrumeCRDT", "BrumeState", "BrumeGateway", "BrumeNode", "BrumeStore", .hummingbird, .hummingbirdTesting,
                .nioCore, .nioPosix, .nioHTTP1, .nioEmbedded, .httpTypes, .lifecycle,
                .logging,
            ]),
        tests(
            "RedisTests", "Adapters/Redis",
            ["BrumeModel", "BrumeCRDT", "BrumeState", "BrumeRedis", .lifecycle, .logging]),
        tests(
            "LinkTests", "Adapters/Link",
            ["BrumeModel", "BrumeLink", .grpcCore, .grpcTransport, .nioCore, .nioPosix, .crypto], exclude: ["Oracles"]),
        tests("TelemetryTests", "Adapters/Telemetry", ["BrumeModel", "BrumeTelemetry", .logging, .metrics]),
        tests("FunctionsTests", "Functions", ["BrumeFunctions", .nioCore]),
        tests(
            "NodeTests", "Node",
            [
                "BrumeModel", "BrumeBroker", "BrumeHarvest", "BrumeEngine", "BrumeCRDT", "BrumeState", "BrumeStore", "BrumeNode",
                "BrumeSimulator", .grdb, .nioCore, .nioPosix, .lifecycle, .logging,
            ]),
        tests(
            "SystemTests", "System",
            [
                "BrumeModel", "BrumeFunctions", "BrumeWorkload", "BrumeSimulator", "BrumeTestbeds", "brume", .argumentParser,
                .asyncHTTPClient, .nioCore, .nioPosix, .nioHTTP1, .subprocess, .systemPackage,
            ], exclude: ["Counting"]),
        tests("TidyTests", "Tidy", []),
    ],
    swiftLanguageModes: [.v6]
)
