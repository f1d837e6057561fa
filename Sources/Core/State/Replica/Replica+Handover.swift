// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
public import BrumeModel

/// What a node that is about to leave gives to others.
struct Handover {
    /// One other member.
    struct Receiver {
        let node: NodeID
        /// Namespaces that it keeps because this node asks for it: nobody else did.
        var assigned: [String] = []
        /// Whether it has, on its disk, all that this node had when it was asked.
        var isDone = false
        var nextAsk = Instant.zero
    }

    /// Tells answers to this handing over from those to an earlier one.
    let nonce: UInt64
    var receivers: [Receiver] = []

    /// How long a question waits for its answer; a comparison that goes on is told with the next one.
    static let askEvery = Duration.milliseconds(200)
}

/// What this node takes over from one that is about to leave.
struct Takeover {
    let node: NodeID
    let nonce: UInt64
    /// A number that all comparisons have which began after the question came.
    let began: UInt64
    /// The record up to which everything is written, once the comparison is over.
    var record: UInt64?
}

/// How far a node has come with handing over what it keeps.
public struct StateHandover: Sendable, Hashable {
    /// Objects, and their bytes, approximately, in namespaces that no other node has completely yet.
    public var objects = 0
    public var bytes = 0
    /// The namespaces.
    public var namespaces: [String] = []
    /// Members that can be reached and have everything; those that can be reached and do not yet; those that cannot be reached.
    public var done: [NodeID] = []
    public var behind: [NodeID] = []
    public var unreachable: [NodeID] = []

    /// Whether nothing is lost when this node goes.
    public var isDone: Bool { namespaces.isEmpty && behind.isEmpty }
}

extension Replica {
    /// Begins to hand over: gives back what it owns and its rights of bounded counters, and has every other node take what it lacks. A
    /// namespace that nobody else keeps is given to a node to keep. Writes stay possible, and are handed over as well.
    public mutating func handOver(_ now: StateTime) {
        guard handover == nil else { return }
        nextNonce += 1
        handover = Handover(nonce: nextNonce)
        for subject in leases.claims.keys.sorted() {
            if let claim = leases.claims[subject] { release(claim.key, now) }
        }
        giveRights(now)
        continueHandover(now)
    }

    /// Keeps what it has after all.
    public mutating func cancelHandover() { handover = nil }

    /// How far the handing over has come; nil where none was begun.
    public var handoverProgress: StateHandover? {
        guard let handover else { return nil }
        var progress = StateHandover()
        let members = peers.filter(\.isMember)
        progress.unreachable = members.filter { !$0.isUp }.map(\.node)
        for peer in members where peer.isUp {
            if hasAll(peer, handover) { progress.done.append(peer.node) } else { progress.behind.append(peer.node) }
        }
        for namespace in namespaces where namespace.interest.isHeld && namespace.objects > 0 {
            let isKept = members.contains { progress.done.contains($0.node) && keeps($0, namespace.name, handover) }
            guard !isKept else { continue }
            progress.namespaces.append(namespace.name)
            progress.objects += namespace.objects
            progress.bytes += namespace.bytes
        }
        return progress
    }

    /// Whether a peer has what this replica had when it was asked, and what was written since.
    private func hasAll(_ peer: Peer, _ handover: Handover) -> Bool {
        let isDone = handover.receivers.contains { $0.node == peer.node && $0.isDone }
        return isDone && !isDirty && peer.cleared + 1 >= nextBatch && peer.durable >= peer.sent
    }

    private func keeps(_ peer: Peer, _ namespace: String, _ handover: Handover) -> Bool {
        peer.interest.keeps(namespace) || handover.receivers.contains { $0.node == peer.node && $0.assigned.contains(namespace) }
    }

    /// Asks whom it is time to ask.
    mutating func continueHandover(_ now: StateTime) {
        guard var handover else { return }
        if isDirty { flush(now) }
        let up = peers.filter { $0.isMember && $0.isUp }
        for peer in up where !handover.receivers.contains(where: { $0.node == peer.node }) {
            handover.receivers.append(Handover.Receiver(node: peer.node))
        }
        for namespace in namespaces where namespace.interest.isHeld && namespace.objects > 0 {
            guard !up.contains(where: { keeps($0, namespace.name, handover) }) else { continue }
            let order = up.map { (node: $0.node, rank: stableHash(Bytes($0.node.description + "/" + namespace.name), seed: 11)) }
            guard let chosen = order.max(by: { $0.rank < $1.rank })?.node else { continue }
            for index in handover.receivers.indices where handover.receivers[index].node == chosen {
                handover.receivers[index].assigned.append(namespace.name)
                // What it says it has was said without this one.
                handover.receivers[index].isDone = false
                handover.receivers[index].nextAsk = .zero
            }
        }
        for index in handover.receivers.indices {
            let receiver = handover.receivers[index]
            guard !receiver.isDone, receiver.nextAsk <= now.instant, let peer = find(receiver.node), peer.isUp, peer.isMember else {
                continue
            }
            handover.receivers[index].nextAsk = now.instant + Handover.askEvery
            ask(peer, handover.nonce, receiver.assigned, now)
        }
        self.handover = handover
    }

    private mutating func ask(_ peer: Peer, _ nonce: UInt64, _ namespaces: [String], _ now: StateTime) {
        guard peer.version >= 4 else { return sayHello(to: peer, now) }
        var writer = Frame.writer(.handoverWanted, site: site, time: clock.now(wall: now.wallMilliseconds))
        writer.varint(nonce)
        writer.count(namespaces.count)
        for name in namespaces { writer.string(Bytes(name)) }
        transmit(writer.bytes, .bulk, to: peer)
    }

    mutating func takeHandover(from peer: Peer, _ reader: inout ByteReader, _ now: StateTime) throws(DecodingFailure) {
        let nonce = try reader.varint()
        let isDone = try reader.byte() == 1
        let count = try reader.varint()
        try reader.finish()
        guard isDone, var handover, handover.nonce == nonce else { return }
        for index in handover.receivers.indices where handover.receivers[index].node == peer.node {
            // What it was asked to keep meanwhile is not in this answer.
            if handover.receivers[index].assigned.count == Int(clamping: count) { handover.receivers[index].isDone = true }
        }
        self.handover = handover
        peer.statusDue = now.instant
    }

    /// Gives the rights of bounded counters that this incarnation holds to a node that stays.
    private mutating func giveRights(_ now: StateTime) {
        for space in spaces where space.namespace.interest.isHeld {
            let name = space.name.namespace
            let staying = peers.filter { $0.isMember && $0.isUp && $0.site != nil }
            guard let heir = (staying.first { $0.interest.keeps(name) } ?? staying.first)?.site else { return }
            var counters: [Bytes] = []
            space.table.forEach { if $0.kind == .boundedCounter, $0.hasContent { counters.append($0.name) } }
            for counter in counters {
                guard let object = try? reading(ObjectKey(space.id, counter), BoundedCounter.self, now) else { continue }
                let held = object.content.rights(of: site)
                guard held > 0 else { continue }
                _ = object.change { [site] content, delta in try? content.transfer(held, from: site, to: heir, into: &delta) }
                changed(object, clock.now(wall: now.wallMilliseconds), now)
                counts.transfers += 1
            }
        }
    }

    // MARK: Taking over

    /// Answers a node that is about to leave whether everything that it has is on this node's disk, and sees to it that it will be.
    mutating func answerHandover(from peer: Peer, _ reader: inout ByteReader, _ now: StateTime) throws(DecodingFailure) {
        let nonce = try reader.varint()
        var names: [String] = []
        for _ in 0..<(try reader.count(entryBytes: 1)) {
            let name = try reader.string().text
            guard (try? SpaceName(name)) != nil, names.count < settings.spacesMax else { throw reader.failure(.impossible) }
            names.append(name)
        }
        try reader.finish()
        guard peer.isMember else { return }
        for name in names { keepForLeaver(name, now) }
        let index: Int
        if let known = takeovers.firstIndex(where: { $0.node == peer.node && $0.nonce == nonce }) {
            index = known
        } else {
            // One for each peer: whoever asks under another number has begun anew.
            takeovers.removeAll { $0.node == peer.node }
            nextNonce += 1
            takeovers.append(Takeover(node: peer.node, nonce: nonce, began: nextNonce))
            index = takeovers.count - 1
        }
        let takeover = takeovers[index]
        if takeover.record == nil, !pulls.active.contains(where: { $0.node == peer.node && $0.isFull && $0.first > takeover.began }) {
            pulls.request(peer.node, full: true)
            beginPulls(now)
        }
        let isDone = takeover.record.map { $0 <= loggedRecord } ?? false
        var writer = Frame.writer(.handoverTaken, site: site, time: clock.now(wall: now.wallMilliseconds))
        writer.varint(nonce)
        writer.byte(isDone ? 1 : 0)
        writer.count(names.count)
        transmit(writer.bytes, .bulk, to: peer)
    }

    /// Keeps a namespace that nobody else does, as if it were used here: it is dropped only when another node has it.
    private mutating func keepForLeaver(_ name: String, _ now: StateTime) {
        let namespace = namespace(name)
        guard !namespace.interest.isHeld else { return }
        namespace.interest.wasUsed = true
        namespace.interest.lastUsed = now.instant
        decideInterest(in: namespace)
        // What it held of the leaver before it kept this is not all.
        takeovers = []
    }

    /// A comparison is over: what it brought is on its way to the disk.
    mutating func noteTakeover(_ pull: Pull) {
        guard pull.isFull else { return }
        for index in takeovers.indices where takeovers[index].node == pull.node && takeovers[index].began < pull.first {
            takeovers[index].record = takeovers[index].record ?? nextRecord - 1
        }
    }
}
