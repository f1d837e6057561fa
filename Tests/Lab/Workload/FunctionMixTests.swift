// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeWorkload
import Testing

@Suite("Function mixes")
struct FunctionMixTests {
    private func profile(_ name: String, weight: Int = 1, _ duration: Quantity = .fixed(1000)) -> FunctionProfile {
        FunctionProfile(name: name, weight: weight, durationNanoseconds: duration, requestBytes: .uniform(10...20))
    }

    @Test("functions are called in proportion to their weights", arguments: [1, 99] as [UInt64])
    func weights(seed: UInt64) throws {
        let mix = try FunctionMix([profile("a", weight: 1), profile("b", weight: 7), profile("c", weight: 2)])
        var generator = SeededGenerator(seed: seed)
        var counts = [0, 0, 0]
        for _ in 0..<100_000 {
            let demand = mix.draw(&generator)
            counts[demand.function] += 1
            #expect((10...20).contains(demand.requestBytes), "seed \(seed)")
        }
        for (count, share) in zip(counts, [0.1, 0.7, 0.2]) {
            #expect(abs(Double(count) / 100_000 - share) < 0.01, "seed \(seed): \(counts)")
        }
    }

    @Test("lognormal amounts have their median, their spread and their maximum", arguments: [3, 4, 5] as [UInt64])
    func lognormal(seed: UInt64) throws {
        let quantity = Quantity.lognormal(median: 50_000_000, sigma: 1.2, max: 2_000_000_000)
        try quantity.validate()
        var generator = SeededGenerator(seed: seed)
        let draws = (0..<50_000).map { _ in quantity.draw(&generator) }.sorted()
        #expect(abs(Double(draws[25_000]) / 50_000_000 - 1) < 0.03, "seed \(seed)")
        // One deviation above the median lies e^1.2 = 3.3201 higher, at the 84.13th percentile.
        #expect(abs(Double(draws[42_067]) / (50_000_000 * 3.3201) - 1) < 0.04, "seed \(seed)")
        #expect(draws[draws.count - 1] == 2_000_000_000, "seed \(seed)")
        #expect(draws[0] >= 0)
    }

    @Test("another mix keeps the arrival times, another rate keeps the demands")
    func independentDraws() throws {
        let light = try FunctionMix([profile("a")])
        let heavy = try FunctionMix([profile("a", .lognormal(median: 10, sigma: 2, max: 1000)), profile("b")])
        let first = Array(try Workload(arrivals: .poisson(rate: 10), mix: light, seed: 9).prefix(200))
        let second = Array(try Workload(arrivals: .poisson(rate: 10), mix: heavy, seed: 9).prefix(200))
        let third = Array(try Workload(arrivals: .uniform(rate: 99), mix: heavy, seed: 9).prefix(200))
        #expect(first.map(\.offset) == second.map(\.offset))
        #expect(second.map(\.demand) == third.map(\.demand))
        #expect(second.map(\.offset) != third.map(\.offset))
    }

    @Test("impossible mixes are refused")
    func refused() {
        #expect(throws: BrumeError.self) { try FunctionMix([]) }
        #expect(throws: BrumeError.self) { try FunctionMix([profile("a", weight: 0)]) }
        #expect(throws: BrumeError.self) { try FunctionMix([profile("a", weight: .max), profile("b", weight: 1)]) }
        #expect(throws: BrumeError.self) { try FunctionMix([profile("a", .fixed(-1))]) }
        #expect(throws: BrumeError.self) { try FunctionMix([profile("a", .lognormal(median: 0, sigma: 1, max: 1))]) }
        #expect(throws: BrumeError.self) { try FunctionMix([profile("a", .lognormal(median: 5, sigma: 1, max: 4))]) }
    }
}
