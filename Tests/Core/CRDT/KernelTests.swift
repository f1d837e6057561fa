// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import BrumeCRDT

private let one = SiteID(rawValue: 11)
private let two = SiteID(rawValue: 22)

@Suite("Kernel of the CRDTs")
struct KernelTests {
    @Test("bytes take 16 bytes, and up to 15 of content no memory beside")
    func bytesLayout() {
        #expect(MemoryLayout<Bytes>.size == 16)
        #expect(MemoryLayout<Bytes?>.size == 16)
        for length in 0...40 {
            let array = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 37) }
            let bytes = Bytes(array)
            #expect(bytes.array == array)
            #expect(bytes.count == length)
            #expect((bytes.heapBytes == 0) == (length <= Bytes.inlineMax))
        }
    }

    @Test("bytes compare as their arrays do, whatever their form")
    func bytesOrder() {
        var draw = Draw(seed: 1)
        var list: [[UInt8]] = [[], [0], [0, 0], [255], [UInt8](repeating: 0, count: 15), [UInt8](repeating: 0, count: 16)]
        for _ in 0..<200 { list.append((0..<draw.below(20)).map { _ in UInt8(draw.below(3)) }) }
        for left in list {
            for right in list {
                #expect((Bytes(left) < Bytes(right)) == left.lexicographicallyPrecedes(right))
                #expect((Bytes(left) == Bytes(right)) == (left == right))
                if left == right { #expect(stableHash(Bytes(left)) == stableHash(Bytes(right))) }
            }
        }
    }

    @Test("a decimal is read exactly as it is written", arguments: [0, 1, -1, 9, 10, -10, .max, .min, 1_234_567_890] as [Int64])
    func decimals(number: Int64) {
        #expect(Bytes(decimal: number).text == String(number))
        #expect(Bytes(decimal: number).decimal == number)
    }

    @Test(
        "what is no plain decimal is none",
        arguments: ["", "-", "+1", " 1", "1 ", "01", "-0", "-01", "1.0", "9223372036854775808", "-9223372036854775809", "1e3"])
    func noDecimals(text: String) { #expect(Bytes(text).decimal == nil) }

    @Test("the stable hash is the same for ever")
    func stableHashes() {
        #expect(stableHash("") == 9_535_894_180_922_401_923)
        #expect(stableHash("brume") == 6_097_280_228_391_977_020)
        #expect(stableHash("a text of more than fifteen bytes") == 4_536_414_489_171_646_956)
    }
}
