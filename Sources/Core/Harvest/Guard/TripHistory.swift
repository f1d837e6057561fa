// SPDX-License-Identifier: Apache-2.0

public import BrumeModel

/// Why a function is not harvested for a resource at the moment.
public struct Suspension: Hashable, Sendable {
    public let kind: ResourceKind
    /// Calls that came near their lowered limits, those that were killed there included.
    public let trips: Int
    public let kills: Int
    public let calls: Int
    public let until: Instant

    /// One sentence for people.
    public var reason: String {
        let back = "the safeguard had to give it its own \(kind == .cpu ? "CPU" : "memory") back in \(trips - kills)"
        let killed = "the kernel killed it at a lowered limit in \(kills)"
        let words = kills == 0 ? back : kills == trips ? killed : "\(back), and \(killed)"
        return words.prefix(1).uppercased() + words.dropFirst() + " of its latest \(calls) calls that lent."
    }
}

/// How often the safeguard tripped in the latest lending calls of one function, for one resource.
struct TripHistory: Sendable {
    /// How a lending call went.
    enum End { case well, tripped, killed }

    /// The latest call in the lowest bit.
    private var trips: UInt64 = 0
    /// Those of them that were killed.
    private var kills: UInt64 = 0
    private var calls = 0
    private var pause = Duration.zero
    private var until = Instant.zero
    private var last: Suspension?

    func isSuspended(_ now: Instant) -> Bool { now < until }
    func suspension(_ now: Instant) -> Suspension? { isSuspended(now) ? last : nil }

    mutating func add(_ end: End, kind: ResourceKind, _ settings: SafeguardSettings, now: Instant) {
        let over = min(max(settings.tripsOver, 1), 64)
        let tripped = end != .well
        trips = trips << 1 | (tripped ? 1 : 0)
        kills = kills << 1 | (end == .killed ? 1 : 0)
        if over < 64 {
            trips &= (1 << UInt64(over)) - 1
            kills &= trips
        }
        calls = min(calls + 1, over)
        // A call that began before the pause may trip inside it, and says nothing new.
        guard settings.pauseMin > .zero, tripped, trips.nonzeroBitCount >= settings.tripsMax, !isSuspended(now) else { return }
        let again = pause > .zero && now < until + pause
        pause = again ? min(pause * 2, settings.pauseMax) : settings.pauseMin
        until = now + pause
        last = Suspension(kind: kind, trips: trips.nonzeroBitCount, kills: kills.nonzeroBitCount, calls: calls, until: until)
        // One more trip after the pause is enough to pause again.
        trips = (1 << UInt64(min(max(settings.tripsMax, 1) - 1, 63))) - 1
        kills &= trips
    }
}
