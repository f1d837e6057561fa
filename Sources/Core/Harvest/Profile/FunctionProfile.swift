// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// What is known of one function's calls.
struct FunctionProfile: Sendable {
    private var cpu = PeakModel()
    private var memory = PeakModel()
    private var time = DurationModel()
    private(set) var calls = 0
    private var record = PredictionRecord()
    private var recent: [CallObservation] = []
    /// Libra's window.
    private static let recentSize = 5

    func predict(_ features: [Double?], _ settings: ProfilerSettings) -> Prediction? {
        if settings.method == .recentMaximum { return recentMaximum(settings) }
        // Without features nothing can follow them.
        let features = settings.method == .quantiles ? [] : features
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
        let features = settings.method == .quantiles ? [] : features
        recent.append(observation)
        if recent.count > Self.recentSize { recent.removeFirst() }
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

    private func recentMaximum(_ settings: ProfilerSettings) -> Prediction? {
        let cpu = recent.compactMap(\.peakMillicores).max()
        let memory = recent.compactMap(\.peakMemoryBytes).max()
        guard let cpu, let memory, let duration = recent.map(\.duration).max() else { return nil }
        let peak = Resources(millicores: min(cpu, settings.millicoresMax), memoryBytes: memory)
        // Wholly serial: the time is taken as it was, whatever the call gets.
        return Prediction(
            peak: peak, expectedPeak: peak, baseDuration: duration, expectedBaseDuration: duration, serialThousandths: 1000)
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
