// SPDX-License-Identifier: Apache-2.0

public import BrumeModel

extension Replica {
    /// Does what is due: flushes, acknowledges, repeats, compares, expires, collects. Call it at ``wake``, or whenever convenient.
    public mutating func tick(_ now: StateTime) {
        lastInstant = max(lastInstant, now.instant)
        if let due = flushDue, due <= now.instant { flush(now) }
        if nextRepair <= now.instant { repairSome(now) }
        beginPulls(now)
        let beats = nextHeartbeat <= now.instant
        if beats {
            nextHeartbeat = now.instant + settings.heartbeat
            advanceStability()
            ripen()
            catchUp()
            groups.collect(through: stable)
            if !hasQuestions { forgotten.clear() }
            releaseIdle(now)
            trimRing()
            for space in spaces { space.refresh(limit: settings.sweepMax) }
        }
        for peer in peers where peer.isUp {
            if let due = peer.resendAt, due <= now.instant { resendAll(to: peer, now) }
            if beats || peer.tellsAt.map({ $0 <= now.instant }) ?? false { sendStatus(to: peer, now) }
        }
        expire(now)
        collectShells()
        if beats { collectRests() }
        renewLeases(now)
        continueHandover(now)
        retryRights(now)
        checkWaits(now)
    }

    private mutating func resendAll(to peer: Peer, _ now: StateTime) {
        counts.resendRounds += 1
        peer.rewind(to: peer.acked)
        peer.resendAfter = min(peer.resendAfter * 2, settings.resendMax)
        pump(peer, now)
    }

    /// Compares with one peer at a time, in turn: in the course of an interval for each, with all.
    private mutating func repairSome(_ now: StateTime) {
        let up = peers.filter { $0.isUp && $0.isMember }
        guard !up.isEmpty else {
            nextRepair = now.instant + settings.repairInterval
            return
        }
        nextRepair = now.instant + settings.repairInterval / up.count
        repairTurn += 1
        pulls.request(up[repairTurn % up.count].node, full: false)
        for peer in up where membership.holds.contains(peer.node) || !allSourcesFilled(peer.node) { pulls.request(peer.node, full: true) }
    }

    private func allSourcesFilled(_ node: NodeID) -> Bool {
        namespaces.allSatisfy { $0.interest.isFilled || !$0.interest.sources.contains(node) }
    }

    private mutating func retryRights(_ now: StateTime) {
        guard nextRightsAt <= now.instant else { return }
        nextRightsAt = now.instant + .milliseconds(100)
        for wait in waits.list {
            if case .rights(let key, let amount) = wait.aim { seekRights(key, amount, now) }
        }
    }

    /// When ``tick(_:)`` has something to do; nil when nothing is due before something comes in.
    public var wake: Instant? {
        var first: Instant? = nil
        func take(_ due: Instant?) {
            if let due { first = min(first ?? due, due) }
        }
        take(flushDue)
        take(waits.nextDeadline)
        if !peers.isEmpty || !spaces.isEmpty { take(nextHeartbeat) }
        for peer in peers where peer.isUp {
            take(peer.resendAt)
            take(peer.tellsAt)
            take(nextRepair)
        }
        for pull in pulls.active { take(pull.deadline) }
        for receiver in handover?.receivers ?? [] where !receiver.isDone { take(max(receiver.nextAsk, lastInstant + .milliseconds(50))) }
        if waits.hasAskers { take(max(nextRightsAt, lastInstant + .milliseconds(50))) }
        return first
    }
}
