// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import DequeModule

/// Everything a link knows of its peers: queues, connections and who succeeds whom, and what its owner is still to be told.
///
/// A value under one lock: it decides, and whoever holds the lock acts after letting it go.
struct PeerTable {
    /// Peers at once: identities that were never members do not get here.
    static let peersMax = 10_000

    struct Peer {
        var address: String?
        /// Whether the owner asked for a connection; a peer that only dialled us is not dialled back.
        var isWanted = false
        var isDialling = false
        /// Whether a dial of ours has greeted: the peer may count that connection as standing already.
        var hasGreeted = false
        var failures = 0
        var dialAt: ContinuousClock.Instant
        var unconnectedSince: ContinuousClock.Instant
        var queues: SendQueues
        var assembly = FrameAssembly()
        var active: Connection?
        /// The connection that takes over from the active one, and what has moved to it already.
        var next: Connection?
        var movedOut = false
        var movedIn = false
        /// Whether the writer waits for a call.
        var writerSleeps = true
    }

    /// What a greeting comes to.
    enum Decision {
        /// It stands: frames may flow.
        case stands
        /// It stands once the active one, given here, has been emptied into it; the peer's side of that may be done already.
        case succeeds(Connection, isReadable: Bool)
        /// The active connection is of another process with this identity: ask it for a sign of life, then decide again.
        case ask(Connection)
        /// The active connection of the same process is dead without our knowing: end it, then decide again.
        case replaces(Connection)
        case refused(String)
    }

    /// What the writer of a connection does next.
    struct Work {
        var packet = Packet()
        /// Nothing is written on this connection after this.
        var isLast = false
        /// Another writer has something to do now.
        var call: Connection?
        /// Whether there is something to tell the owner.
        var hasNews = false
    }

    let own: NodeID
    private let limits: LinkSettings.QueueLimits
    private let queuedBytesMax: Int
    private let unconnectedQueueTime: Duration
    /// What waits for all peers together.
    private(set) var queued = QueueSums()
    var peers: [NodeID: Peer] = [:]
    var statistics = LinkStatistics()
    var isStopping = false
    /// What the owner is still to be told.
    var events: Deque<LinkEvent> = []

    init(own: NodeID, settings: LinkSettings) {
        self.own = own
        limits = settings.queues
        queuedBytesMax = settings.queuedBytesMax
        unconnectedQueueTime = settings.unconnectedQueueTime
    }

    // MARK: The owner's calls

    mutating func connect(to peer: NodeID, at address: String, now: ContinuousClock.Instant) {
        guard peer != own, peers[peer] != nil || peers.count < Self.peersMax else { return }
        var known = peers[peer] ?? fresh(now)
        if !known.isWanted || known.address != address {
            // The node with the greater name holds back a little, so that two that start together dial once.
            known.dialAt = own < peer ? now : now + .milliseconds(100)
            known.failures = 0
        }
        if !known.isWanted, known.active == nil { known.unconnectedSince = now }
        known.address = address
        known.isWanted = true
        peers[peer] = known
    }

    /// - Returns: the connections to end.
    mutating func disconnect(from peer: NodeID) -> [Connection] {
        guard var known = peers.removeValue(forKey: peer) else { return [] }
        statistics.lost += queued.counting(&known.queues) { $0.clear() }.frames
        if known.active != nil { told(.down(peer, reason: "This node ended the connection.")) }
        return [known.active, known.next].compactMap { $0 }
    }

    /// - Returns: what became of the frame, and the connection whose writer should be called.
    mutating func send(
        _ frame: [UInt8], kind: LinkKind, to peer: NodeID, now: @autoclosure () -> ContinuousClock.Instant
    ) -> (LinkSend, Connection?) {
        guard frame.count <= PeerLinkLimits.frameBytesMax else { return (.tooLarge, nil) }
        guard let index = peers.index(forKey: peer) else { return (.unknown, nil) }
        if peers.values[index].active == nil, now() - peers.values[index].unconnectedSince > unconnectedQueueTime {
            emptyQueue(index)
            return (.unknown, nil)
        }
        let isCrowded = isCrowded(by: peers.values[index].queues, frame.count)
        let isQueued = queued.counting(&peers.values[index].queues) { $0.append(frame, kind: kind, isCrowded: isCrowded) }
        guard isQueued else { return (.full, nil) }
        guard peers.values[index].writerSleeps, let writer = sender(of: peers.values[index]) else { return (.queued, nil) }
        peers.values[index].writerSleeps = false
        return (.queued, writer)
    }

    /// The connection frames leave on.
    private func sender(of peer: Peer) -> Connection? { peer.movedOut ? peer.next : peer.active }

    private mutating func emptyQueue(_ index: Dictionary<NodeID, Peer>.Index) {
        guard !peers.values[index].queues.isEmpty else { return }
        let id = peers.keys[index]
        let cleared = queued.counting(&peers.values[index].queues) { $0.clear() }
        statistics.lost += cleared.frames
        for kind in cleared.writable { told(.writable(id, kind)) }
    }

    /// Whether all peers together have so much waiting that a peer gets no more: all of it, or half and its even share of that.
    private func isCrowded(by queues: SendQueues, _ bytes: Int) -> Bool {
        if queued.bytes + bytes > queuedBytesMax { return true }
        guard queued.bytes > queuedBytesMax / 2 else { return false }
        return queues.bytes + bytes > queuedBytesMax / 2 / max(1, queued.peers)
    }

    // MARK: Connections

    /// Decides on a connection whose greetings have been exchanged or are about to be.
    mutating func open(_ connection: Connection, succeeds: UInt64, now: ContinuousClock.Instant) -> Decision {
        let id = connection.peer
        guard !isStopping else { return .refused("The node is stopping.") }
        guard peers[id] != nil || peers.count < Self.peersMax else { return .refused("This node knows too many peers.") }
        guard !connection.isDialled || peers[id]?.isWanted == true else { return .refused("Nobody wants this connection any more.") }
        if let active = peers[id]?.active {
            if succeeds == active.number, connection.isDialled == active.isDialled, connection.instance == active.instance {
                guard peers[id]?.next == nil else { return .refused("Another connection succeeds that one already.") }
                peers[id]?.next = connection
                return .succeeds(active, isReadable: peers[id]?.movedIn ?? false)
            }
            guard connection.instance == active.instance else { return .ask(active) }
            if connection.isDialled { return .refused("The peer has connected meanwhile.") }
            // The dialler of the active connection dials again: it has lost it, and we have not noticed yet.
            // If both dialled at once, the dial of the node with the lesser name counts.
            guard !active.isDialled || id < own else { return .refused("This node has connected meanwhile.") }
            return .replaces(active)
        }
        guard succeeds == 0 else { return .refused("The connection to succeed is gone.") }
        if !connection.isDialled, peers[id]?.hasGreeted == true, own < id {
            return .refused("Both nodes dialled at once; the other dial counts.")
        }
        var known = peers[id] ?? fresh(now)
        known.active = connection
        known.failures = 0
        known.writerSleeps = false
        if now - known.unconnectedSince > unconnectedQueueTime { statistics.lost += queued.counting(&known.queues) { $0.clear() }.frames }
        peers[id] = known
        statistics.connections += 1
        statistics.peersUp += 1
        told(.up(id))
        return .stands
    }

    /// Whether a dial may greet: not if the peer has connected to us meanwhile.
    mutating func mayGreet(_ peer: NodeID, succeeding: UInt64) -> Bool {
        guard let known = peers[peer], known.isWanted, !isStopping else { return false }
        guard known.active?.number ?? 0 == succeeding else { return false }
        peers[peer]?.hasGreeted = true
        return true
    }

    /// Takes a connection out, with all that depends on it.
    ///
    /// - Returns: another connection that must end with it.
    mutating func close(_ connection: Connection, reason: String, now: ContinuousClock.Instant) -> Connection? {
        let id = connection.peer
        guard var known = peers[id] else { return nil }
        if known.next === connection {
            known.next = nil
            let isHalfMoved = known.movedOut || known.movedIn
            peers[id] = known
            // What moved half way cannot move back; a clean end is better than a doubtful order.
            return isHalfMoved ? known.active : nil
        }
        guard known.active === connection else { return nil }
        let heir = known.next
        known.active = nil
        known.next = nil
        known.movedOut = false
        known.movedIn = false
        known.assembly = FrameAssembly()
        known.writerSleeps = true
        known.unconnectedSince = now
        known.dialAt = now
        let cleared = queued.counting(&known.queues) { $0.clear() }
        statistics.lost += cleared.frames
        statistics.peersUp -= 1
        told(.down(id, reason: reason))
        for kind in cleared.writable { told(.writable(id, kind)) }
        peers[id] = known.isWanted ? known : nil
        return heir
    }

    // MARK: Writing and reading

    /// What to write next on a connection; nil sends its writer to sleep until it is called.
    mutating func work(for connection: Connection) -> Work? {
        var work = Work()
        work.packet.control = connection.takeControl()
        let id = connection.peer
        if let index = peers.index(forKey: id), sender(of: peers.values[index]) === connection {
            if connection === peers.values[index].active, let next = peers.values[index].next {
                peers.values[index].movedOut = true
                work.packet.control.append(.moved)
                work.isLast = true
                work.call = next
                if peers.values[index].movedIn { promote(index) }
                return work
            }
            take(from: index, into: &work)
        }
        work.hasNews = !events.isEmpty
        guard work.packet.control.isEmpty, work.packet.frames.isEmpty else { return work }
        if let index = peers.index(forKey: id), sender(of: peers.values[index]) === connection { peers.values[index].writerSleeps = true }
        return nil
    }

    private mutating func take(from index: Dictionary<NodeID, Peer>.Index, into work: inout Work) {
        guard !peers.values[index].queues.isEmpty else { return }
        let batch = queued.counting(&peers.values[index].queues) { $0.next(bytesWanted: WireLimits.packetBytesWanted) }
        work.packet.frames = batch.pieces
        for place in batch.ended.indices {
            statistics.sent[place].frames += batch.ended[place]
            statistics.sent[place].bytes += batch.bytes[place]
        }
        let id = peers.keys[index]
        for kind in batch.writable { told(.writable(id, kind)) }
    }

    /// Takes in the frames of a packet; those of a connection that no longer counts are dropped.
    mutating func receive(_ pieces: [FramePiece], on connection: Connection) throws(BrumeError) {
        let id = connection.peer
        guard let index = peers.index(forKey: id) else { return }
        let receiver = peers.values[index].movedIn ? peers.values[index].next : peers.values[index].active
        guard receiver === connection else { return }
        for piece in pieces {
            let place = Int(piece.kind.rawValue)
            statistics.received[place].bytes += piece.payload.count
            guard let frame = try peers.values[index].assembly.add(piece) else { continue }
            statistics.received[place].frames += 1
            told(.received(frame, kind: piece.kind, from: id))
        }
    }

    /// The peer has written its last on this connection; what follows comes on the next.
    ///
    /// - Returns: the connection that may be read now.
    mutating func moved(_ connection: Connection) -> Connection? {
        guard let index = peers.index(forKey: connection.peer), peers.values[index].active === connection, !peers.values[index].movedIn
        else { return nil }
        // The peer's answer to our dial may be under way still; the next connection is then readable as soon as it opens.
        peers.values[index].movedIn = true
        let next = peers.values[index].next
        if peers.values[index].movedOut { promote(index) }
        return next
    }

    private mutating func promote(_ index: Dictionary<NodeID, Peer>.Index) {
        peers.values[index].active = peers.values[index].next
        peers.values[index].next = nil
        peers.values[index].movedOut = false
        peers.values[index].movedIn = false
        statistics.connections += 1
    }

    // MARK: Telling

    mutating func told(_ event: LinkEvent) { events.append(event) }

    private func fresh(_ now: ContinuousClock.Instant) -> Peer {
        Peer(dialAt: now, unconnectedSince: now, queues: SendQueues(limits: limits))
    }
}
