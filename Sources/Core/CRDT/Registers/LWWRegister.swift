// SPDX-License-Identifier: Apache-2.0

/// A register in which the write with the latest stamp wins: hybrid time first, the site where times are equal.
///
/// A write wins over everything that it has seen, whatever the clocks say. O(1).
public struct LWWRegister: Lattice {
    public private(set) var stamp = Stamp.zero
    /// Nil before the first write and after a clearing one.
    public private(set) var value: Bytes?

    public init() {}

    public var isBottom: Bool { stamp == .zero && value == nil }

    /// Writes a value, or nil to clear it, joins the delta to `delta` and returns the stamp used.
    @discardableResult
    public mutating func set(_ value: Bytes?, at stamp: Stamp, into delta: inout LWWRegister) -> Stamp {
        self.stamp = stamp.after(self.stamp)
        self.value = value
        delta = self
        return self.stamp
    }

    /// Writes a value and returns the delta.
    public mutating func set(_ value: Bytes?, at stamp: Stamp) -> LWWRegister {
        var delta = LWWRegister()
        set(value, at: stamp, into: &delta)
        return delta
    }

    public mutating func merge(_ other: LWWRegister) {
        if other.stamp > stamp {
            self = other
        } else if other.stamp == stamp, let theirs = other.value, value.map({ $0 < theirs }) ?? true {
            // Two nodes ran under one identity: the greater value, everywhere.
            value = theirs
        }
    }

    public var digest: UInt64 {
        isBottom ? 0 : Mixing.hash(stamp.time.rawValue, stamp.site.rawValue, seed: value.map { stableHash($0, seed: 1) } ?? 0)
    }

    public var memoryBytes: Int { value?.heapBytes ?? 0 }

    public func encode(into writer: inout ByteWriter) {
        writer.value(stamp)
        writer.byte(value == nil ? 0 : 1)
        if let value { writer.string(value) }
    }

    public init(from reader: inout ByteReader) throws(DecodingFailure) {
        stamp = try Stamp(from: &reader)
        let tag = try reader.byte()
        guard tag <= 1 else { throw reader.failure(.unknownTag) }
        if tag == 1 { value = try reader.string() }
    }
}
