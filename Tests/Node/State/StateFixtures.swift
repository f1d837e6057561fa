// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel
import BrumeState
import Dispatch
import Foundation
import GRDB
import Logging
import NIOCore
import NIOPosix
import Synchronization

@testable import BrumeNode
@testable import BrumeStore

/// A directory of its own, removed at the end.
func withPlace(_ body: (String) async throws -> Void) async throws {
    let path = FileManager.default.temporaryDirectory.path + "/brume-node-state-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: path) }
    try await body(path)
}

/// Nodes' state as a node runs it: the real replica, the real log, a real loop.
enum Keeping {
    static func node(_ number: Int) throws -> NodeID {
        try NodeID(String(repeating: "0", count: 30) + (number < 16 ? "0" : "") + String(number, radix: 16))
    }

    static func now() -> StateTime {
        let nanoseconds = UInt64(Date().timeIntervalSince1970 * 1e9)
        return StateTime(
            instant: Instant(nanoseconds: Int64(NIODeadline.now().uptimeNanoseconds)), wallMilliseconds: nanoseconds / 1_000_000)
    }

    static func settings(_ durability: StateDurability = .interval) -> StateServiceSettings {
        var settings = StateServiceSettings()
        settings.replica.standard.durability = durability
        return settings
    }

    static func open(
        _ directory: String, node number: Int = 1, _ settings: StateServiceSettings = settings(), log: StateLogSettings = StateLogSettings()
    ) async throws -> StateService {
        var logger = Logger(label: "state-tests")
        logger.logLevel = .critical
        let world = StateWorld(
            now: now, random: { UInt64.random(in: 1...UInt64.max) }, loop: MultiThreadedEventLoopGroup.singleton.next())
        return try await StateService.open(
            node: try node(number), settings: settings, world: world,
            log: try SQLiteStateLog(directory: directory, settings: log, logger: logger), logger: logger)
    }

    /// Copies what a crash at this moment would leave.
    static func image(of directory: String, at target: String) throws {
        try FileManager.default.createDirectory(atPath: target, withIntermediateDirectories: true)
        for name in ["state.sqlite", "state.sqlite-wal"] where FileManager.default.fileExists(atPath: directory + "/" + name) {
            try FileManager.default.copyItem(atPath: directory + "/" + name, toPath: target + "/" + name)
        }
    }
}

extension StateService {
    var incarnation: SiteID { withReplica { replica, _ in replica.site } }

    var digest: UInt64 { withReplica { replica, _ in replica.digest() } }

    func key(_ name: String, namespace: String = "default") throws -> ObjectKey {
        try withReplica { replica, _ throws(StateError) in ObjectKey(try replica.space(try SpaceName(namespace)), Bytes(name)) }
    }

    func set(_ name: String, _ value: String) throws {
        let key = try key(name)
        try withReplica { replica, now throws(StateError) in try replica.set(key, Bytes(value), now) }
    }

    func get(_ name: String) throws -> String? {
        let key = try key(name)
        return try withReplica { replica, now throws(StateError) in try replica.get(key, now)?.text }
    }

    @discardableResult
    func increment(_ name: String, by amount: Int64 = 1) throws -> Int64 {
        let key = try key(name)
        return try withReplica { replica, now throws(StateError) in try replica.increment(key, by: amount, now) }
    }

    /// Waits until everything written so far has come as far as asked.
    func settle(_ level: Settlement = .durable, within limit: Duration = .seconds(20)) async throws {
        let mark = withReplica { replica, _ in replica.mark }
        let error = await withCheckedContinuation { continuation in
            whenSettled(mark, level, within: limit) { continuation.resume(returning: $0) }
        }
        if let error { throw error }
    }
}

/// A network in memory: every node's frames arrive in order on a thread of the receiver's own.
final class MemoryNetwork: Sendable {
    private struct Ends: Sendable {
        var services: [NodeID: StateService] = [:]
        var isCut = false
        /// Frames that a queue takes before it is full; nil for any number.
        var room: Int?
        var waiting: [NodeID: Int] = [:]
    }

    private let ends = Mutex(Ends())
    private let queue = DispatchQueue(label: "state-tests.network")

    /// Connects the services with one another and tells each of the others.
    func join(_ services: [(NodeID, StateService)]) {
        ends.withLock { ends in for (node, service) in services { ends.services[node] = service } }
        let members = services.map { StateMember(node: $0.0, tier: .edge) }
        for (node, service) in services {
            service.attach(MemoryLink(network: self, node: node))
            service.members(members)
        }
        for (node, service) in services { for (other, _) in services where other != node { service.take(.up(other)) } }
    }

    func limit(_ frames: Int?) { ends.withLock { $0.room = frames } }

    fileprivate func send(_ frame: [UInt8], _ kind: LinkKind, from: NodeID, to: NodeID) -> LinkSend {
        let (answer, target): (LinkSend, StateService?) = ends.withLock { ends in
            guard let target = ends.services[to] else { return (.unknown, nil) }
            if let room = ends.room, ends.waiting[to, default: 0] >= room { return (.full, nil) }
            ends.waiting[to, default: 0] += 1
            return (.queued, target)
        }
        guard let target else { return answer }
        queue.async { [self] in
            target.take(.received(frame, kind: kind, from: from))
            let hasRoom = ends.withLock { ends in
                ends.waiting[to, default: 1] -= 1
                return ends.room != nil
            }
            if hasRoom, let sender = ends.withLock({ $0.services[from] }) { sender.take(.writable(to, kind)) }
        }
        return answer
    }
}

private struct MemoryLink: PeerLink {
    let network: MemoryNetwork
    let node: NodeID

    func send(_ frame: [UInt8], kind: LinkKind, to peer: NodeID) -> LinkSend { network.send(frame, kind, from: node, to: peer) }
    func connect(to peer: NodeID, at address: String) {}
    func disconnect(from peer: NodeID) {}
}

/// Waits until something that others do has come about, woken by changes of state rather than by time.
func waitUntil(_ service: StateService, within limit: Duration = .seconds(20), _ condition: @escaping @Sendable () -> Bool) async -> Bool {
    let (changes, input) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    let subscription = service.subscribe({ _ in true }) { _ in input.yield() }
    defer { service.unsubscribe(subscription) }
    let timer = Task {
        try? await Task.sleep(for: limit)
        input.finish()
    }
    defer { timer.cancel() }
    if condition() { return true }
    for await _ in changes where condition() { return true }
    return condition()
}

extension SQLiteStateLog {
    /// Makes the database refuse to grow, as a full disk would, or lets it grow again.
    func limitPages(_ isLimited: Bool) throws {
        try queue.writeWithoutTransaction { db in
            let pages = try Int.fetchOne(db, sql: "PRAGMA page_count") ?? 0
            _ = try Int.fetchOne(db, sql: "PRAGMA max_page_count = \(isLimited ? pages : 1_000_000)")
        }
    }
}
