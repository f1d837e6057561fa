// SPDX-License-Identifier: Apache-2.0

public import BrumeModel

/// Why a function is not harvested for a resource at the moment.
public struct Suspension: Hashable, Sendable {
    public let kind: ResourceKind
    public let trips: Int
    public let calls: Int
    public let until: Instant

    /// One sentence for people.
    public var reason: String {
        "The safeguard had to give it its own \(kind == .cpu ? "CPU" : "memory") back in \(trips) of its latest \(calls) calls that lent."
    }
}

/// How often the safeguard tripped in the latest lending calls of one function, for one resource.
struct TripHistory: Sendable {
    /// The latest call in the lowest bit.
    private var trips: UInt64 = 0
    private var calls = 0
    private var pause = Duration.zero
    private var until = Instant.zero
    private var last: Suspension?

    func isSuspended(_ now: Instant) -> Bool { now < until }
    func suspension(_ now: Instant) -> Suspension? { isSuspended(now) ? last : nil }

    mutating func add(tripped: Bool, kind: ResourceKind, _ settings: SafeguardSettings, now: Instant) {
        let over = min(max(settings.tripsOver, 1), 64)
        trips = trips << 1 | (tripped ? 1 : 0)
        if over < 64 { trips &= (1 << UInt64(over)) - 1 }
        calls = min(calls + 1, over)
        // A call that began before the pause may trip inside it, and says nothing new.
        guard settings.pauseMin > .zero, tripped, trips.nonzeroBitCount >= settings.tripsMax, !isSuspended(now) else { return }
        let again = pause > .zero && now < until + pause
        pause = again ? min(pause * 2, settings.pauseMax) : settings.pauseMin
        until = now + pause
        last = Suspension(kind: kind, trips: trips.nonzeroBitCount, calls: calls, until: until)
        // One more trip after the pause is enough to pause again.
        trips = (1 << UInt64(min(max(settings.tripsMax, 1) - 1, 63))) - 1
    }
}
