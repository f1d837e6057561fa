// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Testing

@testable import BrumeWorkload

@Suite("Libra's call sets")
struct LibraSetTests {
    @Test("the ten multi sets have 10 to 300 calls a minute, 1050 in all, at the paper's offsets")
    func multi() throws {
        let sets = try (1...10).map { try LibraSets.multi($0, seed: 1) }
        #expect(sets.map(\.calls.count) == [10, 20, 30, 40, 50, 60, 120, 180, 240, 300])
        #expect(sets.map(\.calls.count).reduce(0, +) == 1050)
        for (set, count) in zip(sets, LibraSets.callsPerFunction) {
            for function in 0..<10 {
                let offsets = set.calls.filter { $0.function == function }.map(\.offset)
                #expect(offsets == (0..<count).map { .seconds(60 / count * $0) }, "\(count) calls")
            }
            #expect(set.length < .seconds(60))
        }
        // The last set calls every two seconds, all ten functions at once, in the order of the functions.
        #expect(sets[9].calls.prefix(11).map(\.function) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0])
        #expect(sets[9].calls[10].offset == .seconds(2))
    }

    @Test("sizes are the function's own, or drawn from its range by the seed", arguments: [1, 2, 3] as [UInt64])
    func sizes(seed: UInt64) throws {
        let fixed = try LibraSets.multi(10, seed: seed)
        for function in 0..<10 {
            #expect(Set(fixed.calls.filter { $0.function == function }.map(\.inputSize)).count == 1)
        }
        let drawn = try LibraSets.multi(10, sizes: .drawn, seed: seed)
        #expect(drawn.calls.allSatisfy { SuiteFunction.libra[$0.function].sizes.contains($0.inputSize ?? -1) })
        #expect(Set(drawn.calls.map(\.inputSize)).count > 150)
        #expect(try LibraSets.multi(10, sizes: .drawn, seed: seed) == drawn)
        #expect(try LibraSets.multi(10, sizes: .drawn, seed: seed + 1) != drawn)
        #expect(throws: BrumeError.self) { try LibraSets.multi(0, seed: seed) }
        #expect(throws: BrumeError.self) { try LibraSets.multi(11, seed: seed) }
    }

    @Test("the single set has 165 calls of all ten functions within a minute")
    func single() {
        let set = LibraSets.single(seed: 4)
        #expect(set.calls.count == 165)
        #expect(set.length < .seconds(60))
        for function in 0..<10 { #expect((16...17).contains(set.calls.count { $0.function == function })) }
        #expect(LibraSets.single(seed: 4) == set)
    }

    @Test("arrivals of a process go to the chosen functions")
    func arriving() throws {
        let trace = try LibraSets.arriving(.poisson(rate: 50), for: .seconds(60), functions: ["ms", "arithmetic"], seed: 2)
        #expect(abs(trace.calls.count - 3000) < 300)
        #expect(Set(trace.calls.map { trace.functions[$0.function].name }) == ["merge-sort", "arithmetic"])
        let bursts = try LibraSets.arriving(.onOff(rate: 100, on: .seconds(1), off: .seconds(9)), for: .seconds(60), seed: 2)
        #expect(bursts.calls.allSatisfy { $0.offset.components.seconds % 10 == 0 })
        #expect(throws: BrumeError.self) { try LibraSets.arriving(.poisson(rate: 1), for: .seconds(1), functions: ["tea"], seed: 1) }
        #expect(throws: BrumeError.self) { try LibraSets.arriving(.poisson(rate: -1), for: .seconds(1), seed: 1) }
        #expect(throws: BrumeError.self) { try LibraSets.arriving(.poisson(rate: 1), for: .zero, seed: 1) }
    }

    @Test("the published demo: ten functions, one call each, with their sizes and durations")
    func demo() throws {
        var trace = try TraceReader(.azure2019, expansion: .libra).read(try Fixture.lines("libra-invocation.csv"))
        try trace.assign(inputSizes: try LibraInputSizes.read(try Fixture.lines("libra-input_size.csv")))
        #expect(trace.calls.map(\.offset) == Array(repeating: .zero, count: 10))
        #expect(trace.functions.map(\.name) == SuiteFunction.libra.map(\.id))
        #expect(trace.calls.map(\.inputSize) == [1000, 20000, 100, 1, 100, 50, 100_000, 100_000, 10, 500])
        var profiles = AzureProfiles()
        try profiles.readDurations(try Fixture.lines("libra-duration.csv"))
        try profiles.readMemory(try Fixture.lines("libra-memory.csv"))
        #expect(trace.drawDurations(from: profiles, seed: 3) == 0)
        // dv was measured once: 6363 ms at every percentile.
        #expect(trace.calls[9].duration == .milliseconds(6363))
        #expect(profiles.memory(of: trace.functions[5])?.value(at: 0.5) == 283)
        #expect(throws: BrumeError.self) { try trace.assign(inputSizes: [1, 2, 3]) }
    }

    @Test("durations drawn from percentiles have these percentiles")
    func percentiles() throws {
        var profiles = AzureProfiles()
        try profiles.readDurations(try Fixture.lines("libra-duration.csv"))
        let calls = (0..<20_000).map { TraceCall(offset: .milliseconds($0), function: 0) }
        var trace = Trace(functions: [TraceFunction("vp")], calls: calls)
        trace.drawDurations(from: profiles, seed: 8)
        let drawn = trace.calls.compactMap(\.duration?.inMilliseconds).sorted()
        #expect(drawn.first == 328)
        for (share, value) in [(0.25, 1125.0), (0.5, 3781), (0.75, 6923)] {
            #expect(abs(drawn[Int(share * 20_000)] - value) < 0.07 * value, "\(share)")
        }
        #expect((drawn.last ?? 0) <= 20_079)
        var unknown = Trace(functions: [TraceFunction("tea")], calls: calls)
        #expect(unknown.drawDurations(from: profiles, seed: 8) == 20_000)
    }

    @Test("memory of Azure's trace is known by function or by application")
    func memory() throws {
        var profiles = AzureProfiles()
        try profiles.readMemory(TextLines("HashOwner,HashApp,SampleCount,AverageAllocatedMb,AverageAllocatedMb_pct50\no,a,5,100,90\n"))
        #expect(profiles.memory(of: TraceFunction("f", app: "a", owner: "o"))?.value(at: 0.2) == 90)
        #expect(profiles.memory(of: TraceFunction("f", app: "b", owner: "o")) == nil)
        let lines = TextLines("HashFunction,Average,percentile_Average_0,percentile_Average_100\nf,5,9,3\ng,5,3,9\n")
        let error = #expect(throws: BrumeError.self) { try profiles.readDurations(lines) }
        #expect(error?.message.contains("Line 2, column 3 ('percentile_Average_0'): the percentiles of this row do not rise") == true)
        try profiles.readDurations(lines, badRows: .skip)
        #expect(profiles.skipped.count == 1)
        #expect(profiles.durations(of: TraceFunction("g"))?.value(at: 0.5) == 6)
    }

    @Test("Azure's laws of durations and memory have the published medians and tails", arguments: [1, 2] as [UInt64])
    func laws(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        func draws(_ quantity: Quantity) throws -> [Double] {
            try quantity.validate()
            return (0..<40_000).map { _ in Double(quantity.draw(&generator)) }.sorted()
        }
        let seconds = try draws(.azureDurationNanoseconds).map { $0 / 1e9 }
        #expect(abs(seconds[20_000] / 0.6839 - 1) < 0.05)
        // One deviation up: e^(-0.38 + 2.36) at the 84.13th percentile.
        #expect(abs(seconds[33_653] / 7.2427 - 1) < 0.08)
        #expect((seconds.last ?? 0) <= 600)
        let megabytes = try draws(.azureMemoryBytes).map { $0 / 1e6 }
        // From the law by hand: 107.083 (2^(1/0.221) - 1)^(1/11.652), and 10^(1/0.221) for the ninth decile.
        #expect(abs(megabytes[20_000] / 139.6 - 1) < 0.02, "\(megabytes[20_000])")
        #expect(abs(megabytes[36_000] / 261.9 - 1) < 0.03, "\(megabytes[36_000])")
        #expect(throws: BrumeError.self) { try Quantity.burr(scale: 0, c: 1, k: 1, max: 1).validate() }
        #expect(throws: BrumeError.self) { try Quantity.burr(scale: 1, c: .nan, k: 1, max: 1).validate() }
    }
}
