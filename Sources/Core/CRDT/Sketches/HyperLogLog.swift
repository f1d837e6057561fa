// SPDX-License-Identifier: Apache-2.0

/// An estimate of how many different elements were added, with a standard error of 0.81 % in at most 12 KiB: as exact as Redis'.
///
/// 16,384 registers of 6 bits, merged by their maximum; a small one lists the registers that are not zero. The estimate is the improved
/// one of Ertl, 2017, for the whole range. Add is O(1) (O(log s) and a move while small), count O(1), merge O(registers).
/// The hash is ``stableHash(_:seed:)``, so registers are not interchangeable with Redis' own.
public struct HyperLogLog: Lattice {
    /// How many bits of the hash choose the register.
    static let precision = 14
    static let registerCount = 1 << precision
    /// Bits of the hash that are left for the rank.
    private static let rankBits = 64 - precision
    /// The greatest rank: all bits left are zero.
    private static let rankMax = UInt8(rankBits + 1)
    /// Up to this many registers are listed, at 4 bytes each: a quarter of what the dense form takes.
    static let sparseMax = 768
    private static let denseBytes = registerCount * 6 / 8

    /// Register number above 8 bits of rank, by register: the ones that are not zero, while they are few.
    private var sparse: [UInt32] = []
    /// Registers of 6 bits, packed from the lowest bit up; empty while sparse.
    private var dense: [UInt8] = []

    public init() {}

    public var isBottom: Bool { sparse.isEmpty && dense.isEmpty }

    private var isDense: Bool { !dense.isEmpty }

    private func register(_ index: Int) -> UInt8 {
        let bit = index &* 6
        let byte = bit >> 3
        let shift = bit & 7
        var word = UInt16(dense[byte])
        if byte + 1 < dense.count { word |= UInt16(dense[byte + 1]) << 8 }
        return UInt8(truncatingIfNeeded: word >> UInt16(shift)) & 0x3F
    }

    private mutating func setRegister(_ index: Int, _ rank: UInt8) {
        let bit = index &* 6
        let byte = bit >> 3
        let shift = UInt16(bit & 7)
        var word = UInt16(dense[byte])
        if byte + 1 < dense.count { word |= UInt16(dense[byte + 1]) << 8 }
        word = word & ~(0x3F << shift) | UInt16(rank) << shift
        dense[byte] = UInt8(truncatingIfNeeded: word)
        if byte + 1 < dense.count { dense[byte + 1] = UInt8(truncatingIfNeeded: word >> 8) }
    }

    private func position(_ index: Int) -> Int { sparse.partitioningIndex { Int($0 >> 8) >= index } }

    /// Raises a register; returns whether it was lower.
    private mutating func raise(_ index: Int, to rank: UInt8) -> Bool {
        if isDense {
            guard register(index) < rank else { return false }
            setRegister(index, rank)
            return true
        }
        let position = position(index)
        if position < sparse.count, Int(sparse[position] >> 8) == index {
            guard UInt8(truncatingIfNeeded: sparse[position]) < rank else { return false }
            sparse[position] = UInt32(index) << 8 | UInt32(rank)
            return true
        }
        sparse.insert(UInt32(index) << 8 | UInt32(rank), at: position)
        if sparse.count > Self.sparseMax { densify() }
        return true
    }

    private mutating func densify() {
        dense = [UInt8](repeating: 0, count: Self.denseBytes)
        for item in sparse { setRegister(Int(item >> 8), UInt8(truncatingIfNeeded: item)) }
        sparse = []
    }

    /// Adds the element and joins the delta to `delta`. Returns whether a register has changed, and with it perhaps the estimate.
    @discardableResult
    public mutating func add(_ element: Bytes, into delta: inout HyperLogLog) -> Bool {
        let hash = stableHash(element, seed: 0x4C4C)
        let index = Int(truncatingIfNeeded: hash) & (Self.registerCount - 1)
        // The guard bit ends the run of zeros when all bits left are zero.
        let rank = UInt8(((hash >> UInt64(Self.precision)) | 1 << UInt64(Self.rankBits)).trailingZeroBitCount + 1)
        guard raise(index, to: rank) else { return false }
        return delta.raise(index, to: rank)
    }

    /// Adds the element and returns the delta: one register, or nothing.
    public mutating func add(_ element: Bytes) -> HyperLogLog {
        var delta = HyperLogLog()
        add(element, into: &delta)
        return delta
    }

    public mutating func merge(_ other: HyperLogLog) {
        if other.isDense {
            for index in 0..<Self.registerCount {
                let rank = other.register(index)
                if rank > 0 { _ = raise(index, to: rank) }
            }
        } else {
            for item in other.sparse { _ = raise(Int(item >> 8), to: UInt8(truncatingIfNeeded: item)) }
        }
    }

    /// The estimated number of different elements.
    public var count: Int {
        var histogram = [Int](repeating: 0, count: Int(Self.rankMax) + 1)
        if isDense {
            for index in 0..<Self.registerCount { histogram[Int(register(index))] += 1 }
        } else {
            for item in sparse { histogram[Int(item & 0xFF)] += 1 }
            histogram[0] = Self.registerCount - sparse.count
        }
        let registers = Double(Self.registerCount)
        var sum = registers * Self.tau((registers - Double(histogram[Self.rankBits + 1])) / registers)
        for rank in stride(from: Self.rankBits, through: 1, by: -1) { sum = 0.5 * (sum + Double(histogram[rank])) }
        sum += registers * Self.sigma(Double(histogram[0]) / registers)
        // 1 / (2 ln 2), the limit of the bias correction.
        let alpha = 0.721_347_520_444_481_7
        return Int(alpha * registers * registers / sum + 0.5)
    }

    /// The correction for registers that are zero.
    private static func sigma(_ share: Double) -> Double {
        if share == 1 { return .infinity }
        var x = share
        var y = 1.0
        var z = share
        // Doubles every round: it ends after about ten.
        while true {
            x *= x
            let before = z
            z += x * y
            y += y
            if z == before { return z }
        }
    }

    /// The correction for registers that are full.
    private static func tau(_ share: Double) -> Double {
        if share == 0 || share == 1 { return 0 }
        var x = share
        var y = 1.0
        var z = 1 - share
        // Halves every round: it ends when the change is below a double's precision.
        while true {
            x = root(x)
            let before = z
            y *= 0.5
            z -= (1 - x) * (1 - x) * y
            if z == before { return z / 3 }
        }
    }

    /// The square root of a number in 0...1, by Newton's method from above: a user of this library alone need not link a C library for it.
    private static func root(_ square: Double) -> Double {
        var root = 1.0
        // Falls until it is exact, after some 30 steps for the smallest shares of 16,384.
        while true {
            let next = 0.5 * (root + square / root)
            if next >= root { return root }
            root = next
        }
    }

    public var digest: UInt64 {
        var sum: UInt64 = 0
        if isDense {
            for index in 0..<Self.registerCount {
                let rank = register(index)
                if rank > 0 { sum &+= Mixing.hash(UInt64(index), UInt64(rank)) }
            }
        } else {
            for item in sparse { sum &+= Mixing.hash(UInt64(item >> 8), UInt64(item & 0xFF)) }
        }
        return sum
    }

    public var memoryBytes: Int { sparse.capacity * 4 + dense.capacity + Bytes.arrayHeaderBytes }
}

extension HyperLogLog {
    public func encode(into writer: inout ByteWriter) {
        if isDense {
            writer.byte(1)
            writer.raw(dense)
            return
        }
        writer.byte(0)
        writer.count(sparse.count)
        var previous = 0
        for item in sparse {
            writer.count(Int(item >> 8) - previous)
            writer.byte(UInt8(truncatingIfNeeded: item))
            previous = Int(item >> 8)
        }
    }

    public init(from reader: inout ByteReader) throws(DecodingFailure) {
        switch try reader.byte() {
        case 0: try readSparse(&reader)
        case 1:
            dense = Array(try reader.raw(Self.denseBytes))
            var used = 0
            for index in 0..<Self.registerCount {
                let rank = register(index)
                guard rank <= Self.rankMax else { throw reader.failure(.impossible) }
                if rank > 0 { used += 1 }
            }
            // What could be sparse is sparse: one state has one form.
            guard used > Self.sparseMax else { throw reader.failure(.impossible) }
        default: throw reader.failure(.unknownTag)
        }
    }

    private mutating func readSparse(_ reader: inout ByteReader) throws(DecodingFailure) {
        let count = try reader.count(entryBytes: 2)
        guard count <= Self.sparseMax else { throw reader.failure(.impossible) }
        var previous: UInt64 = 0
        for place in 0..<count {
            let step = try reader.varint()
            guard place == 0 || step > 0 else { throw reader.failure(.outOfOrder) }
            guard step < UInt64(Self.registerCount), previous + step < UInt64(Self.registerCount) else {
                throw reader.failure(.numberTooLarge)
            }
            previous += step
            let rank = try reader.byte()
            guard rank > 0, rank <= Self.rankMax else { throw reader.failure(.impossible) }
            sparse.append(UInt32(previous) << 8 | UInt32(rank))
        }
    }
}
