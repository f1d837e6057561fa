// SPDX-License-Identifier: Apache-2.0

/// A 64-bit hash that is the same in every run and on every machine: for digests, buckets and sketches.
///
/// Multiply-and-fold over 16 bytes at a time. Not for secrets, and not for tables an adversary fills: those use the standard
/// library's seeded hash.
public func stableHash(_ bytes: Bytes, seed: UInt64 = 0) -> UInt64 {
    if let (high, low) = bytes.words { return Mixing.hash(high, low, seed: seed) }
    return unsafe bytes.withUnsafeBytes { unsafe stableHash($0, seed: seed) }
}

/// The same for raw bytes: equal to the hash of the ``Bytes`` with that content.
public func stableHash(_ buffer: UnsafeRawBufferPointer, seed: UInt64 = 0) -> UInt64 {
    let count = buffer.count
    if count <= Bytes.inlineMax {
        let (high, low) = unsafe Bytes.pack(buffer)
        return Mixing.hash(high, low, seed: seed)
    }
    var state = seed ^ Mixing.first
    var offset = 0
    while offset &+ 16 <= count {
        let one = unsafe UInt64(littleEndian: buffer.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        let other = unsafe UInt64(littleEndian: buffer.loadUnaligned(fromByteOffset: offset &+ 8, as: UInt64.self))
        state = Mixing.fold(one ^ Mixing.second, other ^ state)
        offset &+= 16
    }
    // The last 16 bytes, some of them a second time: every byte is in, and the length tells such contents apart.
    let one = unsafe UInt64(littleEndian: buffer.loadUnaligned(fromByteOffset: count &- 16, as: UInt64.self))
    let other = unsafe UInt64(littleEndian: buffer.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self))
    state = Mixing.fold(one ^ Mixing.third, other ^ state)
    return Mixing.finish(state ^ (UInt64(count) &* Mixing.second))
}

/// The parts of ``stableHash(_:seed:)``, also for hashes of numbers.
public enum Mixing {
    // Odd constants with about half of their bits set: the first digits of the fractions of the square roots of 2, 3 and 5.
    static let first: UInt64 = 0x6A09_E667_F3BC_C909
    static let second: UInt64 = 0xBB67_AE85_84CA_A73B
    static let third: UInt64 = 0x3C6E_F372_FE94_F82B

    /// The upper and lower half of the product, folded.
    @inline(__always) static func fold(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let product = left.multipliedFullWidth(by: right)
        return product.high ^ product.low
    }

    /// A bijection of 64 bits in which every input bit changes about half of the output's.
    public static func finish(_ value: UInt64) -> UInt64 {
        var mixed = value
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// A hash of two words.
    public static func hash(_ one: UInt64, _ other: UInt64, seed: UInt64 = 0) -> UInt64 {
        // Each word is a bijection of the input before they meet, so that no word can annul the other one.
        finish(finish(one &+ seed &+ first) &+ (other ^ third) &* second)
    }

    /// A hash of a dot.
    public static func hash(_ dot: Dot) -> UInt64 { hash(dot.site.rawValue, dot.sequence, seed: second) }
}
