// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import BrumeStore
import Foundation
import NIOCore
import Testing

/// The files under `DIR/code`.
@Suite("Code store")
struct CodeTests {
    private static func with(_ body: (SQLiteStore, String) async throws -> Void) async throws {
        try await withDirectory { directory in
            let store = try SQLiteStore(directory: directory, settings: StoreSettings(version: "1.0.0"))
            try await body(store, directory)
            try await store.close()
        }
    }

    @Test("A package is kept under its SHA-256 and nothing else is left beside it")
    func digest() async throws {
        try await Self.with { store, directory in
            // The digest of "abc" is the example in FIPS 180-2.
            let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
            #expect(try await store.putCode(ByteBuffer(string: "abc")) == expected)
            #expect(try await store.putCode(ByteBuffer(string: "abc")) == expected)
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory + "/code") == [expected + ".tar"])
            let path = try #require(try await store.codePath(digest: expected))
            #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == Data("abc".utf8))
        }
    }

    @Test("Large and empty packages keep every byte", arguments: [0, 1, (3 << 20) + 17])
    func sizes(size: Int) async throws {
        try await Self.with { store, _ in
            let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7) }
            let digest = try await store.putCode(ByteBuffer(bytes: bytes))
            let path = try #require(try await store.codePath(digest: digest))
            #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == Data(bytes))
        }
    }

    @Test("A package whose bytes changed on disk is not given out, and deploying it again mends it")
    func damaged() async throws {
        try await withDirectory { directory in
            var store: SQLiteStore? = try SQLiteStore(directory: directory, settings: StoreSettings(version: "1.0.0"))
            let digest = try #require(try await store?.putCode(ByteBuffer(string: "the right bytes")))
            try await store?.close()
            store = nil
            let path = directory + "/code/\(digest).tar"
            try Data("the wrong bytes".utf8).write(to: URL(fileURLWithPath: path))

            let again = try SQLiteStore(directory: directory, settings: StoreSettings(version: "1.0.0"))
            let error = await #expect(throws: BrumeError.self) { try await again.codePath(digest: digest) }
            #expect(error?.code == .corrupt)
            #expect(error?.message.contains(path) == true)
            #expect(try await again.putCode(ByteBuffer(string: "the right bytes")) == digest)
            #expect(try await again.codePath(digest: digest) == path)
            #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == Data("the right bytes".utf8))
            try await again.close()
        }
    }

    @Test("What an interrupted write left is removed at the next start")
    func leftovers() async throws {
        try await withDirectory { directory in
            try await SQLiteStore(directory: directory, settings: StoreSettings(version: "1.0.0")).close()
            let leftover = directory + "/code/\(String(repeating: "a", count: 64)).tar.tmp"
            try Data("half".utf8).write(to: URL(fileURLWithPath: leftover))
            try await SQLiteStore(directory: directory, settings: StoreSettings(version: "1.0.0")).close()
            #expect(FileManager.default.fileExists(atPath: leftover) == false)
        }
    }

    @Test(
        "A digest is never a way out of the directory",
        arguments: ["", "../lock", "..", "ABC", String(repeating: "A", count: 64), String(repeating: "/", count: 64)])
    func strangeDigest(digest: String) async throws {
        try await Self.with { store, _ in
            let path = try await store.codePath(digest: digest)
            #expect(path == nil)
        }
    }

    @Test("A package is as old as its last upload, also where the clock jumped ahead since; one of an earlier run goes by its file's time")
    func age() async throws {
        try await withDirectory { directory in
            func makeOld(_ digest: String) throws {
                let old: [FileAttributeKey: Any] = [.modificationDate: Date(timeIntervalSinceNow: -7200)]
                try FileManager.default.setAttributes(old, ofItemAtPath: directory + "/code/\(digest).tar")
            }
            let store = try SQLiteStore(directory: directory, settings: StoreSettings(version: "1.0.0"))
            let digest = try await store.putCode(ByteBuffer(string: "old"))
            try makeOld(digest)
            #expect(try await store.pruneCode(olderThan: .seconds(3600)) == 0, "a deployment that is under way would miss it")
            try await store.close()

            let again = try SQLiteStore(directory: directory, settings: StoreSettings(version: "1.0.0"))
            #expect(try await again.putCode(ByteBuffer(string: "old")) == digest)
            #expect(try await again.pruneCode(olderThan: .seconds(3600)) == 0)
            try await again.close()

            try makeOld(digest)
            let last = try SQLiteStore(directory: directory, settings: StoreSettings(version: "1.0.0"))
            #expect(try await last.pruneCode(olderThan: .seconds(3600)) == 1)
            try await last.close()
        }
    }
}
