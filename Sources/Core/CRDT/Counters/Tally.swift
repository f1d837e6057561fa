// SPDX-License-Identifier: Apache-2.0

/// A number that tallies sum up: 64-bit integers, which must not overflow, and doubles, which must stay numbers.
public protocol TallyAmount: Sendable, Hashable, Comparable {
    static var zero: Self { get }
    /// Throws ``CRDTError/Code/overflow`` or ``CRDTError/Code/notNumber``.
    func adding(_ other: Self) throws(CRDTError) -> Self
    var bits: UInt64 { get }
    func encode(into writer: inout ByteWriter)
    init(from reader: inout ByteReader) throws(DecodingFailure)
}

extension Int64: TallyAmount {
    public static var zero: Int64 { 0 }

    public func adding(_ other: Int64) throws(CRDTError) -> Int64 {
        let (sum, overflow) = addingReportingOverflow(other)
        guard !overflow else { throw PNCounter.overflow }
        return sum
    }

    public var bits: UInt64 { UInt64(bitPattern: self) }
    public func encode(into writer: inout ByteWriter) { writer.signed(self) }
    public init(from reader: inout ByteReader) throws(DecodingFailure) { self = try reader.signed() }
}

extension Double: TallyAmount {
    public static var zero: Double { 0 }

    public func adding(_ other: Double) throws(CRDTError) -> Double {
        let sum = self + other
        guard !sum.isNaN else { throw CRDTError(.notNumber, "The resulting score is not a number; add something finite.") }
        return sum
    }

    public var bits: UInt64 { bitPattern }
    public func encode(into writer: inout ByteWriter) { writer.double(self) }

    public init(from reader: inout ByteReader) throws(DecodingFailure) {
        self = try reader.double()
        guard !isNaN else { throw reader.failure(.impossible) }
    }
}

/// What one site has added under one dot, together with older additions of its own that were folded into it.
public struct Tally<Amount: TallyAmount>: DotValue {
    public var sum: Amount
    /// How many older ones are in it: of two forms of one tally, the one with more is the later one.
    public var folded: UInt32 = 0

    public init(_ sum: Amount) { self.sum = sum }

    public mutating func merge(_ other: Tally) {
        if (other.folded, other.sum) > (folded, sum) { self = other }
    }

    public var digest: UInt64 { Mixing.hash(sum.bits, UInt64(folded)) }
    public var heapBytes: Int { 0 }
    public var isFixed: Bool { folded == 0 }

    public func encode(into writer: inout ByteWriter) {
        sum.encode(into: &writer)
        writer.varint(UInt64(folded))
    }

    public init(from reader: inout ByteReader) throws(DecodingFailure) {
        sum = try Amount(from: &reader)
        guard let folded = UInt32(exactly: try reader.varint()) else { throw reader.failure(.numberTooLarge) }
        self.folded = folded
    }
}

/// A write that may be a tally.
protocol Tallying: DotValue {
    associatedtype Amount: TallyAmount
    init(tally: Tally<Amount>)
    var tally: Tally<Amount>? { get }
}

extension Tally: Tallying {
    init(tally: Tally<Amount>) { self = tally }
    var tally: Tally<Amount>? { self }
}

/// How many additions of one site lie side by side before the older half is folded into one. A reset that runs concurrently with
/// additions takes away exactly those that it has seen, as long as it is no further behind than half of this.
let talliesMax = 64

extension DotFun where Value: Tallying {
    /// Adds an amount under a new dot of the site. Throws, and changes nothing, if a sum would not fit.
    ///
    /// What the site's own last addition has added is taken into the new one if it is in the delta that this one joins: nobody else has
    /// seen it then, and no reset can have seen the one and not the other.
    mutating func addTally(
        _ amount: Value.Amount, by site: SiteID, context: inout CausalContext, _ deltaStore: inout DotFun,
        _ deltaContext: inout CausalContext
    ) throws(CRDTError) {
        var last: Entry?
        var tallies = 0
        forEach { entry in
            guard entry.dot.site == site, entry.value.tally != nil else { return }
            last = entry
            tallies += 1
        }
        if let last, let before = last.value.tally, deltaStore[last.dot] != nil, before.folded == 0 {
            let sum = Value(tally: Tally(try before.sum.adding(amount)))
            let dot = context.next(for: site)
            // Other writes of this site are no tallies and have gone before: nothing lies between the two dots.
            replace(last.dot, with: dot, sum)
            deltaStore.replace(last.dot, with: dot, sum)
            deltaContext.insert(dot)
            return
        }
        if tallies >= talliesMax { try foldOlderHalf(of: site, &deltaStore, &deltaContext) }
        let dot = context.next(for: site)
        put(dot, Value(tally: Tally(amount)))
        deltaStore.put(dot, Value(tally: Tally(amount)))
        deltaContext.insert(dot)
    }

    /// Folds the older half of the site's tallies into the newest of that half, under whose dot they live and die from now on.
    private mutating func foldOlderHalf(
        of site: SiteID, _ deltaStore: inout DotFun, _ deltaContext: inout CausalContext
    ) throws(CRDTError) {
        let older = entries.filter { $0.dot.site == site && $0.value.tally != nil }.prefix(talliesMax / 2)
        guard let newest = older.last else { return }
        var folded = Tally(Value.Amount.zero)
        for entry in older {
            guard let tally = entry.value.tally else { continue }
            folded.sum = try folded.sum.adding(tally.sum)
            folded.folded &+= tally.folded &+ 1
        }
        for entry in older {
            remove(entry.dot)
            deltaStore.remove(entry.dot)
            deltaContext.insert(entry.dot)
        }
        put(newest.dot, Value(tally: folded))
        deltaStore.put(newest.dot, Value(tally: folded))
    }
}
