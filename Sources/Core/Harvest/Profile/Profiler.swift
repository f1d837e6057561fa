// SPDX-License-Identifier: Apache-2.0

public import BrumeModel

/// What a call turned out to need.
public struct CallObservation: Hashable, Sendable {
    /// From the start of its run on a ready replica to its end.
    public var duration: Duration
    /// Highest use over a sampling window, or nil where it was not measured (too short, or calls overlapped in the replica).
    public var peakMillicores: Int?
    public var peakMemoryBytes: Int?
    /// The CPU limit averaged over its run; what its duration was reached with.
    public var allocatedMillicores: Int
    /// The highest CPU limit that it had: a peak as high means that it would have used more.
    public var highestMillicores: Int
    /// It was killed at its memory limit: the peak is a lower bound.
    public var outOfMemory = false

    public init(duration: Duration, peak: Resources?, allocatedMillicores: Int, highestMillicores: Int? = nil) {
        self.duration = duration
        peakMillicores = peak?.millicores
        peakMemoryBytes = peak?.memoryBytes
        self.allocatedMillicores = allocatedMillicores
        self.highestMillicores = highestMillicores ?? allocatedMillicores
    }
}

/// What a call is expected to need.
public struct Prediction: Hashable, Sendable {
    /// Of which resources enough is known of calls like this one; of the others the peaks mean nothing.
    public var known: Set<ResourceKind>
    /// What it will hardly exceed (the 99th percentile).
    public var peak: Resources
    /// The best guess of the same.
    public var expectedPeak: Resources
    /// The run time on one core.
    public var baseDuration: Duration
    /// The best guess of the same; `baseDuration` is a low one where the input says nothing.
    public var expectedBaseDuration: Duration
    /// The part of the run time that more CPU does not shorten, in thousandths.
    public var serialThousandths: Int

    /// What a scheduler needs to know of it, if it gets so much CPU.
    public func demand(millicores: Int) -> Demand { Demand(peak: peak, duration: duration(millicores: millicores)) }

    /// The CPU that it keeps busy on average if it gets its peak: less, because a part of it works alone.
    public var meanMillicores: Int {
        let cores = Double(max(1, expectedPeak.millicores)) / 1000
        let factor = DurationModel.factor(serial: Double(serialThousandths) / 1000, cores: cores)
        return min(expectedPeak.millicores, Int(Profiler.whole(1000 / factor)))
    }

    /// The run time with so much CPU: no more counts than it uses at its peak.
    public func duration(millicores: Int) -> Duration { Self.scale(baseDuration, self, millicores) }

    /// The best guess of the same.
    public func expectedDuration(millicores: Int) -> Duration { Self.scale(expectedBaseDuration, self, millicores) }

    private static func scale(_ base: Duration, _ prediction: Prediction, _ millicores: Int) -> Duration {
        let cores = Double(min(max(1, millicores), max(1, prediction.expectedPeak.millicores))) / 1000
        let factor = DurationModel.factor(serial: Double(prediction.serialThousandths) / 1000, cores: cores)
        return .nanoseconds(Profiler.whole(Double(base.wholeNanoseconds) * factor))
    }
}

/// What predictions are made from; the others are there to be compared with the first.
public enum ProfilerMethod: String, Hashable, Sendable, CaseIterable {
    /// Curves where they predict better, quantiles elsewhere.
    case learned
    /// Quantiles of the latest calls, whatever the input.
    case quantiles
    /// The most of the latest five calls (Libra without its profiler).
    case recentMaximum = "recent-maximum"
}

/// How predictions are made.
public struct ProfilerSettings: Sendable {
    /// Calls of a function that are measured before the first prediction: the fewest from which a spread shows. They run with the user's
    /// allocation, and with what else lies idle if ``explores``.
    public var callsBeforePrediction = 8
    /// Whether calls of which too little is known may use idle CPU beyond the user's allocation, behind all others that want it: it shows
    /// what they would use (Libra runs copies of the call for that).
    public var explores = true
    /// How many times the user's CPU such a call is offered, or the most that the function has used, if that is more. Libra's largest
    /// allocation is eight times its smallest.
    public var explorationFactor = 8
    /// Calls of a function after which it is not explored any more if none of them ran long enough to be measured.
    public var exploredCallsMax = 64
    public var method = ProfilerMethod.learned
    /// The most CPU that is worth predicting for one call: the node's.
    public var millicoresMax: Int

    public init(millicoresMax: Int) { self.millicoresMax = millicoresMax }
}

/// Predicts what each call will need, and learns from each call that has ended.
///
/// Each of CPU peak, memory peak and duration follows a feature of the call (a curve) or not (quantiles of the latest calls), whichever
/// has predicted better; that is decided anew with each call. Memory and time per call do not grow with the number of calls.
public struct Profiler: Sendable {
    public var settings: ProfilerSettings
    private var profiles: [FunctionHandle: FunctionProfile] = [:]

    public init(settings: ProfilerSettings) { self.settings = settings }

    /// What the call will need, or nil where nothing is known of calls like it: it then runs with the user's allocation.
    public func predict(_ function: FunctionHandle, _ features: CallFeatures) -> Prediction? {
        profiles[function]?.predict(features.list, settings)
    }

    /// The CPU that a call of unknown demand may use, of what lies idle; not less than its allocation.
    public func exploration(_ function: FunctionHandle, allocated millicores: Int) -> Int {
        let profile = profiles[function]
        guard settings.explores, profile.map({ $0.isMeasured || $0.calls < settings.exploredCallsMax }) ?? true else { return millicores }
        let tried = max(millicores * settings.explorationFactor, profile?.highestMillicores ?? 0)
        return max(millicores, min(settings.millicoresMax, tried))
    }

    /// A call has ended well, or for want of memory. Others say nothing about what calls need.
    public mutating func learn(_ function: FunctionHandle, _ features: CallFeatures, _ observation: CallObservation) {
        guard observation.duration > .zero, observation.allocatedMillicores > 0 else { return }
        profiles[function, default: FunctionProfile()].learn(features.list, observation, settings)
    }

    /// Forgets a function: it was removed, or its code is another.
    public mutating func forget(_ function: FunctionHandle) { profiles[function] = nil }

    /// How well a function is known, or nil if no call of it has ended.
    public func report(_ function: FunctionHandle) -> ProfileReport? { profiles[function]?.report }

    /// What calls of a function would be expected to need, at so many values of the feature that they follow; empty if none has ended.
    public func outlook(_ function: FunctionHandle, rows: Int) -> [ProfileOutlook] {
        profiles[function]?.outlook(rows, settings) ?? []
    }

    /// The one place where predictions become whole amounts.
    static func whole(_ amount: Double) -> Int64 { Int64(exactly: amount.rounded(.up)) ?? (amount > 0 ? .max : 0) }
}
