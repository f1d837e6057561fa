// SPDX-License-Identifier: Apache-2.0

import BrumeEngine
import BrumeModel
import Testing

/// What the engine remembers is proportional to what lives, never to what has been.
@Suite("Cost of the engine")
struct CostTests {
    @Test("a hundred thousand warm calls leave nothing behind and each gives one output")
    func warmCalls() {
        var engine = Engine(settings: EngineSettings(capacity: Resources(millicores: 1000, memoryBytes: 1 << 30)))
        let function = FunctionHandle(0)
        var now = Instant.zero
        _ = engine.step(
            .deploy(function, FunctionPolicy(requests: Resources(millicores: 100, memoryBytes: 1 << 20), prewarm: true)), now: now)
        _ = engine.step(.started(ReplicaID(1)), now: now)
        var outputs: [Output] = []
        var (most, emitted) = (0, 0)
        for number in UInt64(1)...100_000 {
            now = now + .microseconds(10)
            outputs.removeAll(keepingCapacity: true)
            engine.step(.arrive(CallID(number), function, timeout: nil), now: now, into: &outputs)
            now = now + .microseconds(10)
            engine.step(.finished(CallID(number), .succeeded), now: now, into: &outputs)
            emitted += outputs.count { if case .wake = $0 { false } else { true } }
            most = Swift.max(most, engine.footprint.timers)
        }
        #expect(emitted == 100_000, "a warm call costs one output, the run")
        #expect(engine.footprint.calls == 0)
        #expect(engine.footprint.replicas == 1)
        // One deadline for each call stays until a sweep; sweeps come every few thousand.
        #expect(most <= 5000, "\(most) timers")
        #expect(engine.view.runningCalls == 0 && engine.view.queuedCalls == 0)
        #expect(engine.view(of: function)?.invocations == 100_000)
    }

    @Test("functions, replicas and asynchronous calls that have ended are forgotten")
    func forgets() {
        var engine = Engine(settings: EngineSettings(capacity: Resources(millicores: 1000, memoryBytes: 1 << 30)))
        let policy = FunctionPolicy(requests: Resources(millicores: 100, memoryBytes: 1 << 20))
        for number in UInt64(1)...2000 {
            let function = FunctionHandle(Int(number))
            let (call, replica, now) = (CallID(number), ReplicaID(number), Instant(nanoseconds: Int64(number) * 1_000_000))
            _ = engine.step(.deploy(function, policy), now: now)
            _ = engine.step(.offer(call, function), now: now)
            _ = engine.step(.enqueue(call, function, failedAttempts: 0, notBefore: .zero), now: now)
            _ = engine.step(.started(replica), now: now)
            #expect(engine.step(.finished(call, .succeeded), now: now).contains(.complete(call)))
            _ = engine.step(.remove(function), now: now)
            _ = engine.step(.exited(replica, ReplicaExit(.stopped, "stopped")), now: now)
        }
        let footprint = engine.footprint
        #expect(footprint.functions == 0 && footprint.replicas == 0 && footprint.calls == 0)
        #expect(footprint.timers < 5000)
        #expect(engine.view.reserved == .zero)
    }
}
