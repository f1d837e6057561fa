// SPDX-License-Identifier: Apache-2.0

import BrumeBroker
public import BrumeEngine
import BrumeModel

/// So many times out of so many, as integers, so that a run does not depend on the rounding of a machine.
public struct Ratio: Hashable, Sendable {
    public let numerator: Int
    public let denominator: Int

    public init(_ numerator: Int, in denominator: Int) {
        precondition(denominator > 0 && numerator >= 0 && numerator <= denominator, "a ratio lies between 0 and 1")
        self.numerator = numerator
        self.denominator = denominator
    }

    public static let never = Ratio(0, in: 1)
    public static let always = Ratio(1, in: 1)
}

extension SeededGenerator {
    mutating func happens(_ ratio: Ratio) -> Bool {
        ratio.numerator > 0 && chance(ratio.numerator, in: ratio.denominator)
    }

    /// A duration in the closed range, to the nanosecond.
    mutating func draw(_ range: ClosedRange<Duration>) -> Duration {
        .nanoseconds(Int64(draw(Int(range.lowerBound.wholeNanoseconds)...Int(range.upperBound.wholeNanoseconds))))
    }
}

/// What goes wrong, how often.
public struct FaultPlan: Hashable, Sendable {
    /// Of starts.
    public var startFails = Ratio.never
    /// Of starts that succeed: the replica ends by itself soon after.
    public var crashesWhenReady = Ratio.never
    /// Of calls: the function answers with an error.
    public var callFails = Ratio.never
    /// Of calls: the replica dies in the middle of it.
    public var crashesInCall = Ratio.never
    /// Of calls: it runs beyond its deadline.
    public var overruns = Ratio.never
    /// Of calls: the replica goes on for a while after the answer.
    public var lateEnds = Ratio.never
    /// Of calls told to give up: they go on.
    public var ignoresCancel = Ratio.never
    /// Of calls: the replica goes away between the decision and the hand-over.
    public var vanishes = Ratio.never
    /// Of callers: they go away before the answer.
    public var abandons = Ratio.never
    /// Of offered asynchronous calls: they cannot be stored.
    public var storeFails = Ratio.never
    /// Of arrivals: a new revision of a function is deployed at the same time.
    public var redeploys = Ratio.never
    public var scales = Ratio.never
    public var removes = Ratio.never
    /// Of arrivals: the node is killed and starts again.
    public var restarts = Ratio.never
    /// Of functions: their starts fail until they are deployed again.
    public var brokenFunctions = Ratio.never

    public init() {}

    public static let none = FaultPlan()

    /// What a bad day looks like.
    public static let light: FaultPlan = {
        var plan = FaultPlan()
        plan.startFails = Ratio(1, in: 50)
        plan.crashesWhenReady = Ratio(1, in: 50)
        plan.callFails = Ratio(1, in: 50)
        plan.crashesInCall = Ratio(1, in: 200)
        plan.overruns = Ratio(1, in: 200)
        plan.lateEnds = Ratio(1, in: 16)
        plan.ignoresCancel = Ratio(1, in: 2)
        plan.vanishes = Ratio(1, in: 200)
        plan.abandons = Ratio(1, in: 50)
        plan.storeFails = Ratio(1, in: 100)
        plan.redeploys = Ratio(1, in: 300)
        plan.scales = Ratio(1, in: 300)
        plan.removes = Ratio(1, in: 1000)
        plan.restarts = Ratio(1, in: 2000)
        return plan
    }()

    /// Everything goes wrong, all the time.
    public static let heavy: FaultPlan = {
        var plan = FaultPlan()
        plan.startFails = Ratio(1, in: 5)
        plan.crashesWhenReady = Ratio(1, in: 6)
        plan.callFails = Ratio(1, in: 8)
        plan.crashesInCall = Ratio(1, in: 15)
        plan.overruns = Ratio(1, in: 15)
        plan.lateEnds = Ratio(1, in: 16)
        plan.ignoresCancel = Ratio(1, in: 2)
        plan.vanishes = Ratio(1, in: 20)
        plan.abandons = Ratio(1, in: 8)
        plan.storeFails = Ratio(1, in: 8)
        plan.redeploys = Ratio(1, in: 40)
        plan.scales = Ratio(1, in: 40)
        plan.removes = Ratio(1, in: 80)
        plan.restarts = Ratio(1, in: 200)
        plan.brokenFunctions = Ratio(1, in: 6)
        return plan
    }()
}

/// What is simulated.
public struct SimulationPlan: Sendable {
    /// Functions deployed at the same time.
    public var functions: Int
    /// Arrivals, waiting and asynchronous ones together.
    public var calls: Int
    public var faults: FaultPlan
    /// Of calls: the caller does not wait.
    public var asynchronous: Ratio
    /// Time between two arrivals: uniform from zero to twice this.
    public var meanGap: Duration
    public var settings: EngineSettings
    /// Whether every function is larger than life: many replicas, long queues. Off, sizes are drawn small so that limits are hit.
    public var roomy: Bool
    /// Ends with a drain in the middle of the load instead of letting everything come to rest.
    public var drains: Bool

    /// - Parameter roomy: sizes for measuring; otherwise room for three replicas and queues of four.
    public init(functions: Int = 4, calls: Int = 400, faults: FaultPlan = .light, roomy: Bool = false) {
        self.functions = functions
        self.calls = calls
        self.faults = faults
        self.roomy = roomy
        asynchronous = roomy ? .never : Ratio(1, in: 4)
        meanGap = roomy ? .microseconds(100) : .milliseconds(3)
        settings = roomy ? Self.roomySettings(functions: functions) : Self.tightSettings
        drains = false
    }

    static let unit = Resources(millicores: 100, memoryBytes: 64 << 20)

    /// Room for three replicas and queues of four: every limit is met within a few calls.
    private static var tightSettings: EngineSettings {
        var settings = EngineSettings(capacity: Resources(millicores: 3 * unit.millicores, memoryBytes: 3 * unit.memoryBytes))
        settings.queueLimitPerFunction = 4
        settings.queueLimit = 10
        settings.asynchronousLimitPerFunction = 6
        settings.concurrentStarts = 2
        settings.startBackoff = Backoff(base: .milliseconds(10), ceiling: .milliseconds(200))
        settings.crashLoopWindow = .milliseconds(20)
        settings.overrunGrace = .milliseconds(100)
        settings.stopGrace = .milliseconds(50)
        settings.unsentRetries = 2
        settings.asynchronousBackoff = Backoff(base: .milliseconds(20), ceiling: .milliseconds(100))
        return settings
    }

    private static func roomySettings(functions: Int) -> EngineSettings {
        EngineSettings(capacity: Resources(millicores: 64 * functions * unit.millicores, memoryBytes: 64 * functions * unit.memoryBytes))
    }
}
