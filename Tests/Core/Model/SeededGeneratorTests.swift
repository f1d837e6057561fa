// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import Testing

/// The draws are part of every recorded digest, so they never change. The values were computed by an independent program
/// from the published algorithms (xoshiro256** 1.0 and SplitMix64).
@Suite("Seeded generator")
struct SeededGeneratorTests {
    @Test(
        "The first draws of a seed are fixed",
        arguments: [
            (0, [0x99ec_5f36_cb75_f2b4, 0xbf6e_1f78_4956_452a, 0x1a5f_849d_4933_e6e0, 0x6aa5_94f1_262d_2d2c]),
            (1, [0xb3f2_af6d_0fc7_10c5, 0x853b_5596_4736_4cea, 0x92f8_9756_082a_4514, 0x642e_1c7b_c266_a3a7]),
            (42, [0x1578_0b2e_0c2e_c716, 0x6104_d986_6d11_3a7e, 0xae17_5332_39e4_99a1, 0xecb8_ad47_03b3_60a1]),
            (.max, [0x8f55_20d5_2a7e_ad08, 0xc476_a018_caa1_802d, 0x81de_31c0_d260_469e, 0xbf65_8d7e_065f_3c2f]),
        ] as [(UInt64, [UInt64])])
    func draws(seed: UInt64, expected: [UInt64]) {
        var generator = SeededGenerator(seed: seed)
        #expect(expected.map { _ in generator.next() } == expected)
    }

    @Test("Bounded draws are fixed too")
    func bounded() {
        var generator = SeededGenerator(seed: 42)
        #expect((0..<10).map { _ in generator.below(100) } == [8, 37, 68, 92, 99, 76, 71, 85, 76, 58])
    }

    @Test("A fork draws its own sequence and costs its parent one draw")
    func fork() {
        var parent = SeededGenerator(seed: 42)
        var child = parent.fork()
        var expected = SeededGenerator(seed: 0x1578_0b2e_0c2e_c716)
        #expect(child.next() == expected.next())
        #expect(parent.next() == 0x6104_d986_6d11_3a7e)
    }

    @Test("Draws stay inside their bounds and reach them all", arguments: [1, 2, 3, 10])
    func bounds(bound: Int) {
        var generator = SeededGenerator(seed: UInt64(bound))
        var seen = Array(repeating: 0, count: bound)
        for _ in 0..<(bound * 1_000) { seen[generator.below(bound)] += 1 }
        // A fair draw misses a tenth of its share once in many thousand seeds; this seed is fixed.
        #expect(seen.allSatisfy { abs($0 - 1_000) < 150 })
    }

    @Test("Ranges, chances and fractions")
    func derived() {
        var generator = SeededGenerator(seed: 7)
        var hits = 0
        for _ in 0..<10_000 {
            #expect((-3...4).contains(generator.draw(-3...4)))
            #expect(generator.draw(5...5) == 5)
            let unit = generator.unit()
            #expect(unit >= 0 && unit < 1)
            if generator.chance(1, in: 4) { hits += 1 }
        }
        #expect((2_300...2_700).contains(hits))
        var never = SeededGenerator(seed: 7)
        #expect((0..<100).allSatisfy { _ in !never.chance(0, in: 10) })
        #expect((0..<100).allSatisfy { _ in never.chance(10, in: 10) })
    }

    @Test("A draw without room is a programming error")
    func empty() async {
        await #expect(processExitsWith: .failure) {
            var generator = SeededGenerator(seed: 0)
            _ = generator.below(0)
        }
    }
}
