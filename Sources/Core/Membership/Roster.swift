// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// The other members, in the order of their identities.
struct Roster: Sendable {
    struct Entry: Sendable {
        var record: MemberRecord
        var since: Instant
        var roundTrip: Duration?
        var suspicion: Suspicion?

        /// When it is dead if it has not contradicted; nil while nobody accuses it.
        func deadline(_ settings: MembershipSettings) -> Instant? {
            suspicion?.deadline(settings, accusers: record.accusers.count)
        }

        var member: Member { Member(record: record, since: since, roundTrip: roundTrip, isSelf: false) }
    }

    let limit: Int
    private(set) var entries: [Entry] = []
    /// Those that take part.
    private(set) var present: [NodeID] = []
    /// Those that are dead but may return.
    private(set) var dead: [NodeID] = []
    /// Those under suspicion.
    private(set) var suspects: [NodeID] = []
    private(set) var digest: UInt64 = 0

    init(limit: Int) { self.limit = limit }

    private func index(of id: NodeID) -> (position: Int, isThere: Bool) {
        let position = entries.partitioningIndex { $0.record.id >= id }
        return (position, position < entries.count && entries[position].record.id == id)
    }

    subscript(_ id: NodeID) -> Entry? {
        let (position, isThere) = index(of: id)
        return isThere ? entries[position] : nil
    }

    /// Writes a record, whatever was there before. A change of status restarts the entry's time.
    ///
    /// - Returns: false where there is no room for one more.
    mutating func put(_ record: MemberRecord, now: Instant) -> Bool {
        var (position, isThere) = index(of: record.id)
        if !isThere {
            if entries.count >= limit {
                guard forgetOldestLeft() else { return false }
                position = index(of: record.id).position
            }
            entries.insert(Entry(record: record, since: now), at: position)
        } else {
            let before = entries[position].record
            digest &-= before.digest
            if before.status != record.status { entries[position].since = now }
            if record.status != .suspect { entries[position].suspicion = nil }
            entries[position].record = record
        }
        digest &+= record.digest
        file(record.id, in: &present, record.status.isPresent)
        file(record.id, in: &dead, record.status == .dead)
        file(record.id, in: &suspects, record.status == .suspect)
        return true
    }

    mutating func setSuspicion(_ suspicion: Suspicion, of id: NodeID) {
        let (position, isThere) = index(of: id)
        if isThere { entries[position].suspicion = suspicion }
    }

    /// Adds to those that accuse a suspect.
    mutating func addAccuser(_ accuser: NodeID, of id: NodeID) {
        let (position, isThere) = index(of: id)
        if isThere { entries[position].record.accusers.append(accuser) }
    }

    /// Smooths as TCP does: an eighth of the new.
    mutating func noteRoundTrip(_ measured: Duration, of id: NodeID) {
        let (position, isThere) = index(of: id)
        guard isThere else { return }
        let before = entries[position].roundTrip ?? measured
        entries[position].roundTrip = before + (measured - before) / 8
    }

    /// Moves the deadlines of suspicions: this node stood still, and must first hear what it missed.
    mutating func postponeSuspicions(by delay: Duration) {
        for id in suspects {
            let (position, isThere) = index(of: id)
            guard isThere, let since = entries[position].suspicion?.since else { continue }
            entries[position].suspicion?.since = since + delay
        }
    }

    private mutating func forgetOldestLeft() -> Bool {
        let left = entries.indices.filter { entries[$0].record.status == .left }
        guard let oldest = left.min(by: { entries[$0].since < entries[$1].since }) else { return false }
        digest &-= entries[oldest].record.digest
        entries.remove(at: oldest)
        return true
    }

    private func file(_ id: NodeID, in list: inout [NodeID], _ belongs: Bool) {
        let position = list.partitioningIndex { $0 >= id }
        let isThere = position < list.count && list[position] == id
        if belongs, !isThere { list.insert(id, at: position) }
        if !belongs, isThere { list.remove(at: position) }
    }
}

/// How long a member has to contradict: longer while few accuse it.
struct Suspicion: Sendable, Equatable {
    var since: Instant
    /// How many further accusers make it as short as can be.
    var expected: Int

    /// - Parameter accusers: how many accuse it.
    func deadline(_ settings: MembershipSettings, accusers: Int) -> Instant {
        guard expected > 0 else { return since + settings.suspicionMin }
        let waited = min(expected, Self.shares.count - 1)
        let confirmed = max(0, min(accusers - 1, waited))
        // Lifeguard: logarithmic in the confirmations. A table keeps floating point out of decisions.
        let share = Self.shares[waited][confirmed]
        return since + settings.suspicionMax - (settings.suspicionMax - settings.suspicionMin) * share / 1_000
    }

    /// 1000 * log(c + 1) / log(k + 1) for k = 1...3 further accusers expected and c heard.
    private static let shares = [[1_000], [0, 1_000], [0, 631, 1_000], [0, 500, 792, 1_000]]
}

/// News that wait to be told, those told least first.
struct NewsQueue: Sendable {
    struct Item: Sendable {
        var id: NodeID
        var told: Int
    }

    /// In the order of `told`; at most one item for each member, so bounded by the roster's limit.
    private(set) var items: [Item] = []

    var isEmpty: Bool { items.isEmpty }

    /// Begins to tell the newest record of `id`, from the start.
    mutating func add(_ id: NodeID) {
        items.removeAll { $0.id == id }
        items.insert(Item(id: id, told: 0), at: 0)
    }

    /// The first `count` items were told once more; those that were told `limit` times are done.
    mutating func told(_ ids: [NodeID], limit: Int) {
        for id in ids {
            guard let position = items.firstIndex(where: { $0.id == id }) else { continue }
            var item = items.remove(at: position)
            item.told += 1
            if item.told >= limit { continue }
            let place = items.firstIndex { $0.told > item.told } ?? items.count
            items.insert(item, at: place)
        }
    }
}

/// A probe on its way.
struct Probe: Sendable {
    let number: UInt64
    let target: NodeID
    let sent: Instant
    /// When others are asked, while nil they were not yet.
    var asksOthersAt: Instant
    var hasAskedOthers = false
    var ends: Instant
    /// How many were asked and said nothing at all: a hint that this node itself is cut off.
    var helpersSilent = 0
}

/// A probe that this node makes for another.
struct Relay: Sendable {
    let number: UInt64
    let origin: NodeID
    let originNumber: UInt64
    let target: NodeID
    let nackAt: Instant
    var hasNacked = false
    let ends: Instant
}

/// Somebody whose list this node wants and has not got.
struct Contact: Sendable {
    let id: NodeID
    var next: Instant
    var pause: Duration
    /// Tries that are left.
    var tries: Int
}

/// A wish that another node drains, repeated until its record shows it.
struct DrainAsk: Sendable {
    let id: NodeID
    let drain: Bool
    var next: Instant
    var tries: Int
}

/// Another process with this node's identity, seen in a record.
struct Rival: Sendable {
    let session: UInt64
    /// How often it answered this node's incarnation with a higher one: what a process that ended cannot do.
    var answers: Int
    var isTold: Bool
}
