// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import BrumeSimulator
import Dispatch
import Foundation
import GRDB
import NIOCore

@testable import BrumeStore

/// The implementations that must behave alike.
enum StoreKind: String, CaseIterable, Sendable {
    case sqlite, memory

    /// Runs `body` with an empty store of this kind, and removes it afterwards.
    func with(_ body: (any Store<ByteBuffer>) async throws -> Void) async throws {
        switch self {
        case .memory:
            try await body(MemoryStore<ByteBuffer> { "\($0.readableBytesView.reduce(UInt64(7)) { $0 &* 31 &+ UInt64($1) })" })
        case .sqlite:
            try await withDirectory { directory in
                let store = try SQLiteStore(directory: directory, settings: StoreSettings(version: "1.0.0"))
                try await body(store)
                try await store.close()
            }
        }
    }
}

/// A directory of its own, removed at the end.
func withDirectory(_ body: (String) async throws -> Void) async throws {
    let path = FileManager.default.temporaryDirectory.path + "/brume-store-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: path) }
    try await body(path)
}

enum Sample {
    static func function(_ name: String = "hello", namespace: String = FunctionID.defaultNamespace) throws -> FunctionID {
        try FunctionID(name: name, namespace: namespace)
    }

    /// A spec with something in every field.
    static func spec(_ name: String, package: Package = .none) throws -> FunctionSpec {
        FunctionSpec(
            id: try function(name), contract: .http(command: ["./server", "--verbose=\"yes\""], port: 8082), package: package,
            imageLabel: "ghcr.io/someone/\(name):latest", limits: Resources(millicores: 250, memoryBytes: 64 << 20),
            requests: Resources(millicores: 50, memoryBytes: 32 << 20), timeout: .milliseconds(1_500), concurrency: 4,
            scale: Scale(min: 1, max: 5, keepAlive: .seconds(30)), environment: ["KEY": "väl=ue\n", "EMPTY": ""], secrets: ["s1", "s2"],
            network: true, readOnlyRootFilesystem: true, labels: ["a": "b"], annotations: ["schedule": "* * * * *"],
            constraints: ["node == edge"])
    }

    static func stored(_ name: String, revision: Int = 1, package: Package = .none, pinned: Int? = nil) throws -> StoredFunction {
        StoredFunction(
            spec: try spec(name, package: package), created: Instant(nanoseconds: 1_700_000_000_000_000_001), revision: revision,
            pinnedReplicas: pinned)
    }

    static func call(
        _ number: UInt64, function: String = "hello", at time: Int64? = nil, outcome: CallRecord.Outcome = .succeeded, attempt: Int = 1,
        label: String? = nil
    ) throws -> CallRecord {
        var record = CallRecord(
            id: CallID(number), label: label ?? "label-\(number)", function: try self.function(function), node: "edge-1",
            arrived: Instant(nanoseconds: time ?? Int64(clamping: number)),
            timing: CallTiming(queued: .nanoseconds(1), starting: .milliseconds(2), running: .seconds(3)), outcome: outcome,
            status: outcome == .succeeded ? 200 : 500, cold: number.isMultiple(of: 2),
            replica: number.isMultiple(of: 3) ? nil : ReplicaID(number),
            asynchronous: number.isMultiple(of: 5), attempt: attempt, failureKind: outcome == .failed ? "crashed" : "",
            message: outcome == .failed ? "It fell \u{0} over." : "", decisions: ["admitted", "two\nlines,\u{0} and a \\", ""])
        if number.isMultiple(of: 4) { record.harvest = harvest }
        return record
    }

    private static let harvest = CallHarvest(
        allocation: Resources(millicores: 1000, memoryBytes: 128 << 20), began: Resources(millicores: 400, memoryBytes: 64 << 20),
        expected: .init(millicores: 300, memoryBytes: nil, runMs: 12.5), peakMillicores: 250,
        cpu: HarvestTotals(lent: 0.25, idle: 0.5, reclaims: 1), memory: HarvestTotals(lent: 1_048_576),
        movements: [.init(atMs: 1.5, kind: .cpu, amount: -250, peer: "other", peerFunction: "f.openfaas-fn", ended: nil)],
        movementsOmitted: 2)

    static func line(_ text: String, function: String = "hello", at time: Int64, instance: String = "r1") throws -> LogLine {
        LogLine(
            function: try self.function(function), instance: instance, time: Instant(nanoseconds: time),
            stream: time.isMultiple(of: 2) ? .stdout : .stderr, text: text)
    }

    static func queued(_ number: UInt64, function: String = "hello", body: [UInt8] = [0, 1, 2, 255]) throws -> QueuedCall<ByteBuffer> {
        QueuedCall(
            id: CallID(number),
            request: CallRequest(
                function: try self.function(function), method: "PUT", path: "/a/b", query: "x=1&y=%20",
                headers: [HeaderField("X-One", "1"), HeaderField("x-one", ""), HeaderField("Text", "a\\b: c")],
                body: .whole(ByteBuffer(bytes: body)), label: "label-\(number)", timeout: .milliseconds(250)),
            callbackURL: number.isMultiple(of: 2) ? "http://127.0.0.1:9/callback" : nil,
            accepted: Instant(nanoseconds: Int64(clamping: number)))
    }

    static func delivery(_ number: UInt64, at time: Int64? = nil, body: [UInt8] = [255, 0, 7]) throws -> StoredDelivery<ByteBuffer> {
        StoredDelivery(
            call: CallID(number), function: try function(), url: "http://127.0.0.1:9/callback?n=\(number)",
            headers: [HeaderField("X-Call-Id", "label-\(number)"), HeaderField("Empty", ""), HeaderField("Text", "a\\b: c")],
            body: ByteBuffer(bytes: body), accepted: Instant(nanoseconds: time ?? Int64(clamping: number)))
    }
}

/// What of a delivery can be compared.
struct DeliveryFacts: Equatable {
    var call: CallID
    var function: FunctionID
    var url: String
    var headers: [HeaderField]
    var body: [UInt8]
    var accepted: Instant
    var failedAttempts: Int

    init(_ delivery: StoredDelivery<ByteBuffer>) {
        call = delivery.call
        function = delivery.function
        url = delivery.url
        headers = delivery.headers
        body = Array(delivery.body.readableBytesView)
        accepted = delivery.accepted
        failedAttempts = delivery.failedAttempts
    }
}

/// What of a queued call can be compared.
struct QueuedFacts: Equatable {
    var id: CallID
    var function: FunctionID
    var words: [String]
    var headers: [HeaderField]
    var body: [UInt8]
    var timeout: Duration?
    var callbackURL: String?
    var accepted: Instant
    var attempts: Int
    var notBefore: Instant

    init(_ call: QueuedCall<ByteBuffer>) {
        id = call.id
        function = call.request.function
        words = [call.request.method, call.request.path, call.request.query, call.request.label]
        headers = call.request.headers
        body = if case .whole(let buffer) = call.request.body { Array(buffer.readableBytesView) } else { [] }
        timeout = call.request.timeout
        callbackURL = call.callbackURL
        accepted = call.accepted
        attempts = call.attempts
        notBefore = call.notBefore
    }
}

extension SQLiteStore {
    /// Runs `body` while the disk's writer is held up.
    func whileWriterIsBusy(_ body: () throws -> Void) throws { try pool.writeWithoutTransaction { _ in try body() } }

    /// The modes of the connection that writes.
    func durability() throws -> (journal: String?, synchronous: Int?) {
        try pool.writeWithoutTransaction { db in
            (try String.fetchOne(db, sql: "PRAGMA journal_mode"), try Int.fetchOne(db, sql: "PRAGMA synchronous"))
        }
    }

    /// SQLite's own check of the whole file.
    func integrity(quick: Bool = false) throws -> [String] {
        try pool.read { try String.fetchAll($0, sql: "PRAGMA \(quick ? "quick_check" : "integrity_check")") }
    }

    /// Lets the database grow no further, as a full disk would, or frees it again.
    func fillDisk(_ isFull: Bool) throws {
        try pool.writeWithoutTransaction { db in
            let pages = try Int.fetchOne(db, sql: "PRAGMA page_count") ?? 0
            _ = try Int.fetchOne(db, sql: "PRAGMA max_page_count = \(isFull ? pages : 1_000_000)")
        }
    }

    /// Makes every function of this name fail in the database.
    func refuseFunction(_ name: String) throws {
        try pool.write { db in
            try db.execute(
                sql: """
                    CREATE TRIGGER refuse BEFORE INSERT ON functions WHEN NEW.function = '\(name).openfaas-fn'
                    BEGIN SELECT RAISE(ABORT, 'refused by the test'); END
                    """)
        }
    }

    /// Runs `body` while a write transaction is open on the writer.
    func whileTransactionIsOpen(_ body: () async throws -> Void) async throws {
        let release = DispatchSemaphore(value: 0)
        await withCheckedContinuation { continuation in
            pool.asyncWriteWithoutTransaction { db in
                try? db.inTransaction(.immediate) {
                    try db.execute(sql: "DELETE FROM functions")
                    continuation.resume()
                    release.wait()
                    return .rollback
                }
            }
        }
        defer { release.signal() }
        try await body()
    }
}
