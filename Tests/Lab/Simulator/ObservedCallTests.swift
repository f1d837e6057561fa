// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeSimulator
import BrumeWorkload
import Testing

/// What a call asks of a machine, from how it ran on a real one.
@Suite("Calls as they were seen to run")
struct ObservedCallTests {
    private static let mebibyte = 1 << 20

    private static func observed(
        _ running: Double, millicores: Int, peak: Int?, waits: Int = 0, each: Double = 0, parallel: Int = 1
    ) -> ObservedCall {
        var call = ObservedCall(
            running: running, allocation: Resources(millicores: millicores, memoryBytes: 256 * mebibyte), peakMillicores: peak,
            peakMemoryBytes: 60 * mebibyte, baseMemoryBytes: 20 * mebibyte)
        (call.waits, call.waitSeconds, call.parallel) = (waits, each, parallel)
        return call
    }

    private static func work(_ call: ObservedCall) -> VirtualWork {
        VirtualWork(phases: call.phases, baseMemoryBytes: call.baseMemoryBytes, features: CallFeatures(inputBytes: 1, parameters: [1]))
    }

    /// Plays a call alone under its own limits.
    private static func alone(_ call: ObservedCall) -> (seconds: Double, peak: Int) {
        var plan = ReplayPlan(
            functions: [VirtualFunction("f", allocation: call.allocation)],
            calls: [VirtualCall(offset: .zero, function: 0, work: work(call))],
            capacity: Resources(millicores: 2000, memoryBytes: 1024 * mebibyte))
        plan.start = .zero...Duration.zero
        var replay = Replay(plan, .fixed, seed: 1)
        let record = replay.run().records[0]
        return (record.running?.inSeconds ?? 0, record.resources.peakMillicores ?? 0)
    }

    @Test("alone under its own limits it takes as long as it did")
    func runTimes() {
        let calls = [
            Self.observed(3, millicores: 250, peak: 380, parallel: 2), Self.observed(1.5, millicores: 500, peak: 300),
            Self.observed(5, millicores: 500, peak: 240, waits: 100, each: 0.04),
            Self.observed(4.6, millicores: 500, peak: 140, waits: 500, each: 0.008), Self.observed(0.001, millicores: 250, peak: nil),
            Self.observed(30, millicores: 500, peak: 130, waits: 3000, each: 0.008), Self.observed(0.02, millicores: 500, peak: 700),
        ]
        for call in calls {
            let seconds = Self.alone(call).seconds
            #expect(abs(seconds - call.running) < 0.02 * call.running + 1e-6, "\(seconds) s instead of \(call.running) s")
        }
    }

    @Test("a call that waits often shows the peak that it showed, not that of one long burst, and so has something to lend")
    func bursts() {
        // 500 pieces of 1.2 ms after 8 ms each; 100 of 10 ms after 40 ms.
        for call in [
            Self.observed(4.6, millicores: 500, peak: 140, waits: 500, each: 0.008),
            Self.observed(5, millicores: 500, peak: 250, waits: 100, each: 0.04),
        ] {
            let peak = Self.alone(call).peak
            #expect(abs(peak - (call.peakMillicores ?? 0)) <= 40, "\(peak)m")
            #expect(Self.work(call).peakCores == 1, "each burst has a core")
            #expect(abs(Self.work(call).measuredPeakCores(cores: 2) * 1000 - Double(peak)) <= 10)
        }
    }

    @Test("a call at its limit is given all it could use, one below it what it used, and pieces have a bound")
    func shapes() {
        #expect(Self.work(Self.observed(2, millicores: 250, peak: 350, parallel: 2)).peakCores == 2)
        #expect(Self.work(Self.observed(2, millicores: 500, peak: 200, parallel: 2)).peakCores == 0.2)
        let long = Self.observed(1000, millicores: 500, peak: 140, waits: 1_000_000, each: 0.0005)
        #expect(long.phases.count <= 4000)
        #expect(long.phases.last?.memoryBytes == 60 * Self.mebibyte)
        let work = Self.work(long)
        #expect(
            abs(work.scaled(work: 0.5, limit: 0.5).coreSeconds - work.coreSeconds / 2) < 1e-6
                && work.scaled(work: 0.5, limit: 0.5).phases.count == work.phases.count)
    }

    @Test("a lender that works in bursts lends for as long as it runs, and is hardly later by it")
    func lending() {
        let waiter = Self.observed(4.6, millicores: 500, peak: 140, waits: 500, each: 0.008)
        let functions = ["waits", "works"].map { VirtualFunction($0, allocation: waiter.allocation) }
        var calls: [VirtualCall] = []
        for number in 0..<20 { calls.append(VirtualCall(offset: .seconds(6 * number), function: 0, work: Self.work(waiter))) }
        var plan = ReplayPlan(functions: functions, calls: calls, capacity: Resources(millicores: 2000, memoryBytes: 1024 * Self.mebibyte))
        plan.start = .zero...Duration.zero
        var replay = Replay(plan, .harvest, seed: 1)
        let records = replay.run().records
        #expect(replay.outcome.violations.isEmpty, "\(replay.outcome.violations)")
        for record in records.suffix(8) {
            // Nobody borrows, so what it does without lies in the pool: more than half of its allocation.
            let idle = Double(record.resources.idleMillicoreSeconds ?? 0) / 1000
            #expect(idle > 0.25 * 4.6, "\(record.index): \(idle) core-seconds")
            #expect((record.running?.inSeconds ?? 9) < 4.6 * 1.05)
        }
    }

    @Test("what was not held back takes its time with less work too")
    func scaledFree() {
        let work = VirtualWork(
            phases: [VirtualPhase(cores: 0.1, amount: 0.04, memoryBytes: 1 << 20)], baseMemoryBytes: 1 << 20,
            features: CallFeatures(inputBytes: 64))
        let scaled = work.scaled(work: 0.5, limit: 0.25)
        #expect(abs(scaled.coreSeconds - 0.02) < 1e-9)
        #expect(abs(scaled.seconds(cores: 1) - work.seconds(cores: 1)) < 1e-9)
        #expect(scaled.peakCores == work.peakCores)
    }
}
