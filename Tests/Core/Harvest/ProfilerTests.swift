// SPDX-License-Identifier: Apache-2.0

import BrumeHarvest
import BrumeModel
import Testing

@Suite("The profiler")
struct ProfilerTests {
    static let function = FunctionHandle(0)

    /// Run times vary by 3 %, peaks by 1 %: a quiet machine. Libra averaged five runs for each sample.
    private static func learn(
        _ function: SyntheticFunction, calls: Int, seed: UInt64, millicores: (inout SeededGenerator) -> Int = { _ in 8000 }
    ) -> (profiler: Profiler, calls: [SyntheticCall]) {
        var chance = SeededGenerator(seed: seed)
        var profiler = Profiler(settings: ProfilerSettings(millicoresMax: 8000))
        var drawn: [SyntheticCall] = []
        for _ in 0..<calls {
            let limit = millicores(&chance)
            let call = SyntheticCall(function, millicores: limit, noise: 0.03, peakNoise: 0.01, &chance)
            profiler.learn(Self.function, call.features, call.observation)
            drawn.append(call)
        }
        return (profiler, drawn)
    }

    /// What a predictor that knew the function, but not the noise, would reach.
    private static func attainable(_ calls: some Collection<SyntheticCall>) -> Double {
        let actual = calls.map { $0.observation.duration.inSeconds }
        let mean = actual.reduce(0, +) / Double(actual.count)
        let noise = zip(calls, actual).reduce(0) { $0 + ($1.0.trueSeconds - $1.1) * ($1.0.trueSeconds - $1.1) }
        return 1 - noise / actual.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    }

    @Test("functions after Libra's table are predicted at least as well as Libra does", arguments: [1, 2, 3] as [UInt64])
    func libraTable(seed: UInt64) throws {
        var (cpu, memory, related): (Double, Double, [Double]) = (0, 0, [])
        for function in SyntheticFunction.all {
            let (profiler, calls) = Self.learn(function, calls: 300, seed: seed)
            let report = try #require(profiler.report(Self.function))
            let best = Self.attainable(calls.suffix(report.predictions))
            cpu += report.cpuClassAccuracy / 10
            memory += report.memoryClassAccuracy / 10
            let r2 = try #require(report.durationR2)
            // Below that, run times hardly follow the input, and a mean may be the better guess.
            if best > 0.5 { #expect(r2 >= best - 0.1, "seed \(seed) \(function.name): R2 \(r2) of \(best)") }
            #expect(report.cpuClassAccuracy >= 0.90 && report.memoryClassAccuracy >= 0.95, "seed \(seed) \(function.name) \(report)")
            if best > 0.9 {
                related.append(r2)
                #expect(report.durationDriver == 1, "seed \(seed) \(function.name)")
            }
        }
        #expect(cpu >= 0.95 && memory >= 0.99, "seed \(seed): CPU class \(cpu), memory class \(memory)")
        let r2 = related.reduce(0, +) / Double(related.count)
        #expect(related.count >= 7 && r2 >= 0.94, "seed \(seed): R2 \(r2) on \(related.count) functions")
    }

    @Test("the first calls run with the user's allocation, and so do inputs far from any seen")
    func unknown() {
        let (profiler, _) = Self.learn(SyntheticFunction.all[1], calls: 7, seed: 1)
        #expect(profiler.predict(Self.function, CallFeatures(inputBytes: 24, parameters: [20_000])) == nil)
        let (known, _) = Self.learn(SyntheticFunction.all[1], calls: 100, seed: 1)
        #expect(known.predict(Self.function, CallFeatures(inputBytes: 24, parameters: [20_000])) != nil)
        #expect(known.predict(Self.function, CallFeatures(inputBytes: 24, parameters: [2_000_000])) == nil)
        #expect(known.predict(FunctionHandle(1), CallFeatures(inputBytes: 24)) == nil)
    }

    @Test("what does not follow the input is predicted by quantiles: 99 of 100 peaks are covered", arguments: [1, 2, 3] as [UInt64])
    func unrelated(seed: UInt64) throws {
        var chance = SeededGenerator(seed: seed)
        var profiler = Profiler(settings: ProfilerSettings(millicoresMax: 8000))
        var short = 0
        for number in 0..<600 {
            let features = CallFeatures(inputBytes: chance.draw(100...100_000))
            let seconds = 2 * Elementary.exponential(0.5 * chance.normal())
            let peak = Resources(millicores: chance.draw(500...3500), memoryBytes: chance.draw(50_000_000...400_000_000))
            if number >= 200, let prediction = profiler.predict(Self.function, features),
                prediction.duration(millicores: 8000).inSeconds > seconds
            {
                short += 1
            }
            profiler.learn(
                Self.function, features,
                CallObservation(duration: .nanoseconds(Int64(seconds * 1e9)), peak: peak, allocatedMillicores: 8000))
        }
        let report = try #require(profiler.report(Self.function))
        #expect(report.cpuDriver == nil && report.memoryDriver == nil && report.durationDriver == nil, "seed \(seed) \(report)")
        #expect(report.cpuExceeded <= 0.03 && report.memoryExceeded <= 0.03, "seed \(seed) \(report)")
        // The 5th percentile of a time that also varies with how parallel the call was.
        #expect((0..<60).contains(short), "seed \(seed): \(short) of 400 calls ended before their predicted end")
    }

    @Test("run times are right for allocations that a size was never seen with", arguments: [0.0, 0.1, 0.3, 0.75])
    func amdahl(serial: Double) throws {
        var function = SyntheticFunction.all[5]
        function.serial = serial
        let (profiler, _) = Self.learn(function, calls: 300, seed: 5) { [1000, 2000, 4000, 8000][$0.below(4)] }
        #expect(abs(Double(try #require(profiler.report(Self.function)).serialThousandths) / 1000 - serial) <= 0.1)
        for (multiple, millicores) in [(3.0, 3000), (20, 1000), (60, 6000), (95, 1500), (95, 7000)] {
            let features = CallFeatures(inputBytes: 24, parameters: [multiple * 5])
            let prediction = try #require(profiler.predict(Self.function, features))
            let expected = function.seconds(at: multiple, millicores: millicores)
            let got = prediction.duration(millicores: millicores).inSeconds
            #expect(abs(got - expected) <= 0.15 * expected, "\(multiple) at \(millicores): \(got) for \(expected)")
        }
    }

    @Test("a peak cut off by the limit leads to more being tried, until a limit is not reached")
    func probing() throws {
        var profiler = Profiler(settings: ProfilerSettings(millicoresMax: 8000))
        var limit = 1000
        var tried: [Int] = []
        for _ in 0..<40 {
            let peak = Resources(millicores: min(limit, 3300), memoryBytes: 1000)
            profiler.learn(
                Self.function, CallFeatures(inputBytes: 10), CallObservation(duration: .seconds(1), peak: peak, allocatedMillicores: limit))
            if let prediction = profiler.predict(Self.function, CallFeatures(inputBytes: 10)) {
                limit = max(1000, prediction.peak.millicores)
            }
            if tried.last != limit { tried.append(limit) }
        }
        #expect(tried.starts(with: [1000, 2000, 4000]), "\(tried)")
        #expect((3300...3800).contains(limit), "\(tried)")
    }

    @Test("a call killed for want of memory is expected to need more the next time")
    func outOfMemory() throws {
        var (profiler, _) = Self.learn(SyntheticFunction.all[0], calls: 50, seed: 1)
        let features = CallFeatures(inputBytes: 24, parameters: [5000])
        let before = try #require(profiler.predict(Self.function, features)).peak.memoryBytes
        var observation = CallObservation(
            duration: .seconds(1), peak: Resources(millicores: 6000, memoryBytes: before), allocatedMillicores: 8000)
        observation.outOfMemory = true
        profiler.learn(Self.function, features, observation)
        #expect(try #require(profiler.predict(Self.function, features)).peak.memoryBytes >= before * 3 / 2)
    }

    @Test("a change of behaviour is learned")
    func drift() throws {
        var (profiler, _) = Self.learn(SyntheticFunction.all[9], calls: 500, seed: 1)
        var chance = SeededGenerator(seed: 2)
        for _ in 0..<500 {
            let call = SyntheticCall(SyntheticFunction.all[5], millicores: 8000, noise: 0.03, peakNoise: 0.01, &chance)
            let features = CallFeatures(inputBytes: 24, parameters: [call.multiple * 100])
            profiler.learn(Self.function, features, call.observation)
        }
        let report = try #require(profiler.report(Self.function))
        #expect(try #require(report.durationR2) >= 0.94 && report.memoryClassAccuracy >= 0.95, "\(report)")
    }

    @Test("what makes no sense as a measurement teaches nothing")
    func nonsense() {
        var profiler = Profiler(settings: ProfilerSettings(millicoresMax: 8000))
        for duration in [Duration.zero, .seconds(-1)] {
            profiler.learn(
                Self.function, CallFeatures(inputBytes: -5, parameters: [.nan, .infinity]),
                CallObservation(duration: duration, peak: .zero, allocatedMillicores: 1000))
        }
        #expect(profiler.report(Self.function) == nil)
        for _ in 0..<20 {
            profiler.learn(
                Self.function, CallFeatures(inputBytes: -5, parameters: [.nan, .infinity, nil, 1e308, 7]),
                CallObservation(duration: .nanoseconds(1), peak: .zero, allocatedMillicores: 1))
        }
        #expect(profiler.predict(Self.function, CallFeatures(inputBytes: .max, parameters: [1e308, -1e308, 1e308])) == nil)
        let prediction = profiler.predict(Self.function, CallFeatures(inputBytes: 0))
        #expect(prediction.map { $0.peak.millicores >= 0 && $0.peak.memoryBytes >= 0 } ?? true)
    }
}
