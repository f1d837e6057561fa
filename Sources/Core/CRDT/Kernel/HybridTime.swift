// SPDX-License-Identifier: Apache-2.0

/// A time of the hybrid clock: 48 bits of milliseconds since 1970 above 16 bits that count events within one.
public struct HybridTime: RawRepresentable, Hashable, Comparable, Sendable {
    public var rawValue: UInt64

    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// The first instant of a millisecond. Times past the 48 bits are cut to the largest.
    public init(milliseconds: UInt64) { rawValue = min(milliseconds, Self.millisecondsMax) << 16 }

    public static let zero = HybridTime(rawValue: 0)

    /// The latest wall time that is believed: about the year 6400. What is read from others stays below it, so that there is always
    /// a later time left.
    public static let millisecondsMax: UInt64 = 1 << 47

    /// Milliseconds since 1970, by the wall clock of whoever set it.
    public var milliseconds: UInt64 { rawValue >> 16 }

    /// The next possible time.
    public var next: HybridTime { HybridTime(rawValue: rawValue &+ 1) }

    public static func < (left: HybridTime, right: HybridTime) -> Bool { left.rawValue < right.rawValue }
}

/// When, and by whom: the total order of last-writer-wins.
public struct Stamp: Hashable, Comparable, Sendable {
    public var time: HybridTime
    public var site: SiteID

    public init(time: HybridTime, site: SiteID) {
        self.time = time
        self.site = site
    }

    /// Before every write.
    public static let zero = Stamp(time: .zero, site: SiteID(rawValue: 0))

    public static func < (left: Stamp, right: Stamp) -> Bool {
        left.time == right.time ? left.site < right.site : left.time < right.time
    }

    /// This stamp, or the next one after `seen` if that is not earlier: who overwrites what he has seen must win, even against a
    /// value from a clock that is hours ahead.
    public func after(_ seen: Stamp) -> Stamp {
        self > seen ? self : Stamp(time: seen.time.next, site: site)
    }
}

/// A clock that never goes back, follows what it hears from others, and is not dragged along by one that is far ahead.
///
/// Each time is given out once. O(1).
public struct HybridClock: Hashable, Sendable {
    /// How far a time heard from others may pull this clock beyond the wall: more than clocks differ that are set by the network,
    /// less than anybody would notice. Overwriting what is even further ahead goes by ``Stamp/after(_:)``.
    public static let aheadMaxMilliseconds: UInt64 = 60_000

    /// The latest time given out or taken over.
    public private(set) var last: HybridTime

    public init(last: HybridTime = .zero) { self.last = last }

    /// A time after all that this clock has given out or followed. `wall` is the wall clock in milliseconds since 1970; it may jump.
    public mutating func now(wall: UInt64) -> HybridTime {
        last = max(HybridTime(milliseconds: wall), last.next)
        return last
    }

    /// Hears a time from another node: the next ``now(wall:)`` is later, unless it is further ahead of the wall than allowed.
    ///
    /// Returns false if it was too far ahead, and then follows it not at all: an honest clock's next message comes soon.
    @discardableResult
    public mutating func observe(_ time: HybridTime, wall: UInt64) -> Bool {
        guard time > last else { return true }
        guard time.milliseconds <= min(wall, HybridTime.millisecondsMax) + Self.aheadMaxMilliseconds else { return false }
        last = time
        return true
    }
}

extension HybridTime: BinaryCodable {
    public func encode(into writer: inout ByteWriter) { writer.varint(rawValue) }

    public init(from reader: inout ByteReader) throws(DecodingFailure) {
        rawValue = try reader.varint()
        guard milliseconds <= Self.millisecondsMax else { throw reader.failure(.impossible) }
    }
}

extension Stamp: BinaryCodable {
    public func encode(into writer: inout ByteWriter) {
        writer.value(time)
        writer.site(site)
    }

    public init(from reader: inout ByteReader) throws(DecodingFailure) {
        time = try HybridTime(from: &reader)
        site = try reader.site()
    }
}
