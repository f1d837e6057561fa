// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// What is known of one function's calls.
struct FunctionProfile: Sendable {
    private var cpu = PeakModel()
    private var memory = PeakModel()
    private var time = DurationModel()
    private(set) var calls = 0
    /// Features of the latest call.
    private var latest: [FeatureValue?] = []
    private var record = PredictionRecord()
    private var recent: [CallObservation] = []
    /// Libra's window.
    private static let recentSize = 5

    func predict(_ features: [FeatureValue?], _ settings: ProfilerSettings) -> Prediction? {
        if settings.method == .recentMaximum { return calls < settings.callsBeforePrediction ? nil : recentMaximum(settings) }
        // Without features nothing can follow them.
        let features = settings.method == .quantiles ? [] : features
        guard let base = time.baseSeconds(features), let expected = time.expectedBaseSeconds(features) else { return nil }
        var prediction = Prediction(
            known: [], peak: Resources(millicores: settings.millicoresMax, memoryBytes: 0),
            expectedPeak: Resources(millicores: settings.millicoresMax, memoryBytes: 0),
            baseDuration: .nanoseconds(Profiler.whole(base * 1e9)), expectedBaseDuration: .nanoseconds(Profiler.whole(expected * 1e9)),
            serialThousandths: Int(Profiler.whole(time.serialFraction * 1000)))
        if let cpuPeak = known(cpu, features, settings) {
            prediction.known.insert(.cpu)
            prediction.peak.millicores = Int(min(Profiler.whole(cpuPeak.upper), Int64(settings.millicoresMax)))
            prediction.expectedPeak.millicores = Int(min(Profiler.whole(cpuPeak.expected), Int64(settings.millicoresMax)))
        }
        if let memoryPeak = known(memory, features, settings) {
            prediction.known.insert(.memory)
            prediction.peak.memoryBytes = Int(Profiler.whole(memoryPeak.upper))
            prediction.expectedPeak.memoryBytes = Int(Profiler.whole(memoryPeak.expected))
        }
        return prediction.known.isEmpty ? nil : prediction
    }

    private func known(_ model: PeakModel, _ features: [FeatureValue?], _ settings: ProfilerSettings) -> PeakModel.Estimate? {
        model.count >= settings.callsBeforePrediction ? model.estimate(features) : nil
    }

    /// Whether any call was long enough for its CPU peak to be measured.
    var isMeasured: Bool { cpu.count > 0 }

    /// The highest CPU peak of the latest calls.
    var highestMillicores: Int { Int(Profiler.whole(cpu.highest)) }

    mutating func learn(_ features: [FeatureValue?], _ observation: CallObservation, _ settings: ProfilerSettings) {
        let features = settings.method == .quantiles ? [] : features
        latest = features
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
            known: [.cpu, .memory], peak: peak, expectedPeak: peak, baseDuration: duration, expectedBaseDuration: duration,
            serialThousandths: 1000)
    }

    /// What calls would be expected to need: at some values of the feature that most follows, between the least and the most seen.
    func outlook(_ rows: Int, _ settings: ProfilerSettings) -> [ProfileOutlook] {
        let quantities = [time.report, cpu.report, memory.report]
        guard let leading = quantities.first(where: { $0.driver != nil }), let feature = leading.driver, let range = leading.range,
            feature < latest.count, range.lowerBound < range.upperBound, rows > 1
        else { return [ProfileOutlook(feature: nil, value: nil, prediction: predict(latest, settings))] }
        return (0..<rows).map { row in
            let value = range.lowerBound + (range.upperBound - range.lowerBound) * Double(row) / Double(rows - 1)
            var features = latest
            features[feature] = FeatureValue(value)
            // Size, parameters, and their product at the end, where there are several.
            if features.count > 3, (1..<features.count - 1).contains(feature) {
                let product = features[1..<features.count - 1].reduce(1.0) { $0 * ($1?.value ?? 0) }
                features[features.count - 1] = FeatureValue(product)
            }
            return ProfileOutlook(feature: feature, value: value, prediction: predict(features, settings))
        }
    }

    var report: ProfileReport {
        var report = record.report
        report.calls = calls
        report.cpuDriver = cpu.trend.driver
        report.memoryDriver = memory.trend.driver
        report.durationDriver = time.driver
        report.serialThousandths = Int(Profiler.whole(time.serialFraction * 1000))
        report.cpu = cpu.report
        report.memory = memory.report
        report.duration = time.report
        return report
    }
}
