// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// What is known of one function's calls.
struct FunctionProfile: Sendable {
    private var cpu = PeakModel()
    private var memory = PeakModel()
    private var time = DurationModel()
    private(set) var calls = 0
    private var record = PredictionRecord()

    func predict(_ features: [Double?], _ settings: ProfilerSettings) -> Prediction? {
        guard let cpuPeak = cpu.estimate(features), let memoryPeak = memory.estimate(features),
            let base = time.baseSeconds(features), let expected = time.expectedBaseSeconds(features)
        else { return nil }
        func millicores(_ amount: Double) -> Int { Int(min(Profiler.whole(amount), Int64(settings.millicoresMax))) }
        return Prediction(
            peak: Resources(millicores: millicores(cpuPeak.upper), memoryBytes: Int(Profiler.whole(memoryPeak.upper))),
            expectedPeak: Resources(millicores: millicores(cpuPeak.expected), memoryBytes: Int(Profiler.whole(memoryPeak.expected))),
            baseDuration: .nanoseconds(Profiler.whole(base * 1e9)),
            expectedBaseDuration: .nanoseconds(Profiler.whole(expected * 1e9)),
            serialThousandths: Int(Profiler.whole(time.serialFraction * 1000)))
    }

    mutating func learn(_ features: [Double?], _ observation: CallObservation, _ settings: ProfilerSettings) {
        if calls >= settings.callsBeforePrediction { record.add(predict(features, settings), observation) }
        calls += 1
        if let peak = observation.peakMillicores, peak >= 0 {
            cpu.learn(features, Double(peak), limit: Double(observation.highestMillicores), most: Double(settings.millicoresMax))
        }
        if let peak = observation.peakMemoryBytes, peak >= 0 {
            // A killed call would have held more; half as much again is what it gets credit for.
            memory.learn(features, Double(peak) * (observation.outOfMemory ? 1.5 : 1), limit: nil, most: .infinity)
        }
        guard !observation.outOfMemory else { return }
        let usable = min(observation.allocatedMillicores, max(1, observation.peakMillicores ?? .max))
        time.learn(features, seconds: observation.duration.inSeconds, cores: Double(usable) / 1000)
    }

    var report: ProfileReport {
        var report = record.report
        report.calls = calls
        report.cpuDriver = cpu.trend.driver
        report.memoryDriver = memory.trend.driver
        report.durationDriver = time.driver
        report.serialThousandths = Int(Profiler.whole(time.serialFraction * 1000))
        return report
    }
}
