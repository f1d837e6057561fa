// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// Telling news, and comparing whole lists.
extension Membership {
    /// Most peers whose list is asked for at once.
    private static let contactsMax = 64

    /// Hands a frame to the owner; news ride on it as far as they fit, first of all what the peer must know of itself.
    mutating func send(_ body: MembershipMessage.Body, to peer: NodeID, tellsItself: Bool = false) {
        var records: [MemberRecord] = []
        var bytes = 0
        if let record = roster[peer]?.record, tellsItself || record.status != .alive {
            records.append(record)
            bytes += record.approximateBytes
        }
        var told: [NodeID] = []
        for item in news.items {
            // What it said itself is no news to it.
            guard item.id != peer, let record = statement(about: item.id) else {
                told.append(item.id)
                continue
            }
            guard bytes + record.approximateBytes <= settings.gossipBytesMax else { break }
            bytes += record.approximateBytes
            records.append(record)
            told.append(item.id)
        }
        news.told(told, limit: retransmissionLimit)
        if body == .gossip, records.isEmpty { return }
        emit(MembershipMessage(body, session: own.session, records: records), to: peer)
    }

    private mutating func emit(_ message: MembershipMessage, to peer: NodeID) {
        let bytes = message.encoded()
        counts.framesSent += 1
        counts.bytesSent += bytes.count
        output.frames.append(MembershipFrame(to: peer, bytes: bytes))
    }

    private func statement(about id: NodeID) -> MemberRecord? { id == own.id ? ownStatement : roster[id]?.record }

    /// Decimal digits of the cluster's size times the setting: what reaches everybody all but surely.
    private var retransmissionLimit: Int {
        var digits = 1
        var rest = roster.present.count + 1
        while rest >= 10 {
            digits += 1
            rest /= 10
        }
        return settings.retransmissions * digits
    }

    mutating func gossip(now: Instant) {
        nextGossip = now + settings.gossipPeriod
        for peer in pick(settings.gossipFanout, now: now) where !news.isEmpty { send(.gossip, to: peer) }
    }

    /// Up to `count` of those that take part, drawn evenly, without one.
    mutating func pick(_ count: Int, besides excluded: NodeID? = nil, now: Instant) -> [NodeID] {
        var candidates = roster.present
        if let excluded { candidates.removeAll { $0 == excluded } }
        var picked: [NodeID] = []
        while picked.count < count, !candidates.isEmpty {
            let position = chance.below(candidates.count)
            candidates.swapAt(position, candidates.count - 1)
            if let last = candidates.popLast() { picked.append(last) }
        }
        return picked
    }

    // MARK: Whole lists

    mutating func sendList(to peer: NodeID, wantsReply: Bool) {
        counts.listsSent += 1
        var part: [MemberRecord] = []
        var bytes = 0
        // This node first: it is what a peer must know to answer.
        for record in [ownStatement] + roster.entries.map(\.record) {
            if bytes + record.approximateBytes > MembershipMessage.listBytesMax {
                emit(MembershipMessage(.list(wantsReply: false), session: own.session, records: part), to: peer)
                part = []
                bytes = 0
            }
            part.append(record)
            bytes += record.approximateBytes
        }
        emit(MembershipMessage(.list(wantsReply: wantsReply), session: own.session, records: part), to: peer)
    }

    /// A way to the peer has opened: what was asked in vain is asked again at once.
    mutating func reach(_ id: NodeID, tries: Int, now: Instant) {
        guard let position = contacts.firstIndex(where: { $0.id == id }) else { return contact(id, tries: tries, now: now) }
        contacts[position].pause = settings.joinRetry
        contacts[position].next = now + settings.joinRetry
        sendList(to: id, wantsReply: true)
    }

    /// Asks a peer for its list, now and again until it comes.
    mutating func contact(_ id: NodeID, tries: Int, now: Instant) {
        guard !contacts.contains(where: { $0.id == id }), contacts.count < Self.contactsMax, standing == .taking else { return }
        contacts.append(Contact(id: id, next: now + settings.joinRetry, pause: settings.joinRetry, tries: tries))
        sendList(to: id, wantsReply: true)
    }

    mutating func advanceContacts(now: Instant) {
        contacts.removeAll { $0.tries <= 0 || roster[$0.id]?.record.status == .removed }
        for position in contacts.indices where now >= contacts[position].next {
            contacts[position].tries -= 1
            contacts[position].pause = min(contacts[position].pause * 2, settings.reconnectPeriod)
            contacts[position].next = now + contacts[position].pause
            sendList(to: contacts[position].id, wantsReply: true)
        }
    }

    mutating func advanceDrainAsks(now: Instant) {
        drainAsks.removeAll { ask in
            let record = roster[ask.id]?.record
            return ask.tries <= 0 || record?.isDraining == ask.drain || !(record?.status.isPresent ?? false)
        }
        for position in drainAsks.indices where now >= drainAsks[position].next {
            drainAsks[position].tries -= 1
            drainAsks[position].next = now + settings.probePeriod
            send(.ask(drain: drainAsks[position].drain), to: drainAsks[position].id)
        }
    }

    mutating func compareLists(now: Instant) {
        if now >= nextSync {
            // A tenth of chance keeps nodes that started together apart.
            nextSync = now + settings.syncPeriod + settings.syncPeriod * chance.below(100) / 1_000
            if let peer = pick(1, now: now).first { send(.digest(digest), to: peer) }
        }
        if now >= nextReconnect {
            nextReconnect = now + settings.reconnectPeriod + settings.reconnectPeriod * chance.below(100) / 1_000
            if !roster.dead.isEmpty { send(.digest(digest), to: roster.dead[chance.below(roster.dead.count)]) }
        }
    }
}

extension MemberRecord {
    /// What it takes in a frame, not less.
    var approximateBytes: Int {
        var bytes = 66 + 16 * accusers.count + meta.address.utf8.count + meta.version.utf8.count
        for label in meta.labels { bytes += label.key.utf8.count + label.value.utf8.count + 4 }
        for pair in meta.pairs { bytes += pair.key.utf8.count + pair.value.count + 4 }
        return bytes
    }
}
