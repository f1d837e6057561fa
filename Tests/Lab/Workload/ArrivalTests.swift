// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeWorkload
import Testing

@Suite("Arrival processes")
struct ArrivalTests {
    static let seeds: [UInt64] = [1, 7, 42, 1_000_003]

    private func gaps(_ process: ArrivalProcess, seed: UInt64, count: Int) -> [Double] {
        var last = Duration.zero
        return Arrivals(process, seed: seed).prefix(count).map { time in
            defer { last = time }
            return (time - last).inSeconds
        }
    }

    @Test("constant arrivals never drift from i / rate", arguments: [1, 3, 7, 333.3, 60_000])
    func constant(rate: Double) {
        for (index, time) in Arrivals(.constant(rate: rate), seed: 1).prefix(100_000).enumerated() {
            let exact = Double(index + 1) * 1e9 / rate
            #expect(abs(Double(time.wholeNanoseconds) - exact) <= 1)
        }
    }

    @Test("Poisson gaps have the mean, the deviation and the tail of an exponential", arguments: seeds)
    func poisson(seed: UInt64) {
        let gaps = gaps(.poisson(rate: 50), seed: seed, count: 50_000)
        let mean = gaps.reduce(0, +) / Double(gaps.count)
        let variance = gaps.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(gaps.count)
        // Five standard errors: 5 / sqrt(50,000) = 2.2 % for the mean, about 4.5 % for the deviation.
        #expect(abs(mean * 50 - 1) < 0.025, "seed \(seed)")
        #expect(abs(variance.squareRoot() * 50 - 1) < 0.05, "seed \(seed)")
        for (multiple, share) in [(0.5, 0.6065), (1, 0.3679), (2, 0.1353), (4, 0.0183)] {
            let longer = Double(gaps.count { $0 > multiple / 50 }) / Double(gaps.count)
            #expect(abs(longer - share) < 0.012, "seed \(seed): P(gap > \(multiple) means)")
        }
    }

    @Test("uniform gaps fill the range from nothing to twice the mean evenly", arguments: seeds)
    func uniform(seed: UInt64) {
        let gaps = gaps(.uniform(rate: 100), seed: seed, count: 20_000)
        #expect(gaps.allSatisfy { $0 >= 0 && $0 <= 0.02 + 1e-8 }, "seed \(seed)")
        for quarter in 0..<4 {
            let inside = gaps.count { $0 >= 0.005 * Double(quarter) && $0 < 0.005 * Double(quarter + 1) }
            #expect(abs(Double(inside) / 20_000 - 0.25) < 0.02, "seed \(seed), quarter \(quarter)")
        }
    }

    @Test("an on/off process is silent while off and keeps its mean rate", arguments: seeds)
    func onOff(seed: UInt64) {
        let process = ArrivalProcess.onOff(rate: 1000, on: .milliseconds(200), off: .milliseconds(800))
        var count = 0
        for time in Arrivals(process, seed: seed) {
            guard time < .seconds(50) else { break }
            count += 1
            #expect(time.wholeNanoseconds % 1_000_000_000 <= 200_000_000, "seed \(seed): an arrival at \(time)")
        }
        #expect(process.meanRate == 200)
        // 10,000 arrivals expected, deviation 100.
        #expect(abs(count - 10_000) < 500, "seed \(seed): \(count)")
    }

    @Test(
        "the same seed gives the same times, another seed others, and time never runs backwards",
        arguments: [
            ArrivalProcess.poisson(rate: 1000), .uniform(rate: 3), .onOff(rate: 10, on: .seconds(1), off: .zero),
        ])
    func deterministic(process: ArrivalProcess) {
        let first = Array(Arrivals(process, seed: 5).prefix(1000))
        #expect(first == Array(Arrivals(process, seed: 5).prefix(1000)))
        #expect(first != Array(Arrivals(process, seed: 6).prefix(1000)))
        #expect(zip(first, first.dropFirst()).allSatisfy { $0 <= $1 })
    }

    @Test(
        "impossible processes are refused with a sentence",
        arguments: [
            ArrivalProcess.constant(rate: 0), .poisson(rate: -1), .uniform(rate: .nan), .constant(rate: .infinity), .poisson(rate: 2e9),
            .onOff(rate: 1, on: .zero, off: .seconds(1)), .onOff(rate: 1, on: .seconds(1), off: .seconds(-1)),
        ])
    func refused(process: ArrivalProcess) throws {
        let error = #expect(throws: BrumeError.self) { try process.validate() }
        #expect(error?.code == .invalid)
        #expect(error?.message.hasSuffix(".") == true)
    }
}
