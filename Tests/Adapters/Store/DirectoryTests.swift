// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import BrumeStore
import Foundation
import GRDB
import NIOCore
import Testing

/// What a data directory may be like when a node starts.
@Suite("Data directory")
struct DirectoryTests {
    private static let settings = StoreSettings(version: "1.2.3")

    private static func open(_ directory: String) throws -> SQLiteStore {
        try SQLiteStore(directory: directory, settings: settings)
    }

    private static func database(_ directory: String) -> URL { URL(fileURLWithPath: directory + "/brume.sqlite") }

    /// A used and closed directory with one function and one queued call.
    private static func fill(_ directory: String) async throws {
        let store = try open(directory)
        try await store.putFunction(try Sample.stored("kept"))
        for number in UInt64(1)...200 { try await store.enqueue(try Sample.queued(number, body: .init(repeating: 7, count: 3_000))) }
        try await store.close()
    }

    private static func permissions(_ path: String) throws -> Int {
        try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int ?? -1
    }

    @Test("A new directory is made with its parents, and only its owner reads the database")
    func new() async throws {
        try await withDirectory { parent in
            let directory = parent + "/a/b"
            let store = try Self.open(directory)
            try await store.putSecret(Secret(name: "s", namespace: "n", value: [1]))
            for file in ["brume.sqlite", "brume.sqlite-wal", "brume.sqlite-shm", "lock"] {
                #expect(try Self.permissions(directory + "/" + file) == 0o600, "\(file)")
            }
            #expect(try Self.permissions(directory + "/code") == 0o700)
            try await store.close()
        }
    }

    @Test("A database that others may read is closed to them")
    func permissionsAreTightened() async throws {
        try await withDirectory { directory in
            try await Self.fill(directory)
            try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: directory + "/brume.sqlite")
            let store = try Self.open(directory)
            #expect(try Self.permissions(directory + "/brume.sqlite") == 0o600)
            try await store.close()
        }
    }

    @Test("The write-ahead log is on and every commit is synced")
    func durabilityIsOn() async throws {
        try await withDirectory { directory in
            let store = try Self.open(directory)
            let modes = try store.durability()
            #expect(modes.journal == "wal")
            #expect(modes.synchronous == 2, "2 is FULL")
            try await store.close()
        }
    }

    @Test("Everything durable is there after closing and opening again, and epochs go on")
    func reopen() async throws {
        try await withDirectory { directory in
            let first = try Self.open(directory)
            #expect(try await first.beginEpoch() == 1)
            let digest = try await first.putCode(ByteBuffer(string: "code"))
            let function = try Sample.stored("f", package: .bundle(digest: digest))
            let call = try Sample.queued(1)
            let record = try Sample.call(8)
            try await first.putFunction(function)
            try await first.enqueue(call)
            first.record(record)
            first.append([try Sample.line("hello", at: 4)])
            try await first.close()

            let second = try Self.open(directory)
            #expect(try await second.beginEpoch() == 2)
            #expect(try await second.functions() == [function])
            #expect(try await second.codePath(digest: digest) == directory + "/code/\(digest).tar")
            #expect(try await second.queued().map(QueuedFacts.init) == [QueuedFacts(call)])
            #expect(try await second.calls(CallQuery()) == [record])
            #expect(try await second.logs(LogQuery(function: try Sample.function())).map(\.text) == ["hello"])
            try await second.close()
        }
    }

    @Test("A second node on the same directory is told so in one sentence that names the first")
    func secondNode() async throws {
        try await withDirectory { directory in
            let first = try Self.open(directory)
            let error = #expect(throws: BrumeError.self) { try Self.open(directory) }
            #expect(error?.code == .conflict)
            #expect(error?.message.contains("process \(ProcessInfo.processInfo.processIdentifier)") == true)
            #expect(error?.message.contains(directory) == true)
            try await first.close()
        }
    }

    @Test("A closed store refuses operations, ignores history, and lets another open the directory")
    func closed() async throws {
        try await withDirectory { directory in
            do {
                let store = try Self.open(directory)
                try await store.close()
                store.record(try Sample.call(1))
                let error = await #expect(throws: BrumeError.self) { try await store.enqueue(try Sample.queued(1)) }
                #expect(error?.code == .unavailable)
            }
            try await Self.open(directory).close()
        }
    }

    @Test("A path that is a file is refused")
    func file() async throws {
        try await withDirectory { directory in
            let path = directory + "/file"
            try Data("x".utf8).write(to: URL(fileURLWithPath: path))
            let error = #expect(throws: BrumeError.self) { try Self.open(path) }
            #expect(error?.code == .invalid)
            #expect(error?.message.contains("give a directory") == true)
        }
    }

    @Test("A directory of a newer version is left alone, and the error names the version that wrote it")
    func newerVersion() async throws {
        try await withDirectory { directory in
            try await Self.fill(directory)
            do {
                let queue = try DatabaseQueue(path: directory + "/brume.sqlite")
                try await queue.write { db in
                    try db.execute(
                        sql:
                            "INSERT INTO grdb_migrations VALUES ('99-from-the-future'); UPDATE meta SET value = '9.1.0' WHERE key = 'version'"
                    )
                }
                try queue.close()
            }
            let before = try Data(contentsOf: Self.database(directory))
            let error = #expect(throws: BrumeError.self) { try Self.open(directory) }
            #expect(error?.code == .conflict)
            #expect(error?.message.contains("written by Brume 9.1.0, which is newer than this Brume 1.2.3") == true)
            #expect(try Data(contentsOf: Self.database(directory)) == before)
        }
    }

    enum Damage: CaseIterable, Sendable {
        case garbage, truncatedToHalf, truncatedToHeader, emptied, pageOverwritten

        func apply(to file: URL) throws {
            var data = try Data(contentsOf: file)
            switch self {
            case .garbage: data = Data((0..<data.count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ 11) })
            case .truncatedToHalf: data.removeLast(data.count / 2)
            case .truncatedToHeader: data.removeLast(data.count - 100)
            case .emptied: data.removeAll()
            case .pageOverwritten:
                let page = data.count / 2 / 4096 * 4096
                data.replaceSubrange(page..<(page + 4096), with: repeatElement(0xEE, count: 4096))
            }
            try data.write(to: file)
        }
    }

    @Test("A damaged database is named, is not changed, and the rest of the directory neither", arguments: Damage.allCases)
    func damaged(damage: Damage) async throws {
        try await withDirectory { directory in
            try await Self.fill(directory)
            let file = Self.database(directory)
            try damage.apply(to: file)
            let before = try Data(contentsOf: file)
            let error = #expect(throws: BrumeError.self) { try Self.open(directory) }
            #expect(error?.code == .corrupt)
            #expect(error?.message.contains(file.path) == true)
            #expect(error?.message.contains("restore it from a backup, or move it away") == true)
            #expect(try Data(contentsOf: file) == before)

            // And moving it away, as the sentence says, starts empty.
            try FileManager.default.moveItem(atPath: file.path, toPath: file.path + ".damaged")
            let store = try Self.open(directory)
            #expect(try await store.functions().isEmpty)
            try await store.close()
        }
    }

    @Test("A damaged database with an unfinished write-ahead log loses neither file")
    func damagedWithLog() async throws {
        try await withDirectory { directory in
            try await Self.fill(directory)
            let source = directory + "/copy"
            do {
                // A copy taken while the store is open has a log that was not merged, as after a power cut.
                let store = try Self.open(directory)
                try await store.enqueue(try Sample.queued(1_000))
                try FileManager.default.createDirectory(atPath: source + "/code", withIntermediateDirectories: true)
                for name in ["brume.sqlite", "brume.sqlite-wal"] {
                    try FileManager.default.copyItem(atPath: directory + "/" + name, toPath: source + "/" + name)
                }
                try await store.close()
            }
            let log = URL(fileURLWithPath: source + "/brume.sqlite-wal")
            try Damage.truncatedToHalf.apply(to: Self.database(source))
            let before = (try Data(contentsOf: Self.database(source)), try Data(contentsOf: log))
            #expect(before.1.isEmpty == false)
            let error = #expect(throws: BrumeError.self) { try Self.open(source) }
            #expect(error?.code == .corrupt)
            #expect(try Data(contentsOf: Self.database(source)) == before.0)
            #expect(try Data(contentsOf: log) == before.1)
        }
    }
}
