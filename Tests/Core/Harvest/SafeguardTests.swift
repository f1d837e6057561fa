// SPDX-License-Identifier: Apache-2.0

import BrumeHarvest
import BrumeModel
import Testing

@Suite("The safeguard")
struct SafeguardTests {
    private static let call = CallID(1)
    private static let function = FunctionHandle(0)
    private static func ms(_ milliseconds: Int) -> Instant { .zero + .milliseconds(milliseconds) }

    /// A window of two samples.
    private static var settings: SafeguardSettings {
        var settings = SafeguardSettings()
        settings.cpuWindow = .milliseconds(20)
        return settings
    }

    /// Samples every 10 ms of a replica with a limit of half a core; when and over what it tripped.
    private static func run(_ microsecondsEach10ms: [Int], throttled: [Int] = []) -> (at: Int, kinds: [ResourceKind])? {
        var guardian = Safeguard(settings: settings)
        guardian.watch(call, of: function, .cpu, limit: 500)
        var used = 0
        for (index, step) in microsecondsEach10ms.enumerated() {
            used += step
            var sample = UsageSample(at: ms(index * 10), cpuTime: .microseconds(used))
            if index < throttled.count { sample.throttledPeriods = throttled[index] }
            let kinds = guardian.sample(call, sample)
            if !kinds.isEmpty { return (index, kinds) }
        }
        return nil
    }

    @Test("a lender trips at 80 percent of its limit over a window, not at a burst inside one period")
    func cpuThreshold() throws {
        // 4 ms in 10 is 80 % of half a core.
        #expect(try #require(Self.run([0, 3900, 3900, 3900, 4100, 4100])).at == 4)
        #expect(Self.run([0, 3900, 3900, 3900, 3900, 3900]) == nil)
        // A whole quota at once, then nothing: half of the limit over the window.
        #expect(Self.run([0, 5000, 0, 5000, 0, 5000, 0]) == nil)
        #expect(try #require(Self.run([0, 10_000, 10_000])).kinds == [.cpu])
        // As much as is too much in a window, in half of one: the rest is not waited for.
        #expect(try #require(Self.run([0, 8000, 0, 0])).at == 1)
        #expect(Self.run([0, 7900, 0, 7900, 0]) == nil)
    }

    @Test("being throttled is reaching the limit, whatever the average says")
    func throttled() throws {
        #expect(try #require(Self.run([0, 1000, 1000, 1000], throttled: [3, 3, 4, 4])).at == 2)
    }

    @Test("what was used under another limit does not count, and who has tripped is watched no more")
    func limitChange() {
        var guardian = Safeguard(settings: Self.settings)
        guardian.watch(Self.call, of: Self.function, .cpu, limit: 1000)
        check(guardian.sample(Self.call, UsageSample(at: Self.ms(0), cpuTime: .zero)).isEmpty)
        check(guardian.sample(Self.call, UsageSample(at: Self.ms(15), cpuTime: .milliseconds(11))).isEmpty)
        guardian.watch(Self.call, of: Self.function, .cpu, limit: 500)
        check(guardian.sample(Self.call, UsageSample(at: Self.ms(20), cpuTime: .milliseconds(15))).isEmpty)
        check(guardian.sample(Self.call, UsageSample(at: Self.ms(45), cpuTime: .milliseconds(28))) == [.cpu])
        check(guardian.sample(Self.call, UsageSample(at: Self.ms(70), cpuTime: .milliseconds(53))).isEmpty)
        #expect(!guardian.watches(Self.call, .cpu))
    }

    @Test(
        "memory trips above the threshold, and with less than the margin left",
        arguments: [(400, 319, false), (400, 320, true), (40, 23, false), (40, 24, true)])
    func memory(limitMiB: Int, usedMiB: Int, trips: Bool) {
        var guardian = Safeguard()
        guardian.watch(Self.call, of: Self.function, .memory, limit: limitMiB << 20)
        let kinds = guardian.sample(Self.call, UsageSample(at: .zero, memoryBytes: usedMiB << 20))
        #expect(kinds == (trips ? [.memory] : []))
    }

    @Test("a limit at the floor never trips at once, and leaves the margin when it does", arguments: [0, 1, 10, 60, 100, 500, 4000])
    func floor(usedMiB: Int) {
        let settings = SafeguardSettings()
        let limit = settings.memoryFloor(usedBytes: usedMiB << 20)
        func trips(_ used: Int) -> Bool {
            var guardian = Safeguard()
            guardian.watch(Self.call, of: Self.function, .memory, limit: limit)
            return !guardian.sample(Self.call, UsageSample(at: .zero, memoryBytes: used)).isEmpty
        }
        #expect(!trips(usedMiB << 20))
        let margin = settings.memoryMarginBytes
        #expect(!trips((usedMiB << 20) + margin - 4096), "it may grow by the margin")
        #expect(trips(limit - margin), "and has the margin left")
    }

    @Test("a good prediction does not trip the guard", arguments: [1, 100, 999, 1700, 2000, 6000])
    func demandOfPrediction(peak: Int) {
        let settings = SafeguardSettings()
        let limit = settings.demand(peak: peak, reserved: 8000, .cpu)
        #expect(peak * 100 < limit * 80)
        #expect(settings.demand(peak: peak, reserved: peak, .cpu) == peak, "nothing to lend, nothing to borrow")
        #expect(settings.demand(peak: peak + 1, reserved: peak, .cpu) == peak + 1)
        #expect(settings.demand(peak: peak << 20, reserved: 1 << 40, .memory) > (peak << 20) + settings.memoryMarginBytes)
    }

    @Test("clocks and counters that run backwards, and files that cannot be read, are counted and decide nothing")
    func badSamples() {
        var guardian = Safeguard()
        guardian.watch(Self.call, of: Self.function, .cpu, limit: 500)
        guardian.watch(Self.call, of: Self.function, .memory, limit: 1 << 30)
        let samples = [
            UsageSample(at: Self.ms(100), cpuTime: .milliseconds(50), memoryBytes: 1),
            UsageSample(at: Self.ms(90), cpuTime: .milliseconds(90), memoryBytes: 1),
            UsageSample(at: Self.ms(200), cpuTime: .milliseconds(10), memoryBytes: 1),
            UsageSample(at: Self.ms(300), cpuTime: nil, memoryBytes: -1),
            UsageSample(at: Self.ms(300)),
        ]
        for sample in samples { check(guardian.sample(Self.call, sample).isEmpty) }
        #expect(guardian.skippedSamples == 6)
        check(guardian.sample(CallID(9), samples[0]).isEmpty)
    }

    /// One lending call; whether it trips is given.
    private static func lend(_ guardian: inout Safeguard, _ number: Int, trips: Bool, at now: Instant) {
        let call = CallID(UInt64(number))
        guardian.watch(call, of: function, .memory, limit: 100 << 20)
        if trips { _ = guardian.sample(call, UsageSample(at: now, memoryBytes: 99 << 20)) }
        guardian.end(call, now: now)
    }

    @Test("a function that trips often is left alone for a while, with the reason, then tried again, then left alone for longer")
    func backOff() throws {
        var guardian = Safeguard()
        var now = Instant.zero
        for number in 0..<3 {
            #expect(guardian.mayLend(Self.function, .memory, now: now))
            Self.lend(&guardian, number, trips: true, at: now)
        }
        let first = try #require(guardian.suspension(Self.function, .memory, now: now))
        #expect(first.trips == 3 && first.calls == 3 && first.until == now + .seconds(30))
        #expect(first.reason.contains("memory back in 3 of its latest 3 calls"))
        #expect(guardian.mayLend(Self.function, .cpu, now: now), "the other resource is another matter")
        #expect(guardian.mayLend(FunctionHandle(1), .memory, now: now))
        now = now + .seconds(31)
        #expect(guardian.mayLend(Self.function, .memory, now: now))
        Self.lend(&guardian, 10, trips: true, at: now)
        let second = try #require(guardian.suspension(Self.function, .memory, now: now))
        #expect(second.until == now + .seconds(60), "one trip after the pause is enough, and the pause doubles")
        for number in 20..<40 {
            now = (guardian.suspension(Self.function, .memory, now: now)?.until ?? now) + .seconds(1)
            Self.lend(&guardian, number, trips: true, at: now)
        }
        #expect(try #require(guardian.suspension(Self.function, .memory, now: now)).until == now + .seconds(3600), "at most an hour")
    }

    @Test("with a pause of zero no function is left alone")
    func noPause() {
        var settings = SafeguardSettings()
        settings.pauseMin = .zero
        var guardian = Safeguard(settings: settings)
        for number in 0..<200 {
            Self.lend(&guardian, number, trips: true, at: Self.ms(number))
            #expect(guardian.mayLend(Self.function, .memory, now: Self.ms(number)))
        }
    }

    @Test("a lender that is killed at its lowered limit counts as one that tripped, once, and the reason tells it apart")
    func killed() throws {
        var guardian = Safeguard()
        for number in 0..<3 {
            let call = CallID(UInt64(number))
            guardian.watch(call, of: Self.function, .memory, limit: 100 << 20)
            // The second came near its limit as well, and had its own again when it was killed.
            if number == 1 { #expect(guardian.sample(call, UsageSample(at: .zero, memoryBytes: 99 << 20)) == [.memory]) }
            #expect(guardian.mayLend(Self.function, .memory, now: .zero))
            guardian.killed(call, now: .zero)
            guardian.killed(call, now: .zero)
            guardian.end(call, now: .zero)
        }
        let suspension = try #require(guardian.suspension(Self.function, .memory, now: .zero))
        #expect(suspension.trips == 3 && suspension.kills == 2 && suspension.calls == 3)
        #expect(suspension.reason.hasPrefix("The safeguard had to give it its own memory back in 1, and the kernel killed it"))
        #expect(suspension.reason.hasSuffix("at a lowered limit in 2 of its latest 3 calls that lent."))
        #expect(guardian.mayLend(Self.function, .cpu, now: .zero) && guardian.watchedCount == 0)
        // Who lends no memory, or is not known, cannot be killed at a lowered limit.
        guardian.watch(CallID(7), of: FunctionHandle(1), .cpu, limit: 100)
        for _ in 0..<5 { for call in [CallID(7), CallID(8)] { guardian.killed(call, now: .zero) } }
        #expect(guardian.mayLend(FunctionHandle(1), .memory, now: .zero))
    }

    @Test("a function that trips now and then goes on being harvested")
    func rareTrips() {
        var guardian = Safeguard()
        for number in 0..<500 { Self.lend(&guardian, number, trips: number % 23 == 0, at: Self.ms(number * 100)) }
        #expect(guardian.mayLend(Self.function, .memory, now: Self.ms(50_000)))
        #expect(guardian.watchedCount == 0)
    }
}
