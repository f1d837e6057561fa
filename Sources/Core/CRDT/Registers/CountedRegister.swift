// SPDX-License-Identifier: Apache-2.0

/// What a ``CountedRegister`` can be set to.
public protocol RegisterBase: Sendable, Equatable, Comparable {
    var baseDigest: UInt64 { get }
    var heapBytes: Int { get }
    func encode(into writer: inout ByteWriter)
    init(from reader: inout ByteReader) throws(DecodingFailure)
}

extension Bytes: RegisterBase {
    public var baseDigest: UInt64 { digest }
}

extension Double: RegisterBase {
    public var baseDigest: UInt64 { bitPattern }
    public var heapBytes: Int { 0 }
}

/// One live write to a ``CountedRegister``.
public enum CountedWrite<Base: RegisterBase, Amount: TallyAmount>: DotValue, Tallying {
    case set(HybridTime, Base)
    case add(Tally<Amount>)

    init(tally: Tally<Amount>) { self = .add(tally) }

    var tally: Tally<Amount>? {
        if case .add(let tally) = self { tally } else { nil }
    }

    public mutating func merge(_ other: CountedWrite) {
        switch (self, other) {
        case (.add(var tally), .add(let theirs)):
            tally.merge(theirs)
            self = .add(tally)
        case (.set(let time, let base), .set(let theirTime, let theirs)):
            if (theirTime, theirs) > (time, base) { self = other }
        // A dot has one kind of write, unless two nodes ran under one identity: then a set, everywhere.
        case (.add, .set): self = other
        case (.set, .add): break
        }
    }

    public var digest: UInt64 {
        switch self {
        case .set(let time, let base): Mixing.hash(time.rawValue, base.baseDigest, seed: 1)
        case .add(let tally): Mixing.finish(tally.digest &+ 2)
        }
    }

    public var isFixed: Bool { tally?.isFixed ?? true }

    public var heapBytes: Int {
        if case .set(_, let base) = self { base.heapBytes } else { 0 }
    }

    public func encode(into writer: inout ByteWriter) {
        switch self {
        case .set(let time, let base):
            writer.byte(0)
            writer.value(time)
            base.encode(into: &writer)
        case .add(let tally):
            writer.byte(1)
            writer.value(tally)
        }
    }

    public init(from reader: inout ByteReader) throws(DecodingFailure) {
        switch try reader.byte() {
        case 0: self = .set(try HybridTime(from: &reader), try Base(from: &reader))
        case 1: self = .add(try Tally(from: &reader))
        default: throw reader.failure(.unknownTag)
        }
    }
}

/// A register inside a map or a scored set that can be set and counted on: a field of a Redis hash, a score.
///
/// Setting replaces what it has seen; of sets made concurrently the one with the latest stamp shows. Additions made concurrently with a
/// set, or with one another, all count. Removing the key takes away what the remove has seen. O(k) for k live writes, usually one.
public struct CountedRegister<Base: RegisterBase, Amount: TallyAmount>: CellStore {
    public var writes = DotFun<CountedWrite<Base, Amount>>()

    public init() {}

    init(_ dot: Dot, _ write: CountedWrite<Base, Amount>) { writes = DotFun(dot, write) }

    /// The latest of the sets, with its stamp.
    public var latest: (stamp: Stamp, base: Base)? {
        var latest: (stamp: Stamp, base: Base)?
        writes.forEach { entry in
            guard case .set(let time, let base) = entry.value else { return }
            let stamp = Stamp(time: time, site: entry.dot.site)
            // Entries come by dot, so of two with one stamp the one with the larger sequence stays.
            if latest.map({ stamp >= $0.stamp }) ?? true { latest = (stamp, base) }
        }
        return latest
    }

    /// Sets the value under a stamp of the time and the site, or a later one that is needed to win over what is here.
    public mutating func set(
        _ value: Base, at time: HybridTime, by site: SiteID, context: inout CausalContext, into delta: inout Causal<CountedRegister>
    ) {
        let stamp = Stamp(time: time, site: site).after(latest?.stamp ?? .zero)
        writes.replaceAll(with: .set(stamp.time, value), by: site, context: &context, &delta.store.writes, &delta.context)
    }
}

/// A field of a Redis hash.
public typealias FieldRegister = CountedRegister<Bytes, Int64>

extension FieldRegister {
    private var increments: Int128? {
        var sum: Int128?
        writes.forEach { if case .add(let tally) = $0.value { sum = (sum ?? 0) + Int128(tally.sum) } }
        return sum
    }

    /// The value, with what was added to it, in decimal. A value that is no integer shows without the additions.
    public var value: Bytes? {
        let base = latest?.base
        guard let increments else { return base }
        guard let number = base.map({ $0.decimal }) ?? .some(0) else { return base }
        let sum = Int128(number) + increments
        return Int64(exactly: sum).map { Bytes(decimal: $0) } ?? Bytes(String(sum))
    }

    /// Adds to the number and returns the new one.
    ///
    /// Throws ``CRDTError/Code/notInteger`` and ``CRDTError/Code/overflow``, changing nothing.
    @discardableResult
    public mutating func add(
        _ amount: Int64, by site: SiteID, context: inout CausalContext, into delta: inout Causal<FieldRegister>
    ) throws(CRDTError) -> Int64 {
        guard let number = latest.map({ $0.base.decimal }) ?? .some(0) else {
            throw CRDTError(.notInteger, "The value is not an integer or out of range; set a number first.")
        }
        guard let sum = Int64(exactly: Int128(number) + (increments ?? 0) + Int128(amount)) else { throw PNCounter.overflow }
        try writes.addTally(amount, by: site, context: &context, &delta.store.writes, &delta.context)
        return sum
    }
}

/// The score of an element of a ``ScoredSet``.
public typealias ScoreRegister = CountedRegister<Double, Double>

extension ScoreRegister {
    /// The score with what was added to it, summed in the order of dots so that every node gets the same; nil if there is none.
    ///
    /// Opposite infinities that were added concurrently make 0.
    public var score: Double? {
        if isBottom { return nil }
        var sum = latest?.base ?? 0
        writes.forEach { if case .add(let tally) = $0.value { sum += tally.sum } }
        // Adding zero turns the negative zero into the one that everybody writes.
        return sum.isNaN ? 0 : sum + 0
    }

    /// Adds to the score and returns the new one. Throws ``CRDTError/Code/notNumber``, changing nothing.
    @discardableResult
    public mutating func add(
        _ amount: Double, by site: SiteID, context: inout CausalContext, into delta: inout Causal<ScoreRegister>
    ) throws(CRDTError) -> Double {
        guard !amount.isNaN else { throw CRDTError(.notNumber, "The amount is not a number; give one.") }
        let sum = try (score ?? 0).adding(amount)
        try writes.addTally(amount, by: site, context: &context, &delta.store.writes, &delta.context)
        return sum
    }
}
