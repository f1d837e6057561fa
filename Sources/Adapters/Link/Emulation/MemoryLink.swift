// SPDX-License-Identifier: Apache-2.0

package import BrumeModel
import Synchronization

/// Links between nodes of one process, without sockets: for tests of what lies above.
///
/// A frame is handed over on the sender's thread, unless the receiver is at work on another one; then it waits, up to a limit.
package final class MemoryNetwork: Sendable {
    private struct State {
        var owners: [NodeID: EventPump] = [:]
        /// Pairs that are connected, the lesser name first.
        var pairs: Set<Pair> = []
        /// Whom to tell when a full receiver has room again.
        var refused: [NodeID: Set<Refusal>] = [:]
    }

    private struct Pair: Hashable {
        let first: NodeID
        let second: NodeID

        init(_ left: NodeID, _ right: NodeID) {
            first = min(left, right)
            second = max(left, right)
        }
    }

    private struct Refusal: Hashable {
        let sender: NodeID
        let kind: LinkKind
    }

    private let state = Mutex(State())
    /// Events that may wait for a node that is at work.
    private let waitingMax: Int

    package init(waitingMax: Int = 4_096) { self.waitingMax = waitingMax }

    /// A node's link in this network; `connect(to:at:)` ignores the address.
    package func link(of node: NodeID, events: @escaping @Sendable (LinkEvent) -> Void) -> MemoryLink {
        state.withLock { $0.owners[node] = EventPump(events) }
        return MemoryLink(node: node, network: self)
    }

    /// Ends a node as a power cut would: its peers are told that it is gone.
    package func remove(_ node: NodeID) {
        let peers = state.withLock { state in
            state.owners[node] = nil
            return state.pairs.filter { $0.first == node || $0.second == node }.map { $0.first == node ? $0.second : $0.first }
        }
        for peer in peers.sorted() { disconnect(peer, from: node, reason: "The peer's end of the connection vanished.") }
    }

    func connect(_ node: NodeID, to peer: NodeID) {
        let pumps = state.withLock { state -> [EventPump] in
            guard node != peer, let left = state.owners[node], let right = state.owners[peer],
                state.pairs.insert(Pair(node, peer)).inserted
            else { return [] }
            left.put(.up(peer))
            right.put(.up(node))
            return [left, right]
        }
        for pump in pumps { pump.drain() }
    }

    func disconnect(_ node: NodeID, from peer: NodeID, reason: String) {
        let pumps = state.withLock { state -> [EventPump] in
            guard state.pairs.remove(Pair(node, peer)) != nil else { return [] }
            state.owners[node]?.put(.down(peer, reason: reason))
            state.owners[peer]?.put(.down(node, reason: "The peer ended the connection."))
            return [state.owners[node], state.owners[peer]].compactMap { $0 }
        }
        for pump in pumps { pump.drain() }
    }

    func send(_ frame: [UInt8], kind: LinkKind, from node: NodeID, to peer: NodeID) -> LinkSend {
        guard frame.count <= PeerLinkLimits.frameBytesMax else { return .tooLarge }
        let (result, pump) = state.withLock { state -> (LinkSend, EventPump?) in
            guard state.pairs.contains(Pair(node, peer)), let pump = state.owners[peer] else { return (.unknown, nil) }
            guard pump.count < waitingMax else {
                state.refused[peer, default: []].insert(Refusal(sender: node, kind: kind))
                return (.full, nil)
            }
            pump.put(.received(frame, kind: kind, from: node))
            return (.queued, pump)
        }
        pump?.drain()
        if pump != nil { tellRoom(at: peer) }
        return result
    }

    private func tellRoom(at peer: NodeID) {
        let pumps = state.withLock { state -> [EventPump] in
            guard let pump = state.owners[peer], pump.count <= waitingMax / 2, let refused = state.refused.removeValue(forKey: peer)
            else { return [] }
            return refused.compactMap { refusal in
                state.owners[refusal.sender]?.put(.writable(peer, refusal.kind))
                return state.owners[refusal.sender]
            }
        }
        for pump in pumps { pump.drain() }
    }
}

/// One node's end of a ``MemoryNetwork``.
package final class MemoryLink: PeerLink {
    private let node: NodeID
    private let network: MemoryNetwork

    init(node: NodeID, network: MemoryNetwork) {
        self.node = node
        self.network = network
    }

    package func send(_ frame: [UInt8], kind: LinkKind, to peer: NodeID) -> LinkSend {
        network.send(frame, kind: kind, from: node, to: peer)
    }

    package func connect(to peer: NodeID, at address: String) { network.connect(node, to: peer) }

    package func disconnect(from peer: NodeID) {
        network.disconnect(node, from: peer, reason: "This node ended the connection.")
    }
}
