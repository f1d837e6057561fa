// SPDX-License-Identifier: Apache-2.0

/// One of the two resources that are lent and limited apart from each other.
public enum ResourceKind: String, Hashable, Sendable, Codable, CaseIterable {
    /// Amounts in thousandths of a core.
    case cpu
    /// Amounts in bytes.
    case memory
}

extension Resources {
    /// The amount of one resource, in its own unit.
    public subscript(kind: ResourceKind) -> Int {
        get { kind == .cpu ? millicores : memoryBytes }
        set { if kind == .cpu { millicores = newValue } else { memoryBytes = newValue } }
    }
}

/// What a call is expected to need, before it runs.
public struct Demand: Hashable, Sendable, Codable {
    /// The most CPU it keeps busy and the most memory it holds at any moment.
    public var peak: Resources
    /// From its start on a replica to its end, given `peak`.
    public var duration: Duration

    public init(peak: Resources, duration: Duration) {
        self.peak = peak
        self.duration = duration
    }
}

/// What is idle in a node's harvest pool and until when, as brokers get it told.
public struct PoolSnapshot: Hashable, Sendable, Codable {
    /// An amount that is idle from `start` until its lender is expected to end.
    public struct Entry: Hashable, Sendable, Codable {
        public var amount: Int
        /// Zero for what is idle now.
        public var start: Instant
        /// `distantFuture` for what no call has reserved.
        public var end: Instant

        public init(amount: Int, start: Instant = .zero, end: Instant) {
            self.amount = amount
            self.start = start
            self.end = end
        }
    }

    /// In the order in which they would be lent: the latest end first.
    public var cpu: [Entry]
    public var memory: [Entry]

    public init(cpu: [Entry] = [], memory: [Entry] = []) {
        self.cpu = cpu
        self.memory = memory
    }

    public subscript(kind: ResourceKind) -> [Entry] { kind == .cpu ? cpu : memory }
}

/// A limit to write. Limits are absolute: of several changes for one call and resource the last one holds.
public struct LimitChange: Hashable, Sendable {
    public let call: CallID
    public let kind: ResourceKind
    /// 0 for a call that has just arrived.
    public let from: Int
    public let to: Int

    public init(call: CallID, kind: ResourceKind, from: Int, to: Int) {
        self.call = call
        self.kind = kind
        self.from = from
        self.to = to
    }

    public var isShrink: Bool { to < from }
}

/// One look at what a running replica uses.
public struct UsageSample: Hashable, Sendable {
    public let at: Instant
    /// CPU time used since the replica began, or nil if it could not be read.
    public var cpuTime: Duration?
    /// Quota periods in which it was throttled since it began, where the kernel tells.
    public var throttledPeriods: Int?
    public var memoryBytes: Int?

    public init(at: Instant, cpuTime: Duration? = nil, throttledPeriods: Int? = nil, memoryBytes: Int? = nil) {
        self.at = at
        self.cpuTime = cpuTime
        self.throttledPeriods = throttledPeriods
        self.memoryBytes = memoryBytes
    }
}

/// What the gateway knows of a call before it runs.
public struct CallFeatures: Hashable, Sendable {
    /// More are not looked at: each costs a curve for each thing that is predicted.
    public static let parametersMax = 3

    /// Nothing is known of the call.
    public static let unknown = CallFeatures(inputBytes: 0)

    public var inputBytes: Int
    /// The numeric parameters that the function's spec names, in the order of the spec; nil where the call has none of that name.
    public var parameters: [Double?]

    public init(inputBytes: Int, parameters: [Double?] = []) {
        self.inputBytes = inputBytes
        self.parameters = parameters
    }
}

/// What one call used, measured from the control group of its replica while it ran no other.
public struct CallUsage: Hashable, Sendable {
    /// CPU time.
    public var cpuTime: Duration
    /// The highest use of CPU, averaged over 40 ms.
    public var peakMillicores: Int
    public var peakMemoryBytes: Int
    /// Processes that the kernel killed at the memory limit, whatever the function made of it.
    public var memoryKills: Int

    public init(cpuTime: Duration, peakMillicores: Int, peakMemoryBytes: Int, memoryKills: Int = 0) {
        self.cpuTime = cpuTime
        self.peakMillicores = peakMillicores
        self.peakMemoryBytes = peakMemoryBytes
        self.memoryKills = memoryKills
    }
}
