// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel

@testable import BrumeState

/// Replicas of several nodes in virtual time, with a network that loses, repeats, delays and cuts, and logs that lose their tails.
///
/// Everything follows from the seed. Nodes are numbered from 0.
final class StateNetwork {
    struct Link {
        /// Of 1,000 frames, how many are lost, and how many come twice.
        var lossPerMille = 0
        var repeatPerMille = 0
        var delay = Duration.milliseconds(1)
        var jitter = Duration.milliseconds(1)
    }

    /// A node: its replica while it runs, and what is on its disk.
    final class Node {
        let id: NodeID
        var settings: StateSettings
        var replica: Replica?
        /// Records on disk, and those that were handed over and are not there yet.
        var disk: [[UInt8]] = []
        var pending: [(record: [UInt8], number: UInt64)] = []
        var parts: [[UInt8]: [UInt8]] = [:]
        var partOrder: [[UInt8]] = []
        var incarnation: SiteID?
        /// What its wall clock is off, in milliseconds.
        var skew: Int64 = 0
        var isUp: Bool { replica != nil }
        var ready: [StateTicket: StateError?] = [:]
        var notes: [StateNote] = []
        var changes: [StateChange] = []
        var syncsAt: Instant?
        var neighbours: [Int] = []

        init(_ id: NodeID, _ settings: StateSettings) {
            self.id = id
            self.settings = settings
        }
    }

    private struct Event {
        let at: Instant
        let number: Int
        let action: Action
    }

    private enum Action {
        case deliver([UInt8], from: Int, to: Int, life: Int)
        case tick(Int)
        case sync(Int, life: Int)
    }

    private(set) var now = Instant(nanoseconds: 1_000_000_000)
    let nodes: [Node]
    var link = Link()
    var random: SeededGenerator
    private(set) var cut: Set<Int> = []
    /// Nodes whose program is of before version 2: what begins with a newer version neither comes from them nor is taken by them.
    var oldNodes: Set<Int> = []
    private(set) var wireBytes = 0
    private(set) var frames = 0
    /// Some of the frames that were sent, and the lengths of all.
    private(set) var recordedFrames: [[UInt8]] = []
    private(set) var recordedSizes: [Int] = []
    private var events: [Event] = []
    private var eventNumber = 0
    private var lives: [Int]
    private var members: [Int]

    init(_ count: Int, seed: UInt64, _ configure: (inout StateSettings, Int) -> Void = { _, _ in }) throws {
        random = SeededGenerator(seed: seed)
        nodes = try (0..<count).map { index in
            var settings = StateSettings()
            configure(&settings, index)
            let hex = String(index + 1, radix: 16)
            return Node(try NodeID(String(repeating: "0", count: 32 - hex.count) + hex), settings)
        }
        lives = [Int](repeating: 0, count: count)
        members = Array(0..<count)
        for index in nodes.indices { start(index) }
    }

    func time(_ index: Int) -> StateTime {
        let wall = Int64(1_700_000_000_000) + now.nanoseconds / 1_000_000 + nodes[index].skew
        return StateTime(instant: now, wallMilliseconds: UInt64(max(0, wall)))
    }

    // MARK: Nodes

    /// Starts a node from what is on its disk.
    ///
    /// - Parameter clean: that its log holds all that it ever did.
    func start(_ index: Int, clean: Bool = false) {
        let node = nodes[index]
        precondition(node.replica == nil, "the node runs already")
        lives[index] += 1
        node.ready = [:]
        var recovery = StateRecovery(node: node.id, settings: node.settings, seed: random.next(), now: time(index))
        for name in node.partOrder {
            if let body = node.parts[name] { precondition(recovery.part(name, body), "a part was not read back") }
        }
        for record in node.disk { precondition(recovery.record(record), "a record was not read back") }
        let fresh = SiteID(rawValue: random.next())
        var replica = recovery.finish(continuing: clean ? node.incarnation : nil, fresh: fresh, now: time(index))
        node.incarnation = replica.site
        replica.members(members.map { StateMember(node: nodes[$0].id, tier: nodes[$0].settings.tier) }, time(index))
        node.replica = consume replica
        for other in members where other != index && nodes[other].isUp && connected(index, other) {
            act(index) { $0.peerUp(self.nodes[other].id, $1) }
            act(other) { $0.peerUp(self.nodes[index].id, $1) }
        }
        act(index) { _, _ in }
        schedule(.tick(index), after: .milliseconds(1))
    }

    /// Starts a node that takes itself for a member of a cluster that does not think so.
    func startAlone(_ index: Int, believing list: [Int]) {
        let before = members
        members = list
        start(index)
        members = before
    }

    /// Ends a node: all at once, or after writing down what it has.
    func stop(_ index: Int, losingTail: Bool) {
        let node = nodes[index]
        if !losingTail {
            act(index) { $0.flush($1) }
            sync(index)
        }
        node.pending = []
        node.replica = nil
        node.syncsAt = nil
        lives[index] += 1
        for other in nodes.indices where other != index && nodes[other].isUp {
            act(other) { $0.peerDown(node.id, $1) }
        }
    }

    /// Writes a snapshot of all that changed, and forgets the records.
    ///
    /// - Parameter next: called after each write of parts; answers whether the snapshot goes on.
    func snapshot(_ index: Int, partBytesMax: Int, _ next: () throws -> Bool) rethrows {
        let node = nodes[index]
        act(index) { $0.flush($1) }
        sync(index)
        act(index) { replica, _ in replica.beginSnapshot() }
        let records = node.disk.count
        while true {
            var parts: [SnapshotPart] = []
            act(index) { replica, time in parts = replica.changedParts(bytesMax: partBytesMax, time) }
            if parts.isEmpty { break }
            // Records that are handed over before a part are on disk before it.
            sync(index)
            for part in parts {
                if node.parts[part.name] == nil { node.partOrder.append(part.name) }
                node.parts[part.name] = part.body.isEmpty ? nil : part.body
                if part.body.isEmpty { node.partOrder.removeAll { $0 == part.name } }
            }
            guard try next() else { return }
        }
        node.disk.removeFirst(records)
    }

    func snapshot(_ index: Int) { snapshot(index, partBytesMax: 1 << 16) { true } }

    /// Who belongs to the cluster from now on; some may not hear of it.
    func setMembers(_ list: [Int], deaf: Set<Int> = []) {
        members = list
        for index in list where nodes[index].isUp && !deaf.contains(index) {
            act(index) { replica, time in
                replica.members(list.map { StateMember(node: self.nodes[$0].id, tier: self.nodes[$0].settings.tier) }, time)
            }
        }
    }

    // MARK: The network

    private func connected(_ one: Int, _ other: Int) -> Bool { cut.contains(one) == cut.contains(other) }

    /// Cuts some nodes off the others, or heals with an empty set.
    func partition(_ side: Set<Int>) {
        let before = cut
        cut = side
        for one in nodes.indices {
            for other in nodes.indices where other != one && nodes[one].isUp && nodes[other].isUp {
                let was = before.contains(one) == before.contains(other)
                let isNow = connected(one, other)
                if was, !isNow { act(one) { $0.peerDown(self.nodes[other].id, $1) } }
                if !was, isNow { act(one) { $0.peerUp(self.nodes[other].id, $1) } }
            }
        }
    }

    func index(_ id: NodeID) -> Int { nodes.firstIndex { $0.id == id } ?? 0 }

    // MARK: Running

    /// Runs something on a node's replica and performs what it asks for.
    @discardableResult
    func act<R>(_ index: Int, _ body: (inout Replica, StateTime) throws -> R) rethrows -> R {
        let node = nodes[index]
        let time = time(index)
        defer { perform(index) }
        // Taken out and put back, since a class's property cannot be borrowed through an optional.
        guard var replica = node.replica.take() else { preconditionFailure("the node does not run") }
        do {
            let result = try body(&replica, time)
            node.replica = consume replica
            return result
        } catch {
            node.replica = consume replica
            throw error
        }
    }

    private func perform(_ index: Int) {
        let node = nodes[index]
        guard var replica = node.replica.take() else { return }
        let outputs = replica.takeOutputs()
        let wake = replica.wake
        node.replica = consume replica
        for output in outputs {
            switch output {
            case .send(let frame, _, let to): send(frame, from: index, to: self.index(to))
            case .log(let record, let number, let urgent):
                node.pending.append((record, number))
                scheduleSync(index, after: urgent ? .milliseconds(1) : .milliseconds(100))
            case .ready(let ticket, let error): node.ready[ticket] = .some(error)
            case .changed(let list): node.changes += list
            case .note(let note): node.notes.append(note)
            case .incarnation(let site): node.incarnation = SiteID(rawValue: site)
            }
        }
        if let wake { schedule(.tick(index), at: max(wake, now + .microseconds(100))) }
    }

    private func scheduleSync(_ index: Int, after delay: Duration) {
        let due = now + delay
        if let at = nodes[index].syncsAt, at <= due { return }
        nodes[index].syncsAt = due
        schedule(.sync(index, life: lives[index]), at: due)
    }

    /// Puts on disk what is pending.
    func sync(_ index: Int) {
        let node = nodes[index]
        node.syncsAt = nil
        guard let last = node.pending.last else { return }
        node.disk += node.pending.map(\.record)
        node.pending = []
        act(index) { $0.logged(through: last.number, $1) }
    }

    private func send(_ frame: [UInt8], from: Int, to: Int) {
        wireBytes += frame.count
        recordedSizes.append(frame.count)
        if recordedFrames.count < 5_000, frame.count < 5_000 { recordedFrames.append(frame) }
        frames += 1
        if frame[0] > 1, oldNodes.contains(from) || oldNodes.contains(to) { return }
        guard connected(from, to), nodes[to].isUp, random.below(1_000) >= link.lossPerMille else { return }
        let copies = random.below(1_000) < link.repeatPerMille ? 2 : 1
        for _ in 0..<copies {
            let delay = link.delay + .nanoseconds(Int64(random.below(max(1, Int(link.jitter.wholeNanoseconds)))))
            schedule(.deliver(frame, from: from, to: to, life: lives[to]), after: delay)
        }
    }

    private func schedule(_ action: Action, after delay: Duration) { schedule(action, at: now + delay) }

    private var nextTicks: [Int: Instant] = [:]

    private func schedule(_ action: Action, at moment: Instant) {
        if case .tick(let index) = action {
            if let next = nextTicks[index], next <= moment { return }
            nextTicks[index] = moment
        }
        eventNumber += 1
        let event = Event(at: moment, number: eventNumber, action: action)
        // A heap by moment and number.
        events.append(event)
        var child = events.count - 1
        while child > 0, Self.isBefore(events[child], events[(child - 1) / 2]) {
            events.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    private static func isBefore(_ one: Event, _ other: Event) -> Bool { (one.at, one.number) < (other.at, other.number) }

    private func popEvent() -> Event? {
        guard let first = events.first, let last = events.popLast() else { return nil }
        guard !events.isEmpty else { return first }
        events[0] = last
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < events.count && Self.isBefore(events[child], events[least]) {
                least = child
            }
            if least == parent { return first }
            events.swapAt(parent, least)
            parent = least
        }
    }

    /// Lets time pass.
    func run(_ length: Duration) {
        let end = now + length
        while let next = events.first, next.at <= end {
            guard let event = popEvent() else { break }
            now = max(now, event.at)
            switch event.action {
            case .deliver(let frame, let from, let to, let life):
                guard nodes[to].isUp, lives[to] == life, connected(from, to) else { continue }
                act(to) { $0.receive(frame, from: self.nodes[from].id, $1) }
            case .tick(let index):
                if let due = nextTicks[index], due <= now { nextTicks[index] = nil }
                if nodes[index].isUp { act(index) { $0.tick($1) } }
            case .sync(let index, let life):
                if nodes[index].isUp, lives[index] == life { sync(index) }
            }
        }
        now = end
    }

    /// Lets time pass until something holds; answers whether it did.
    func run(upTo limit: Duration, until condition: () throws -> Bool) rethrows -> Bool {
        let end = now + limit
        while now < end {
            if try condition() { return true }
            run(.milliseconds(1))
        }
        return try condition()
    }

    /// Whether all running members hold the same.
    func isConverged() -> Bool {
        let digests = members.filter { nodes[$0].isUp }.map { index in act(index) { replica, _ in replica.digest() } }
        return digests.allSatisfy { $0 == digests[0] }
            && !members.contains { index in nodes[index].isUp && act(index) { r, _ in r.isDirty } }
    }

    // MARK: Shorthands

    func space(_ index: Int, _ name: String = "test") throws -> SpaceID {
        try act(index) { replica, _ in try replica.space(SpaceName(name)) }
    }

    func key(_ index: Int, _ name: String, in space: String = "test") throws -> ObjectKey {
        ObjectKey(try self.space(index, space), Bytes(name))
    }

    /// Waits, in virtual time, for writes of a node to come so far.
    func settle(_ index: Int, _ mark: WriteMark, _ level: Settlement, within limit: Duration = .seconds(5)) throws -> StateError? {
        let ticket = try act(index) { try $0.wait(for: mark, level, until: self.now + limit, $1) }
        return result(index, ticket, within: limit)
    }

    func need(_ index: Int, _ need: StateNeed, within limit: Duration = .seconds(5)) throws -> StateError? {
        let ticket = try act(index) { try $0.wait(for: need, until: self.now + limit, $1) }
        return result(index, ticket, within: limit)
    }

    private func result(_ index: Int, _ ticket: StateTicket?, within limit: Duration) -> StateError? {
        guard let ticket else { return nil }
        _ = run(upTo: limit + .seconds(1)) { nodes[index].ready[ticket] != nil || !nodes[index].isUp }
        return nodes[index].ready[ticket] ?? StateError(.unavailable, "the wait never ended")
    }
}
