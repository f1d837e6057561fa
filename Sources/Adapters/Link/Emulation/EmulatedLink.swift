// SPDX-License-Identifier: Apache-2.0

package import BrumeModel
import NIOCore
import NIOPosix
import Synchronization

/// A link with a bad network in front of it: what is sent over it is delayed, throttled, lost or cut, per peer, changeable at any time.
///
/// It shapes what leaves this node; both directions of a pair are shaped when both nodes have one. A cut stops both directions here.
///
/// ```swift
/// let emulated = EmulatedLink(seed: 7) { event in ... }
/// emulated.attach(GRPCLink(..., events: { emulated.pass($0) }))
/// emulated.set(conditions, to: peer)
/// ```
package final class EmulatedLink: PeerLink {
    /// Events that may wait for the owner; received frames beyond them are lost, as on an overrun line.
    private static let waitingMax = 65_536

    private let state: Mutex<EmulatedLines>
    private let base = Mutex<(any PeerLink)?>(nil)
    private let pump: EventPump
    /// One alarm for each line.
    private let alarms = Mutex<[NodeID: Scheduled<Void>]>([:])
    private let loop: any EventLoop
    private let noticeAfter: Duration

    /// - Parameters:
    ///   - seed: fixes which frames are lost and how much they jitter, by their order.
    ///   - noticeAfter: time after which a cut is told as `down`: what a real link's keepalive needs.
    ///   - queues: room for frames under way to one peer; beyond it a sender is told `full`.
    package init(
        seed: UInt64, noticeAfter: Duration = .seconds(5), queues: LinkSettings.QueueLimits = LinkSettings.QueueLimits(),
        events: @escaping @Sendable (LinkEvent) -> Void
    ) {
        state = Mutex(EmulatedLines(seed: seed, limits: queues))
        pump = EventPump(events)
        loop = MultiThreadedEventLoopGroup.singleton.next()
        self.noticeAfter = noticeAfter
    }

    /// The link underneath; called once, before anything is sent.
    package func attach(_ base: any PeerLink) { self.base.withLock { $0 = base } }

    /// What the link underneath tells.
    package func pass(_ event: LinkEvent) {
        let blocked = state.withLock { state -> NodeID? in
            switch event {
            case .up(let peer):
                if state.connected(peer, isUp: true) { pump.put(event) }
            case .down(let peer, _):
                if state.connected(peer, isUp: false) { pump.put(event) }
            case .received(_, _, let peer):
                if !state.conditions(to: peer).isCut, pump.count < Self.waitingMax { pump.put(event) } else { state.lost += 1 }
            case .writable(let peer, let kind):
                // The head of the line may have waited for this; the owner waits for room in the line, if there is one.
                if state.isEmpty(to: peer) { pump.put(.writable(peer, kind)) }
                return peer
            }
            return nil
        }
        if let blocked { advance(blocked) }
        pump.drain()
    }

    /// Conditions towards one peer from now on.
    package func set(_ conditions: NetworkConditions, to peer: NodeID) { change([peer]) { $0.set(conditions, to: peer) } }

    /// Conditions towards all peers, also those to come, in place of any set before.
    package func setAll(_ conditions: NetworkConditions) {
        change(state.withLock { $0.known }) { $0.setAll(conditions) }
    }

    /// Frames lost by emulation so far.
    package var lost: Int { state.withLock { $0.lost } }

    private func change(_ peers: [NodeID], _ body: (inout EmulatedLines) -> Void) {
        let cut = state.withLock { state -> [NodeID] in
            let before = peers.map { state.conditions(to: $0).isCut }
            body(&state)
            var cut: [NodeID] = []
            for (peer, wasCut) in zip(peers, before) {
                let isCut = state.conditions(to: peer).isCut
                if isCut, !wasCut { cut.append(peer) }
                if !isCut, wasCut, state.heal(peer) { pump.put(.up(peer)) }
            }
            return cut
        }
        for peer in cut {
            loop.scheduleTask(in: TimeAmount(noticeAfter)) {
                self.state.withLock { state in
                    if state.noticeCut(peer) { self.pump.put(.down(peer, reason: "The peer no longer answers.")) }
                }
                self.pump.drain()
            }
        }
        for peer in peers { advance(peer) }
        pump.drain()
    }

    // MARK: PeerLink

    package func send(_ frame: [UInt8], kind: LinkKind, to peer: NodeID) -> LinkSend {
        guard frame.count <= PeerLinkLimits.frameBytesMax else { return .tooLarge }
        let verdict = state.withLock { $0.send(frame, kind: kind, to: peer, now: .now) }
        switch verdict {
        case .straight: return base.withLock { $0 }?.send(frame, kind: kind, to: peer) ?? .unknown
        case .result(let result): return result
        case .wait:
            advance(peer)
            return .queued
        }
    }

    package func connect(to peer: NodeID, at address: String) { base.withLock { $0 }?.connect(to: peer, at: address) }

    package func disconnect(from peer: NodeID) {
        state.withLock { $0.forget(peer) }
        base.withLock { $0 }?.disconnect(from: peer)
    }

    /// Hands over what has come to its time, and sets the alarm for the rest.
    private func advance(_ peer: NodeID) {
        loop.execute {
            guard let base = self.base.withLock({ $0 }) else { return }
            // One reading of the clock for what is due and for the alarm: a frame must not come to its time between the two.
            var now = ContinuousClock.now
            while let frame = self.state.withLock({ $0.due(to: peer, now: now) }) {
                let result = base.send(frame.bytes, kind: frame.kind, to: peer)
                if result == .full {
                    self.state.withLock { $0.putBack(frame, to: peer) }
                    break
                }
                now = .now
            }
            let (next, writable) = self.state.withLock { ($0.nextAlarm(to: peer, now: now), $0.writable(to: peer)) }
            if let next {
                let alarm = self.loop.scheduleTask(in: TimeAmount(next)) { self.advance(peer) }
                self.alarms.withLock { $0.updateValue(alarm, forKey: peer) }?.cancel()
            }
            for kind in writable { self.pump.put(.writable(peer, kind)) }
            self.pump.drain()
        }
    }
}
