// SPDX-License-Identifier: Apache-2.0

/// What a Redis string is: a value that the last writer sets or deletes, and on which everybody may count.
///
/// Setting and deleting begin a new epoch under their stamp; increments belong to an epoch and all count, those made concurrently too.
/// A newer epoch replaces an older one whole: an increment made concurrently with a later set is lost with the value it counted on.
/// An absent value is the epoch of the zero stamp, or of the delete, so counting needs no set before it; counting by nothing makes it 0.
///
/// Every operation is O(r) for r sites that have counted in the epoch, as is a merge; a delta holds one entry.
public struct StringRegister: Lattice {
    /// Of the last set or delete.
    public private(set) var stamp = Stamp.zero
    /// What the last set wrote; nil after a delete or before any set.
    public private(set) var base: Bytes?
    /// What was added since.
    public private(set) var increments = PNCounter()

    public init() {}

    public var isBottom: Bool { stamp == .zero && base == nil && increments.isBottom }

    /// Whether there is a value.
    public var isPresent: Bool { base != nil || !increments.isBottom }

    /// The value as bytes; nil if there is none. A number on which was counted is written in decimal.
    ///
    /// Concurrent increments may have left the 64 bits: then it is all the digits of the sum.
    public var value: Bytes? {
        if increments.isBottom { return base }
        guard let number = base.map({ $0.decimal }) ?? .some(0) else { return base }
        let sum = Int128(number) + increments.total
        return Int64(exactly: sum).map { Bytes(decimal: $0) } ?? Bytes(String(sum))
    }

    /// Sets the value, nil to delete it, and joins the delta to `delta`. Returns the stamp used: `stamp`, or a later one that is
    /// needed to win over the present value.
    @discardableResult
    public mutating func set(_ value: Bytes?, at stamp: Stamp, into delta: inout StringRegister) -> Stamp {
        self.stamp = stamp.after(self.stamp)
        base = value
        increments = PNCounter()
        delta = self
        return self.stamp
    }

    /// Sets the value and returns the delta.
    public mutating func set(_ value: Bytes?, at stamp: Stamp) -> StringRegister {
        var delta = StringRegister()
        set(value, at: stamp, into: &delta)
        return delta
    }

    /// Adds to the number, joins the delta to `delta` and returns the new value.
    ///
    /// Throws ``CRDTError/Code/notInteger`` if the value is no integer and ``CRDTError/Code/overflow`` if the sum would leave the 64
    /// bits; nothing is changed then.
    @discardableResult
    public mutating func add(_ amount: Int64, by site: SiteID, into delta: inout StringRegister) throws(CRDTError) -> Int64 {
        let (sum, entry) = try advance(amount, by: site)
        if delta.stamp != stamp {
            delta.stamp = stamp
            delta.increments = PNCounter()
        }
        // The base is a number and small: whoever gets the increment first has the whole value.
        delta.base = base
        if let entry { delta.increments.put(entry) }
        return sum
    }

    /// Adds to the number and returns the new value: for who can tell from the value what has changed, and needs no delta.
    ///
    /// Throws as ``add(_:by:into:)`` does.
    public mutating func count(_ amount: Int64, by site: SiteID) throws(CRDTError) -> Int64 { try advance(amount, by: site).sum }

    private mutating func advance(
        _ amount: Int64, by site: SiteID
    ) throws(CRDTError) -> (sum: Int64, entry: PNCounter.Entry?) {
        guard let number = base.map({ $0.decimal }) ?? .some(0) else {
            throw CRDTError(.notInteger, "The value is not an integer or out of range; set a number first.")
        }
        guard let sum = Int64(exactly: Int128(number) + increments.total + Int128(amount)) else { throw PNCounter.overflow }
        // Counting by nothing makes a value too. It says so by the base and begins no epoch: all additions made meanwhile still count.
        if amount == 0, !isPresent { base = Bytes(decimal: 0) }
        return (sum, try increments.advance(amount, by: site))
    }

    /// Adds to the number and returns the delta.
    public mutating func add(_ amount: Int64, by site: SiteID) throws(CRDTError) -> StringRegister {
        var delta = StringRegister()
        try add(amount, by: site, into: &delta)
        return delta
    }

    public mutating func merge(_ other: StringRegister) {
        if other.stamp > stamp {
            self = other
        } else if other.stamp == stamp {
            // One stamp has one value, or none and the zero that counting by nothing has put there; else two nodes ran under one
            // identity. Then the greater one, everywhere.
            if let value = other.base, base.map({ $0 < value }) ?? true { base = value }
            increments.merge(other.increments)
        }
    }

    public var digest: UInt64 {
        if isBottom { return 0 }
        let hash = base.map { stableHash($0, seed: 1) } ?? 0
        return Mixing.hash(stamp.time.rawValue, stamp.site.rawValue, seed: hash) &+ increments.digest
    }

    public var memoryBytes: Int { (base?.heapBytes ?? 0) + increments.memoryBytes }
}

extension StringRegister {
    private static let hasStamp: UInt8 = 1
    private static let hasBase: UInt8 = 2
    private static let hasIncrements: UInt8 = 4

    public func encode(into writer: inout ByteWriter) {
        let stamped = stamp == .zero ? 0 : Self.hasStamp
        writer.byte(stamped | (base == nil ? 0 : Self.hasBase) | (increments.isBottom ? 0 : Self.hasIncrements))
        if stamped > 0 { writer.value(stamp) }
        if let base { writer.string(base) }
        if !increments.isBottom { writer.value(increments) }
    }

    public init(from reader: inout ByteReader) throws(DecodingFailure) {
        let parts = try reader.byte()
        guard parts < 8 else { throw reader.failure(.unknownTag) }
        if parts & Self.hasStamp > 0 {
            stamp = try Stamp(from: &reader)
            guard stamp > .zero else { throw reader.failure(.impossible) }
        }
        if parts & Self.hasBase > 0 { base = try reader.string() }
        if parts & Self.hasIncrements > 0 {
            increments = try PNCounter(from: &reader)
            guard !increments.isBottom else { throw reader.failure(.impossible) }
        }
    }
}
