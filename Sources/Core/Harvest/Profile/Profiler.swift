// SPDX-License-Identifier: Apache-2.0

public import BrumeModel

/// What the gateway knows of a call before it runs.
public struct CallFeatures: Hashable, Sendable {
    /// More are not looked at: each costs a curve for each thing that is predicted.
    public static let parametersMax = 3

    public var inputBytes: Int
    /// The numeric parameters that the function's spec names, in the order of the spec; nil where the call has none of that name.
    public var parameters: [Double?]

    public init(inputBytes: Int, parameters: [Double?] = []) {
        self.inputBytes = inputBytes
        self.parameters = parameters
    }

    /// Larger values count as this: their squares would leave the range in which a curve can be computed.
    private static let valueMax = 1e15

    /// The size, each parameter, and the product of all parameters where there are several: rows times columns, rounds times items.
    var list: [Double?] {
        let named = parameters.prefix(Self.parametersMax).map { $0.flatMap(Self.sensible) }
        var list = [Self.sensible(Double(max(0, inputBytes)))] + named
        if named.count > 1 {
            var product: Double? = 1
            for value in named { product = product.flatMap { left in value.flatMap { Self.sensible(left * $0) } } }
            list.append(product)
        }
        return list
    }

    private static func sensible(_ value: Double) -> Double? { value.isNaN ? nil : min(max(value, -valueMax), valueMax) }
}

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
    /// Calls of a function that run with the user's allocation before the first prediction: the fewest from which a spread shows.
    public var callsBeforePrediction = 8
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
    public let settings: ProfilerSettings
    private var profiles: [FunctionHandle: FunctionProfile] = [:]

    public init(settings: ProfilerSettings) { self.settings = settings }

    /// What the call will need, or nil where nothing is known of calls like it: it then runs with the user's allocation.
    public func predict(_ function: FunctionHandle, _ features: CallFeatures) -> Prediction? {
        guard let profile = profiles[function], profile.calls >= settings.callsBeforePrediction else { return nil }
        return profile.predict(features.list, settings)
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

    /// The one place where predictions become whole amounts.
    static func whole(_ amount: Double) -> Int64 { Int64(exactly: amount.rounded(.up)) ?? (amount > 0 ? .max : 0) }
}
