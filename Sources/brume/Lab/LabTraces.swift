// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import BrumeWorkload

/// What is played in an experiment: a short burst that warms every replica, calls to learn from, and the trace itself.
struct LabTraces {
    /// Calls to learn from: some twelve of each function; the profiler predicts from eight on.
    private static let trainingCalls = 120
    /// The gaps between them: about as many calls a second as the default trace has, so that they do not only queue.
    private static let trainingGap = Duration.milliseconds(300)

    /// In words, for the report.
    let name: String
    let trace: Trace
    let training: Trace
    /// Whether policies that learn nothing get the calls to learn from as well, so that all begin with replicas that have done the same.
    var trainsAll = true

    /// The default trace: like Libra's single set 165 calls of the ten functions in a minute, but those that wait for others wait longer.
    ///
    /// `dynamic-html` and `email-generation` then hold their allocations for some seconds and use a tenth of them; with the others that
    /// comes to more than the node has, so that calls queue under static limits.
    static func suite(seed: UInt64, wait: Double) -> LabTraces {
        LabTraces(
            name: "165 calls of ten functions in a minute, sizes drawn" + note(wait),
            trace: waiting(LibraSets.single(sizes: .drawn, seed: seed), wait), training: training(seed: seed, wait: wait))
    }

    /// A third of it, for a first look.
    static func quick(seed: UInt64, wait: Double) -> LabTraces {
        var short = suite(seed: seed, wait: wait).trace
        short.keep(from: .zero, to: .seconds(20))
        return LabTraces(
            name: "the calls of the first 20 s of a minute with 165, sizes drawn" + note(wait), trace: short,
            training: training(seed: seed, wait: wait, calls: trainingCalls / 2), trainsAll: false)
    }

    /// How many times longer calls wait for others than in the sets of `brume load generate`, unless told.
    static let usualWait = 2.0
    /// Longer ones and the functions refuse their calls.
    static let waitsAllowed = 0.0...50.0

    private static func note(_ wait: Double) -> String { wait == usualWait ? "" : ", waiting \(wait) times as long as in a set" }

    /// Calls of another seed to learn from.
    private static func training(seed: UInt64, wait: Double, calls: Int = trainingCalls) -> Trace {
        trained(waiting(LibraSets.single(sizes: .drawn, seed: seed &+ 1), wait), calls: calls)
    }

    private static func waiting(_ trace: Trace, _ factor: Double) -> Trace {
        guard let place = trace.parameterNames.firstIndex(of: "wait_ms") else { return trace }
        let calls = trace.calls.map { call in
            var call = call
            call.parameters[place] = call.parameters[place].map { ($0 * factor).rounded() }
            return call
        }
        return Trace(functions: trace.functions, parameterNames: trace.parameterNames, calls: calls, skipped: trace.skipped)
    }

    /// One of Libra's multi sets.
    ///
    /// - Throws: `BrumeError` (`invalid`) for an unknown number.
    static func set(_ number: Int, seed: UInt64, wait: Double) throws(BrumeError) -> LabTraces {
        LabTraces(
            name: "Libra's multi set \(number), sizes drawn" + note(wait),
            trace: waiting(try LibraSets.multi(number, sizes: .drawn, seed: seed), wait), training: training(seed: seed, wait: wait))
    }

    /// Poisson arrivals over a minute.
    ///
    /// - Throws: `BrumeError` (`invalid`) for an impossible rate.
    static func arriving(rate: Double, seed: UInt64, wait: Double) throws(BrumeError) -> LabTraces {
        LabTraces(
            name: "\(rate) calls a second of ten functions for a minute, sizes drawn" + note(wait),
            trace: waiting(try LibraSets.arriving(.poisson(rate: rate), for: .seconds(60), seed: seed), wait),
            training: training(seed: seed, wait: wait))
    }

    /// A trace that somebody recorded. To learn from there are calls drawn from it, at other times and in another order.
    static func recorded(_ trace: Trace, name: String, seed: UInt64) -> LabTraces {
        var generator = SeededGenerator(seed: seed)
        let drawn = (0..<min(trainingCalls, trace.calls.count)).map { _ in trace.calls[generator.below(trace.calls.count)] }
        let training = Trace(functions: trace.functions, parameterNames: trace.parameterNames, calls: drawn)
        return LabTraces(name: name, trace: trace, training: trained(training, calls: drawn.count))
    }

    /// The calls of a trace at even distances, in an order that mixes the functions.
    private static func trained(_ trace: Trace, calls: Int) -> Trace {
        let spread = trace.calls.prefix(calls).enumerated().map { index, call in
            var call = call
            call.offset = trainingGap * index
            return call
        }
        return Trace(functions: trace.functions, parameterNames: trace.parameterNames, calls: spread)
    }

    /// The smallest call of each function as often as it has warm replicas, all at once: every replica has loaded what it loads.
    func warmUp(replicas: [Int]) -> Trace {
        var calls: [TraceCall] = []
        for (function, count) in replicas.enumerated() {
            let all = (trace.calls + training.calls).filter { $0.function == function }
            guard var smallest = all.min(by: { ($0.inputSize ?? 0) < ($1.inputSize ?? 0) }) else { continue }
            smallest.offset = .zero
            calls += Array(repeating: smallest, count: count)
        }
        return Trace(functions: trace.functions, parameterNames: trace.parameterNames, calls: calls)
    }
}
