// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeSimulator
import Testing

/// CPU by weight, beside a slow and obvious way to share it.
@Suite("Water filling")
struct WaterFillingTests {
    /// Gives away a thousandth at a time, always to whoever has least for its weight and can use more.
    private static func slowly(_ amount: Double, _ caps: [Double], _ weights: [Double]) -> [Double] {
        var shares = [Double](repeating: 0, count: caps.count)
        let drop = amount / 20_000
        for _ in 0..<20_000 {
            let open = caps.indices.filter { shares[$0] + drop / 2 < caps[$0] && weights[$0] > 0 }
            guard let next = open.min(by: { shares[$0] / weights[$0] < shares[$1] / weights[$1] }) else { break }
            shares[next] += drop
        }
        return shares
    }

    @Test("agrees with giving away drop by drop, uses everything up and exceeds no cap")
    func bruteForce() {
        for seed in UInt64(1)...40 {
            var chance = SeededGenerator(seed: seed)
            let count = chance.draw(1...9)
            let caps = (0..<count).map { _ in chance.unit() * 8 }
            let weights = (0..<count).map { _ in Double(chance.draw(1...8)) }
            let amount = chance.unit() * 12
            let shares = WaterFilling.shares(of: amount, caps: caps, weights: weights)
            let total = shares.reduce(0, +)
            #expect(abs(total - min(amount, caps.reduce(0, +))) < 1e-9, "seed \(seed): \(total) of \(amount)")
            let slow = Self.slowly(amount, caps, weights)
            for index in caps.indices {
                #expect(shares[index] <= caps[index] + 1e-12, "seed \(seed)")
                #expect(abs(shares[index] - slow[index]) < 0.01, "seed \(seed): \(shares) and \(slow)")
            }
        }
    }

    @Test("nobody with an even or larger weight gets less, unless it cannot use more")
    func byHand() {
        #expect(WaterFilling.shares(of: 4, caps: [8, 8], weights: [1, 3]) == [1, 3])
        #expect(WaterFilling.shares(of: 4, caps: [8, 1], weights: [1, 3]) == [3, 1])
        #expect(WaterFilling.shares(of: 16, caps: [8, 1], weights: [1, 3]) == [8, 1])
        #expect(WaterFilling.shares(of: 1, caps: [], weights: []).isEmpty)
    }
}
