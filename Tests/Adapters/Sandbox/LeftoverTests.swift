// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Foundation
import Testing

@testable import BrumeSandbox

private let hasImageTools = ["skopeo", "umoci"].allSatisfy { HostFiles.program($0) != nil }

/// Disk that former functions took is given back at a node's start, and nothing that a function needs.
@Suite("Leftovers")
struct LeftoverTests {
    private static func names(_ path: String) -> [String] { HostFiles.names(in: path).sorted() }

    private static func function(_ name: String, _ package: Package) throws -> FunctionSpec {
        FunctionSpec(id: try FunctionID(name: name), contract: .fork(command: ["cat"]), package: package)
    }

    @Test("unpacked code, requirements, old shims and unfinished work of former functions go, the rest stays")
    func code() async throws {
        let root = try TestDirectory.make()
        defer { HostFiles.remove(root) }
        let used = String(repeating: "a", count: 64)
        let unused = String(repeating: "b", count: 64)
        let store = CodeStore(root: root)
        for (digest, key) in [(used, "k1"), (unused, "k2")] {
            try CodeStore.makeDirectory(store.function(digest))
            try CodeStore.makeDirectory(store.packagesDirectory(key))
            try CodeStore.makeDirectory("\(root)/uses")
            try FileManager.default.createSymbolicLink(atPath: store.use(digest), withDestinationPath: key)
        }
        try CodeStore.makeDirectory(store.shims)
        try CodeStore.makeDirectory("\(root)/shims/older")
        _ = try store.makeStage()
        let functions = [try Self.function("f", .bundle(digest: used)), try Self.function("g", .none)]
        #expect(await Leftovers(codeRoot: root, stateDirectory: root).remove(keeping: functions) == 1)
        #expect(Self.names("\(root)/code") == [used])
        #expect(Self.names("\(root)/uses") == [used])
        #expect(Self.names("\(root)/packages") == ["k1"])
        #expect(Self.names("\(root)/shims").map { "\(root)/shims/\($0)" } == [store.shims])
        #expect(Self.names(store.stage).isEmpty)
        #expect(await Leftovers(codeRoot: root, stateDirectory: root).remove(keeping: functions) == 0)
    }

    @Test("a node that never unpacked anything has nothing to remove")
    func nothing() async throws {
        let root = try TestDirectory.make()
        defer { HostFiles.remove(root) }
        #expect(await Leftovers(codeRoot: "\(root)/unpacked", stateDirectory: "\(root)/sandbox").remove(keeping: []) == 0)
    }

    @Test("images of former functions go with what was fetched for them, and the others can still be used", .enabled(if: hasImageTools))
    func images() async throws {
        let root = try TestDirectory.make()
        defer { HostFiles.remove(root) }
        let script = """
            umoci init --layout made && for tag in one two; do
                umoci new --image made:$tag && umoci config --image made:$tag --config.env TAG=$tag || exit 1
            done
            """
        let shell = Process()
        shell.executableURL = URL(fileURLWithPath: "/bin/sh")
        shell.arguments = ["-c", script]
        shell.currentDirectoryURL = URL(fileURLWithPath: root)
        try shell.run()
        shell.waitUntilExit()
        try #require(shell.terminationStatus == 0)

        let store = ImageStore(root: "\(root)/images")
        let references = ["one", "two"].map { "oci:\(root)/made:\($0)" }
        for reference in references { try await store.prepare(reference) }
        let directories = try references.map { try store.image(of: $0).rootDirectory }
        let blobs = Self.names("\(root)/images/layout/blobs/sha256").count
        let leftovers = Leftovers(codeRoot: "\(root)/unpacked", stateDirectory: root)

        let kept = try Self.function("f", .image(reference: references[0]))
        #expect(await leftovers.remove(keeping: [kept]) == 1)
        #expect(HostFiles.exists(directories[0]))
        #expect(!HostFiles.exists(directories[1]))
        #expect(Self.names("\(root)/images/layout/blobs/sha256").count < blobs, "what was fetched is still there")
        try await store.prepare(references[0])
        try await store.prepare(references[1])

        #expect(await leftovers.remove(keeping: []) == 2)
        #expect(Self.names("\(root)/images").isEmpty)
        try await store.prepare(references[1])
        #expect(HostFiles.exists(directories[1]))
    }
}
