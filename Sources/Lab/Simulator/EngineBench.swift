// SPDX-License-Identifier: Apache-2.0

import BrumeEngine
import BrumeModel

/// Work for a stopwatch: the steps of warm calls, the path that every call goes.
public struct EngineBench: Sendable {
    private var engine: Engine
    private let functions: Int
    private var now = Instant.zero
    private var number: UInt64 = 0
    private var outputs: [Output] = []

    /// - Parameter functions: deployed functions with one warm replica each.
    public init(functions: Int) {
        let unit = Resources(millicores: 1, memoryBytes: 1)
        var settings = EngineSettings(capacity: Resources(millicores: functions, memoryBytes: functions))
        settings.concurrentStarts = functions
        engine = Engine(settings: settings)
        self.functions = functions
        for index in 0..<functions {
            _ = engine.step(.deploy(FunctionHandle(index), FunctionPolicy(requests: unit, prewarm: true)), now: now)
            _ = engine.step(.started(ReplicaID(UInt64(index) + 1)), now: now)
        }
    }

    /// Takes so many warm calls through the engine, two steps each.
    ///
    /// - Returns: outputs, so that the work cannot be left out.
    public mutating func calls(_ count: Int) -> Int {
        var seen = 0
        for _ in 0..<count {
            number += 1
            let call = CallID(number)
            now = now + .microseconds(1)
            outputs.removeAll(keepingCapacity: true)
            engine.step(.arrive(call, FunctionHandle(Int(number) % functions), timeout: nil), now: now, into: &outputs)
            engine.step(.finished(call, .succeeded), now: now, into: &outputs)
            seen += outputs.count
        }
        return seen
    }
}
