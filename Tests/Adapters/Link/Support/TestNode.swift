// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Crypto
import Foundation
import Synchronization
import Testing

@testable import BrumeLink

/// Collects what a link tells, and lets a test wait for it.
final class Recorder<Event: Sendable>: Sendable {
    private struct State {
        var events: [Event] = []
        var waiters: [Int: CheckedContinuation<Void, Never>] = [:]
        var nextWaiter = 0
    }
    private let state = Mutex(State())

    var all: [Event] { state.withLock { $0.events } }

    func add(_ event: Event) {
        let waiters = state.withLock { state in
            state.events.append(event)
            defer { state.waiters = [:] }
            return state.waiters
        }
        for waiter in waiters.values { waiter.resume() }
    }

    /// Waits until `test` holds for what was told so far.
    ///
    /// - Returns: whether it came to hold in time.
    @discardableResult
    func wait(
        _ what: String, atMost limit: Duration = .seconds(20), location: SourceLocation = #_sourceLocation,
        _ test: @escaping @Sendable ([Event]) -> Bool
    ) async -> Bool {
        let held = await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                while !Task.isCancelled {
                    let (holds, seen) = self.state.withLock { (test($0.events), $0.events.count) }
                    if holds { return true }
                    await self.next(after: seen)
                }
                return false
            }
            group.addTask {
                try? await Task.sleep(for: limit)
                return false
            }
            let first = await group.next() ?? false
            group.cancelAll()
            self.wakeAll()
            return first
        }
        if !held { Issue.record("never: \(what); told: \("\(all.suffix(10))".prefix(2_000))", sourceLocation: location) }
        return held
    }

    private func wakeAll() {
        let waiters = state.withLock { state in
            defer { state.waiters = [:] }
            return state.waiters
        }
        for waiter in waiters.values { waiter.resume() }
    }

    /// Waits until more than `seen` events were told.
    private func next(after seen: Int) async {
        let number = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        await withCheckedContinuation { waiter in
            let isStale = state.withLock { state in
                // Something was told between the look and this.
                guard state.events.count == seen, !Task.isCancelled else { return true }
                state.waiters[number] = waiter
                return false
            }
            if isStale { waiter.resume() }
        }
    }
}

/// A directory that goes when the test does.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "brume-link-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// A node that only has a link.
final class TestNode: Sendable {
    let directory: TemporaryDirectory
    let identity: NodeIdentity
    let authority: ClusterAuthority?
    let credentials: NodeCredentials
    let link: GRPCLink
    let events = Recorder<LinkEvent>()
    let notices = Recorder<LinkNotice>()

    var id: NodeID { identity.id }

    init(
        directory: TemporaryDirectory, identity: NodeIdentity, credentials: NodeCredentials, authority: ClusterAuthority?,
        settings: LinkSettings, onEvent: (@Sendable (LinkEvent) -> Void)? = nil
    ) {
        self.directory = directory
        self.identity = identity
        self.credentials = credentials
        self.authority = authority
        link = GRPCLink(
            settings: settings, credentials: credentials, authority: authority, members: { [] }, notices: { [notices] in notices.add($0) },
            events: onEvent ?? { [events] in events.add($0) })
    }

    static var settings: LinkSettings {
        var settings = LinkSettings()
        settings.host = "127.0.0.1"
        settings.backoff.first = .milliseconds(20)
        settings.backoff.last = .milliseconds(200)
        return settings
    }

    static func founder(
        settings: LinkSettings = TestNode.settings, onEvent: (@Sendable (LinkEvent) -> Void)? = nil
    ) throws -> TestNode {
        let directory = try TemporaryDirectory()
        let identity = try NodeIdentity.load(directory: directory.path)
        let authority = try ClusterAuthority.found(directory: directory.path)
        let credentials = try NodeCredentials.founder(
            directory: directory.path, identity: identity, authority: authority, settings: settings)
        return TestNode(
            directory: directory, identity: identity, credentials: credentials, authority: authority, settings: settings, onEvent: onEvent)
    }

    /// A member that the authority certified without a network.
    static func member(
        of authority: ClusterAuthority, settings: LinkSettings = TestNode.settings, life: Duration = .seconds(3_600),
        onEvent: (@Sendable (LinkEvent) -> Void)? = nil
    ) throws -> TestNode {
        let directory = try TemporaryDirectory()
        let identity = try NodeIdentity.load(directory: directory.path)
        let credentials = try NodeCredentials.store(
            certificate: try authority.issue(for: identity.key.publicKey, life: life), authority: authority.certificate, revocations: [],
            directory: directory.path, identity: identity)
        return TestNode(
            directory: directory, identity: identity, credentials: credentials, authority: nil, settings: settings, onEvent: onEvent)
    }

    var address: String {
        get async throws { "127.0.0.1:\(try #require(await link.port))" }
    }

    func connect(to other: TestNode) async throws { link.connect(to: other.id, at: try await other.address) }

    func sawUp(_ other: TestNode, times: Int = 1, location: SourceLocation = #_sourceLocation) async {
        let id = other.id
        let isUp = await events.wait("\(times) times up", location: location) { events in events.count { $0 == .up(id) } >= times }
        if !isUp { Issue.record("noticed: \(notices.all.suffix(5))", sourceLocation: location) }
    }

    /// The reasons why the link to another node went down.
    func downs(_ other: TestNode) -> [String] {
        events.all.compactMap { if case .down(let node, let reason) = $0, node == other.id { reason } else { nil } }
    }

    /// Frames of a kind that came from another node.
    func frames(_ kind: LinkKind) -> [[UInt8]] {
        events.all.compactMap { if case .received(let frame, kind, _) = $0 { frame } else { nil } }
    }
}

/// Runs links while `body` works, and stops them after it.
func running(_ nodes: [TestNode], _ body: () async throws -> Void) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
        for node in nodes { group.addTask { try await node.link.run() } }
        do { try await body() } catch {
            for node in nodes { node.link.stop() }
            throw error
        }
        for node in nodes { node.link.stop() }
        try await group.waitForAll()
    }
}
