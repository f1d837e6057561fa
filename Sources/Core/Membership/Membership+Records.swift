// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// What becomes of statements about members.
extension Membership {
    mutating func merge(_ record: MemberRecord, now: Instant) {
        guard record.id != own.id else { return mergeOwn(record, now: now) }
        guard let before = roster[record.id]?.record else { return apply(record, now: now) }
        if record.supersedes(before) { return apply(record, now: now) }
        let isSame = record.incarnation == before.incarnation && record.session == before.session
        if isSame, record.status == .suspect, before.status == .suspect {
            for accuser in record.accusers { confirm(record.id, accuser) }
        }
    }

    /// What a whole list says of the dead is old: after a partition each side holds the other's for dead. So a member that is present
    /// here is suspected at first, and may contradict.
    func doubted(_ record: MemberRecord, by peer: NodeID) -> MemberRecord {
        guard record.status == .dead, roster[record.id]?.record.status.isPresent ?? false else { return record }
        var doubted = record
        doubted.status = .suspect
        doubted.accusers = [peer]
        return doubted
    }

    /// Writes a record that supersedes what was known, passes it on and tells the owner.
    mutating func apply(_ record: MemberRecord, now: Instant) {
        let before = roster[record.id]?.record
        guard roster.put(record, now: now) else {
            let most = settings.recordsMax
            let reason = "the list holds \(most) nodes already; remove some that are gone"
            return output.events.append(.refused(from: record.id, reason: reason))
        }
        if record.status != .suspect { revision += 1 }
        news.add(record.id)
        if record.status.isPresent, !(before?.status.isPresent ?? false) { scheduleProbe(record.id) }
        if !record.status.isPresent { probes.removeAll { $0.target == record.id } }
        tell(record, before)
        if record.status == .suspect { beginSuspicion(record, now: now) }
    }

    private mutating func tell(_ record: MemberRecord, _ before: MemberRecord?) {
        var isPresent = false
        switch record.status {
        case .alive, .suspect: isPresent = true
        case .dead: output.events.append(before == nil ? .joined(record) : .dead(record))
        case .left: output.events.append(before == nil ? .joined(record) : .left(record))
        case .removed: output.events.append(.removed(record))
        }
        guard isPresent else { return }
        guard let before else { return output.events.append(.joined(record)) }
        if !before.status.isPresent || before.session != record.session {
            output.events.append(.returned(record))
        } else if before.status == .suspect, record.status == .alive {
            output.events.append(.trusted(record))
        }
        if before.isDraining != record.isDraining { output.events.append(.drained(record)) }
        if before.meta != record.meta { output.events.append(.metaChanged(record)) }
    }

    // MARK: Suspicion

    /// This node got no answer.
    mutating func suspect(_ id: NodeID, now: Instant) {
        guard var record = roster[id]?.record, record.status.isPresent else { return }
        counts.suspicions += 1
        if record.status == .suspect { return confirm(id, own.id) }
        record.status = .suspect
        record.accusers = [own.id]
        apply(record, now: now)
    }

    private mutating func beginSuspicion(_ record: MemberRecord, now: Instant) {
        let accuser = record.accusers.first ?? own.id
        // The suspect and its accuser cannot confirm; whoever is left can.
        let expected = min(settings.confirmations, max(0, roster.present.count - 1))
        roster.setSuspicion(Suspicion(since: now, expected: expected), of: record.id)
        output.events.append(.suspected(record, by: accuser))
        // Some of those that hear of it try for themselves: either it hears that it must contradict, or the wait gets shorter.
        if accuser != own.id, standing == .taking, chance.below(roster.present.count + 1) < settings.verifications {
            startProbe(record.id, now: now)
        }
    }

    /// Somebody else suspects it too: the wait gets shorter, and the news of it is news again, with that accuser.
    private mutating func confirm(_ id: NodeID, _ accuser: NodeID) {
        guard let entry = roster[id], let suspicion = entry.suspicion, !entry.record.accusers.contains(accuser) else { return }
        guard entry.record.accusers.count <= min(suspicion.expected, MemberRecord.accusersMax - 1) else { return }
        roster.addAccuser(accuser, of: id)
        news.add(id)
    }

    /// Declares dead whoever was suspected and has not contradicted in time.
    mutating func buryOverdue(now: Instant) {
        for id in roster.suspects {
            guard let entry = roster[id], let deadline = entry.deadline(settings), now >= deadline else { continue }
            var record = entry.record
            record.status = .dead
            record.accusers = [own.id]
            apply(record, now: now)
        }
    }

    // MARK: This node

    private mutating func mergeOwn(_ record: MemberRecord, now: Instant) {
        if record.status == .removed {
            standing = .expelled
            probes = []
            revision += 1
            return output.events.append(.expelled)
        }
        if record.session == own.session {
            let isFalse = record.status == .suspect || record.status == .dead || record.status == .left && standing == .taking
            guard record.incarnation >= own.incarnation, isFalse, standing == .taking else { return }
            counts.refutations += 1
            // Whoever is suspected may well be slow (Lifeguard).
            slowness = min(settings.slownessMax, slowness + 1)
            return beginIncarnation(after: record.incarnation, now: now)
        }
        guard record.incarnation >= own.incarnation, standing == .taking else { return }
        // Told of an earlier process of this node, or of another that runs now.
        noteRival(record, now: now)
        if !isSilent { beginIncarnation(after: record.incarnation, now: now) }
    }

    /// Says something that supersedes all that was said of this node.
    mutating func beginIncarnation(after incarnation: UInt64, now: Instant) {
        guard incarnation < MemberRecord.incarnationMax else { return }
        own.incarnation = max(own.incarnation, incarnation) + 1
        own.ageMilliseconds = age(now)
        revision += 1
        news.add(own.id)
        nextGossip = now
    }

    private func age(_ now: Instant) -> UInt64 { UInt64(max(0, (now - started).wholeNanoseconds / 1_000_000)) }

    /// Most other processes with this identity that are remembered; old ones fall out.
    private static let rivalsMax = 8
    /// So often a rival must answer this node's incarnations before it is believed to run: late news of an earlier process can look
    /// like one answer, hardly like three.
    private static let rivalAnswers = 3
    /// Processes of so nearly one age are told apart by their sessions.
    private static let sameAgeMilliseconds: UInt64 = 5_000

    private mutating func noteRival(_ record: MemberRecord, now: Instant) {
        guard let position = rivals.firstIndex(where: { $0.session == record.session }) else {
            if rivals.count >= Self.rivalsMax { rivals.removeFirst() }
            rivals.append(Rival(session: record.session, answers: 0, isTold: false))
            return
        }
        // Only the process itself says `alive`, and it went past an incarnation that had gone past it.
        guard record.status == .alive else { return }
        rivals[position].answers += 1
        guard rivals[position].answers >= Self.rivalAnswers else { return }
        rivals[position].answers = 0
        let mine = age(now)
        let theirs = record.ageMilliseconds
        let isClose = max(mine, theirs) - min(mine, theirs) < Self.sameAgeMilliseconds
        // The one that has run longer stays: a copy must not push out the original.
        let yields = isClose ? own.session < record.session : mine < theirs
        if yields {
            standing = .yielded
            probes = []
        }
        if yields || !rivals[position].isTold {
            output.events.append(.identityClash(otherSession: record.session, yields: yields))
        }
        rivals[position].isTold = true
    }
}
