// SPDX-License-Identifier: Apache-2.0

public import BrumeModel

/// Decides when a lender is near its limit, and which functions trip too often to be harvested.
///
/// The watcher feeds it samples; what it answers goes to ``HarvestPool/restore(_:_:into:)``. A sample costs constant time.
public struct Safeguard: Sendable {
    public let settings: SafeguardSettings
    private var watched: [CallID: Watch] = [:]
    private var histories: [FunctionHandle: [TripHistory]] = [:]
    /// Samples that made no sense: a counter or a clock that ran backwards, a file that could not be read.
    public private(set) var skippedSamples = 0

    public init(settings: SafeguardSettings = SafeguardSettings()) { self.settings = settings }

    /// Whether calls of the function may be made to do without a part of this resource.
    public func mayLend(_ function: FunctionHandle, _ kind: ResourceKind, now: Instant) -> Bool {
        suspension(function, kind, now: now) == nil
    }

    /// Why they may not.
    public func suspension(_ function: FunctionHandle, _ kind: ResourceKind, now: Instant) -> Suspension? {
        histories[function]?[Self.index(kind)].suspension(now)
    }

    /// Calls that are watched now.
    public var watchedCount: Int { watched.count }
    public func watches(_ call: CallID, _ kind: ResourceKind) -> Bool { watched[call]?.limit(kind) != nil }

    /// A call's limit was set below its own allocation, or again to something else: watch it.
    public mutating func watch(_ call: CallID, of function: FunctionHandle, _ kind: ResourceKind, limit: Int) {
        var watch = watched[call] ?? Watch(function: function)
        watch.set(kind, limit: limit)
        watched[call] = watch
    }

    /// The call has its own allocation again without having tripped; it goes on counting as one that lent.
    public mutating func unwatch(_ call: CallID, _ kind: ResourceKind) { watched[call]?.set(kind, limit: nil) }

    /// Takes a sample. - Returns: the resources to restore; they are not watched any more.
    public mutating func sample(_ call: CallID, _ sample: UsageSample) -> [ResourceKind] {
        guard var watch = watched[call] else { return [] }
        let (tripped, skipped) = watch.take(sample, settings)
        skippedSamples += skipped
        for kind in tripped { trip(&watch, kind, sample.at) }
        watched[call] = watch
        return tripped
    }

    /// A lender was killed at the lowered limit of its memory: it is not watched any more, and counts as one that tripped.
    public mutating func killed(_ call: CallID, now: Instant) {
        guard var watch = watched[call], watch.limit(.memory) != nil else { return }
        trip(&watch, .memory, now, killed: true)
        watched[call] = watch
    }

    private mutating func trip(_ watch: inout Watch, _ kind: ResourceKind, _ now: Instant, killed: Bool = false) {
        watch.set(kind, limit: nil)
        watch.hasTripped.insert(kind)
        remember(watch.function, kind, killed ? .killed : .tripped, now: now)
    }

    /// The call is over.
    public mutating func end(_ call: CallID, now: Instant) {
        guard let watch = watched.removeValue(forKey: call) else { return }
        for kind in ResourceKind.allCases where watch.lent.contains(kind) && !watch.hasTripped.contains(kind) {
            remember(watch.function, kind, .well, now: now)
        }
    }

    /// The function was removed, or its code is another.
    public mutating func forget(_ function: FunctionHandle) { histories[function] = nil }

    private mutating func remember(_ function: FunctionHandle, _ kind: ResourceKind, _ end: TripHistory.End, now: Instant) {
        let empty = [TripHistory](repeating: TripHistory(), count: ResourceKind.allCases.count)
        histories[function, default: empty][Self.index(kind)].add(end, kind: kind, settings, now: now)
    }

    private static func index(_ kind: ResourceKind) -> Int { kind == .cpu ? 0 : 1 }
}

/// One lender under watch.
private struct Watch: Sendable {
    let function: FunctionHandle
    var lent: Set<ResourceKind> = []
    var hasTripped: Set<ResourceKind> = []
    private var cpuLimit: Int?
    private var memoryLimit: Int?
    /// Looks at the CPU counter since the limit was set, the oldest first; the first is at most one sample older than the window.
    private var looks: [(at: Instant, cpuTime: Duration, throttled: Int?)] = []
    /// Looks kept: a window of 40 ms looked at every millisecond, with room. With more the older half goes.
    private static let looksMax = 64

    init(function: FunctionHandle) { self.function = function }

    func limit(_ kind: ResourceKind) -> Int? { kind == .cpu ? cpuLimit : memoryLimit }

    mutating func set(_ kind: ResourceKind, limit: Int?) {
        if limit != nil { lent.insert(kind) }
        if kind == .cpu {
            // What was used under another limit says nothing about this one.
            if cpuLimit != limit { looks.removeAll() }
            cpuLimit = limit
        } else {
            memoryLimit = limit
        }
    }

    mutating func take(_ sample: UsageSample, _ settings: SafeguardSettings) -> (tripped: [ResourceKind], skipped: Int) {
        var tripped: [ResourceKind] = []
        var skipped = 0
        if let limit = cpuLimit {
            switch cpuNearLimit(sample, limit, settings) {
            case true?: tripped.append(.cpu)
            case false?: break
            case nil: skipped += 1
            }
        }
        if let limit = memoryLimit {
            if let used = sample.memoryBytes, used >= 0 {
                if used >= settings.memoryThreshold(limit: limit) { tripped.append(.memory) }
            } else {
                skipped += 1
            }
        }
        return (tripped, skipped)
    }

    /// - Returns: nil if the sample makes no sense.
    private mutating func cpuNearLimit(_ sample: UsageSample, _ limit: Int, _ settings: SafeguardSettings) -> Bool? {
        guard let cpuTime = sample.cpuTime else { return nil }
        if let last = looks.last, sample.at <= last.at || cpuTime < last.cpuTime {
            // From here on anew: what was read before cannot be compared.
            looks = [(sample.at, cpuTime, sample.throttledPeriods)]
            return nil
        }
        looks.append((sample.at, cpuTime, sample.throttledPeriods))
        forget(before: sample.at - settings.cpuWindow)
        if looks.count > 1, let before = looks[looks.count - 2].throttled, let now = sample.throttledPeriods, now > before { return true }
        guard let first = looks.first, sample.at > first.at else { return false }
        let used = Int128((cpuTime - first.cpuTime).wholeNanoseconds) * 1000 * 100
        // Who has used as much as is too much in a whole window need not be watched for the rest of it.
        let span = max(sample.at - first.at, settings.cpuWindow)
        return used >= Int128(span.wholeNanoseconds) * Int128(limit) * Int128(settings.thresholdPercent)
    }

    private mutating func forget(before start: Instant) {
        while looks.count > 1, looks[1].at <= start { looks.removeFirst() }
        if looks.count > Self.looksMax { looks.removeFirst(Self.looksMax / 2) }
    }
}
