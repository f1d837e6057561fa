// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
public import BrumeModel

/// A caller that waits.
struct Wait {
    let ticket: StateTicket
    let deadline: Instant
    var aim: Aim

    enum Aim {
        /// A batch to come so far, to nodes that keep its namespaces.
        case settled(WriteMark, Settlement, [String])
        /// The replica to have what a session has seen.
        case session(SessionToken)
        /// Answers to a question for objects.
        case answers(Answers)
        /// Whole key spaces to be here.
        case filled([SpaceID])
        case exclusive(ObjectKey)
        case rights(ObjectKey, Int64)
    }

    /// A question to several peers.
    struct Answers {
        let nonce: UInt64
        var asked: [NodeID]
        var came: [NodeID] = []
        /// How many must answer; nil where one that keeps the namespace is enough, and nobody is.
        let needed: Int?
        /// Whether one answered that keeps the namespace.
        var isHeld = false
    }
}

/// All callers that wait, oldest first.
struct Waits {
    private(set) var list: [Wait] = []
    private var lastTicket: UInt64 = 0

    /// Whether somebody waits for peers' acknowledgements, so that they should come at once.
    var wantsAcknowledgement: Bool {
        list.contains { if case .settled(_, .replicas, _) = $0.aim { true } else { false } }
    }

    var nextDeadline: Instant? { list.lazy.map(\.deadline).min() }
    var count: Int { list.count }
    /// Whether some wait is for answers that bring objects.
    var hasQuestions: Bool {
        list.contains { if case .answers = $0.aim { true } else { false } }
    }
    /// Whether some wait asks again and again.
    var hasAskers: Bool {
        list.contains {
            switch $0.aim {
            case .exclusive, .rights: true
            default: false
            }
        }
    }

    mutating func add(_ aim: Wait.Aim, until deadline: Instant) -> StateTicket {
        lastTicket += 1
        let ticket = StateTicket(number: lastTicket)
        list.append(Wait(ticket: ticket, deadline: deadline, aim: aim))
        return ticket
    }

    func expects(_ nonce: UInt64, from node: NodeID) -> Bool {
        list.contains { if case .answers(let answers) = $0.aim { answers.nonce == nonce && answers.asked.contains(node) } else { false } }
    }

    mutating func answered(_ nonce: UInt64, by node: NodeID, isHeld: Bool) {
        for index in list.indices {
            guard case .answers(var answers) = list[index].aim, answers.nonce == nonce else { continue }
            answers.asked.removeAll { $0 == node }
            // Who does not have all of it counts for nothing where a number of nodes is asked for.
            if isHeld || answers.needed == nil { answers.came.append(node) }
            answers.isHeld = answers.isHeld || isHeld
            list[index].aim = .answers(answers)
        }
    }

    /// A node that was asked cannot answer any more.
    mutating func lost(_ node: NodeID) {
        for index in list.indices {
            guard case .answers(var answers) = list[index].aim else { continue }
            answers.asked.removeAll { $0 == node }
            list[index].aim = .answers(answers)
        }
    }

    /// Ends all waits for batches of an incarnation that is no more.
    mutating func failMarks(_ error: StateError, into outputs: inout [StateOutput]) {
        list.removeAll { wait in
            guard case .settled = wait.aim else { return false }
            outputs.append(.ready(wait.ticket, error))
            return true
        }
    }

    /// Forgets waits that are over; given in the order in which they began.
    mutating func remove(_ ended: [StateTicket]) {
        var next = ended[...]
        list.removeAll { wait in
            guard wait.ticket == next.first else { return false }
            next.removeFirst()
            return true
        }
    }
}

extension Replica {
    /// Begins to wait for writes to come so far; nil where there is nothing to wait for.
    ///
    /// - Throws: `StateError`: `unavailable` where it can never come, or too many wait.
    public mutating func wait(
        for mark: WriteMark, _ level: Settlement, until deadline: Instant, _ now: StateTime
    ) throws(StateError) -> StateTicket? {
        // Who waits pays for no company.
        if case .replicas = level, isDirty { flush(now) }
        let names = recent.namespaces(of: mark.batch)
        if isSettled(mark, level, names) { return nil }
        if case .replicas(let count) = level { try checkKeepers(names, atLeast: count) }
        try checkWaitCount()
        let ticket = waits.add(.settled(mark, level, names), until: deadline)
        if isDirty { flush(now) }
        return ticket
    }

    private func checkWaitCount() throws(StateError) {
        guard waits.count < settings.waitsMax else {
            throw StateError(.unavailable, "\(waits.count) calls wait already for other nodes; try again later.")
        }
    }

    /// Whether writes up to the mark have come so far; a peer that does not keep the namespaces has nothing of them.
    private func isSettled(_ mark: WriteMark, _ level: Settlement, _ names: [String]) -> Bool {
        switch level {
        case .accepted: return true
        case .durable: return mark.batch <= durableBatch
        case .replicas(let count):
            if count <= 1 { return mark.batch <= durableBatch }
            guard mark.batch <= durableBatch, mark.batch < nextBatch else { return mark.batch == 0 }
            let having = peers.filter { peer in
                peer.isMember && peer.durable >= mark.batch && names.allSatisfy { peer.interest.keeps($0) }
            }
            return 1 + having.count >= count
        }
    }

    /// Begins to wait for what an operation needs; nil where it is here.
    ///
    /// - Throws: `StateError`: `unavailable` where it can never come, or too many wait.
    public mutating func wait(for need: StateNeed, until deadline: Instant, _ now: StateTime) throws(StateError) -> StateTicket? {
        switch need {
        case .session(let token):
            if covers(token) { return nil }
            try checkWaitCount()
            for peer in peers where peer.isUp { pulls.request(peer.node, full: true) }
            beginPulls(now)
            return waits.add(.session(token), until: deadline)
        case .present(let keys):
            for key in keys { use(key.space, now) }
            if keys.allSatisfy({ isPresent($0.space) }) { return nil }
            // Whoever keeps them and does not answer cannot be waited for: in a partition there is what is here.
            let asked = peers.filter { peer in
                keys.contains { key in suppliers(of: spaces[key.space.index].namespace).contains { $0 === peer } }
            }
            guard !asked.isEmpty else { return nil }
            // No name stands for all of them: whoever cannot say yet which objects it will use.
            if keys.contains(where: { $0.name.isEmpty }) {
                try checkWaitCount()
                for peer in asked { pulls.request(peer.node, full: true) }
                beginPulls(now)
                return waits.add(.filled(keys.map(\.space)), until: deadline)
            }
            return try ask(asked, keys, needed: nil, until: deadline, now)
        case .quorum(let keys, let count):
            guard count > 1 else { return nil }
            let names = keys.map { name(of: $0.space).namespace }
            try checkKeepers(names, atLeast: count)
            let asked = peers.filter { peer in peer.isMember && peer.isUp && names.allSatisfy { peer.interest.keeps($0) } }
            return try ask(asked, keys, needed: count - 1, until: deadline, now)
        case .exclusive(let key):
            if owns(key, now) { return nil }
            use(key.space, now)
            try checkKeepers([name(of: key.space).namespace], atLeast: majority)
            try checkWaitCount()
            let ticket = waits.add(.exclusive(key), until: deadline)
            seekLease(key, now)
            return ticket
        case .rights(let key, let amount):
            if try hasRights(key, amount, now) { return nil }
            try checkWaitCount()
            let ticket = waits.add(.rights(key, amount), until: deadline)
            seekRights(key, amount, now)
            return ticket
        }
    }

    private mutating func ask(
        _ asked: [Peer], _ keys: [ObjectKey], needed: Int?, until deadline: Instant, _ now: StateTime
    ) throws(StateError) -> StateTicket {
        try checkWaitCount()
        if let needed, asked.count < needed {
            throw StateError(
                .unavailable, "The call asks for \(needed + 1) nodes, and \(asked.count + 1) answer; try again or ask for fewer.")
        }
        nextNonce += 1
        let nonce = nextNonce
        for peer in asked {
            var writer = Frame.writer(peer.version >= 3 ? .fetchWanted : .fetch, site: site, time: clock.now(wall: now.wallMilliseconds))
            writer.varint(nonce)
            writer.count(keys.count)
            for key in keys {
                writer.spaceName(name(of: key.space))
                writer.string(key.name)
            }
            transmit(writer.bytes, .state, to: peer)
        }
        return waits.add(.answers(Wait.Answers(nonce: nonce, asked: asked.map(\.node), needed: needed)), until: deadline)
    }

    /// Ends the waits that are over.
    mutating func checkWaits(_ now: StateTime) {
        guard waits.count > 0 else { return }
        var ended: [StateTicket] = []
        for wait in waits.list {
            guard let result = outcome(of: wait, now) else { continue }
            ended.append(wait.ticket)
            outputs.append(.ready(wait.ticket, result))
        }
        if !ended.isEmpty { waits.remove(ended) }
    }

    /// Nil while it goes on.
    private func outcome(of wait: Wait, _ now: StateTime) -> StateError?? {
        let isLate = wait.deadline <= now.instant
        switch wait.aim {
        case .settled(let mark, let level, let names):
            if isSettled(mark, level, names) { return .some(nil) }
        case .session(let token):
            if covers(token) { return .some(nil) }
        case .answers(let answers):
            if let needed = answers.needed {
                if answers.came.count >= needed { return .some(nil) }
                if answers.came.count + answers.asked.count < needed {
                    return StateError(
                        .unavailable, "Too few nodes answer for the quorum that the call asks for; try again or ask for fewer.")
                }
            } else if answers.isHeld || answers.asked.isEmpty || isLate {
                // Nobody who answers has it: then there is nothing but what is here.
                return .some(nil)
            }
        case .filled(let list):
            // In a partition there is what is here.
            if isLate || list.allSatisfy({ suppliers(of: spaces[$0.index].namespace).isEmpty }) { return .some(nil) }
        case .exclusive(let key):
            if owns(key, now) { return .some(nil) }
        case .rights(let key, let amount):
            if (try? hasRights(key, amount, now)) ?? false { return .some(nil) }
        }
        guard isLate else { return nil }
        return StateError(.unavailable, "Other nodes did not answer in time; the network may be cut. Try again, or ask for less.")
    }
}
