// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// Asking members whether they are there.
extension Membership {
    /// Most probes on their way at once: the round's, some verifications, those of lost links.
    private static let probesMax = 16
    /// Of so many probes, one goes to the neighbour.
    static let neighbourEvery = 3
    /// Most probes made for others at once.
    private static let relaysMax = 32
    /// Longest time that a slow connection gives an answer.
    private static let directTimeoutMax = Duration.seconds(1)

    /// A member that came takes its turn at a random place of the current round.
    mutating func scheduleProbe(_ id: NodeID) {
        probeOrder.removeAll { $0 == id }
        probeOrder.insert(id, at: chance.below(probeOrder.count + 1))
    }

    /// Begins the next period if it is time: one probe in turn, and one more of a suspect that this node accused.
    mutating func startPeriod(now: Instant) {
        guard now >= nextProbe, !roster.present.isEmpty else { return }
        nextProbe = now + settings.probePeriod * slowdown
        if let target = nextTarget() { startProbe(target, now: now) }
        let accused = roster.suspects.first { id in
            roster[id]?.record.accusers.first == own.id && !probes.contains { $0.target == id }
        }
        if let accused { startProbe(accused, now: now) }
    }

    /// Every third period goes to the next node in the order of identities, so that each is probed by one other at least so often: by
    /// chance alone some node of fifty is left out for five periods now and then. The others are drawn.
    private mutating func nextTarget() -> NodeID? {
        periods += 1
        if periods % Self.neighbourEvery == 0, let neighbour = neighbour(), !probes.contains(where: { $0.target == neighbour }) {
            return neighbour
        }
        // Two rounds at most: the rest of this one, and a new one.
        for _ in 0..<2 {
            while let next = probeOrder.popLast() {
                if roster[next]?.record.status.isPresent ?? false, !probes.contains(where: { $0.target == next }) { return next }
            }
            probeOrder = roster.present.shuffled(using: &chance)
        }
        return nil
    }

    /// Who follows this node among those that take part.
    private func neighbour() -> NodeID? {
        guard roster.present.count > Self.neighbourEvery else { return nil }
        return roster.present.first { $0 > own.id } ?? roster.present.first
    }

    mutating func startProbe(_ target: NodeID, now: Instant) {
        guard probes.count < Self.probesMax, !probes.contains(where: { $0.target == target }) else { return }
        let roundTrip = roster[target]?.roundTrip ?? .zero
        let direct = max(settings.directTimeout, min(roundTrip * 3, Self.directTimeoutMax)) * slowdown
        let ends = max(settings.probePeriod * slowdown, direct * 5 / 2)
        counts.probes += 1
        let number = takeNumber()
        probes.append(Probe(number: number, target: target, sent: now, asksOthersAt: now + direct, ends: now + ends))
        send(.ping(number), to: target)
    }

    private mutating func takeNumber() -> UInt64 {
        defer { nextNumber += 1 }
        return nextNumber
    }

    /// Whatever comes from a member shows that it is there.
    mutating func heard(_ body: MembershipMessage.Body, from peer: NodeID, now: Instant) {
        guard let probe = probes.first(where: { $0.target == peer }) else { return }
        if body == .ack(probe.number) { roster.noteRoundTrip(now - probe.sent, of: peer) }
        succeed { $0.target == peer }
    }

    mutating func acknowledged(_ number: UInt64, by peer: NodeID, now: Instant) {
        if let position = relays.firstIndex(where: { $0.number == number && $0.target == peer }) {
            let relay = relays.remove(at: position)
            send(.ack(relay.originNumber), to: relay.origin)
            return
        }
        // An answer by way of a helper; `heard` has settled what came from the target itself.
        if probes.contains(where: { $0.number == number }) { succeed { $0.number == number } }
    }

    private mutating func succeed(_ isMeant: (Probe) -> Bool) {
        probes.removeAll(where: isMeant)
        slowness = max(0, slowness - 1)
    }

    mutating func nacked(_ number: UInt64) {
        guard let position = probes.firstIndex(where: { $0.number == number }) else { return }
        probes[position].helpersSilent = max(0, probes[position].helpersSilent - 1)
    }

    mutating func relay(_ number: UInt64, target: NodeID, origin: NodeID, now: Instant) {
        guard target != own.id else { return send(.ack(number), to: origin) }
        guard relays.count < Self.relaysMax, roster[target].map({ $0.record.status != .removed }) ?? false else {
            return send(.nack(number), to: origin)
        }
        let mine = takeNumber()
        relays.append(
            Relay(
                number: mine, origin: origin, originNumber: number, target: target, nackAt: now + settings.directTimeout,
                ends: now + settings.probePeriod * 2))
        send(.ping(mine), to: target)
    }

    mutating func advanceRelays(now: Instant) {
        for position in relays.indices where !relays[position].hasNacked && now >= relays[position].nackAt {
            relays[position].hasNacked = true
            send(.nack(relays[position].originNumber), to: relays[position].origin)
        }
        relays.removeAll { now >= $0.ends }
    }

    mutating func advanceProbes(now: Instant) {
        for position in probes.indices where !probes[position].hasAskedOthers && now >= probes[position].asksOthersAt {
            probes[position].hasAskedOthers = true
            let probe = probes[position]
            let helpers = pick(settings.indirectProbes, besides: probe.target, now: now)
            probes[position].helpersSilent = helpers.count
            for helper in helpers { send(.pingRequest(probe.number, target: probe.target), to: helper) }
        }
        let failed = probes.filter { now >= $0.ends }
        guard !failed.isEmpty else { return }
        probes.removeAll { now >= $0.ends }
        for probe in failed {
            counts.probesFailed += 1
            // Helpers that did not even say that they are trying: the fault may be here (Lifeguard).
            slowness = min(settings.slownessMax, slowness + probe.helpersSilent)
            suspect(probe.target, now: now)
        }
    }

    /// This node stood still, stopped or starved: what it waited for may have come meanwhile and wait to be read.
    mutating func forgiveStandstill(now: Instant) {
        guard isOverdue(now) else { return }
        let late = now - promisedWake
        slowness = min(settings.slownessMax, slowness + 1)
        for position in probes.indices {
            probes[position].asksOthersAt = probes[position].asksOthersAt + late
            probes[position].ends = probes[position].ends + late
        }
        roster.postponeSuspicions(by: late)
    }
}
