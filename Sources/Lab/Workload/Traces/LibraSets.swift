// SPDX-License-Identifier: Apache-2.0

public import BrumeModel

/// One of the ten functions of Libra's evaluation, as Examples/serverless-suite has it, with the sizes that its calls ask for.
public struct SuiteFunction: Hashable, Sendable {
    /// Libra's short name.
    public let id: String
    /// The name under which the suite deploys it.
    public let name: String
    /// Sizes are drawn evenly from these, a hundred times the smallest at most.
    public let sizes: ClosedRange<Int>
    /// The size of every call of a multi set.
    public let multiSize: Int
    /// Threads or processes that work on one call; nil where the function knows only one.
    public let parallel: Int?
    /// Milliseconds for which it waits for others between two pieces of work; nil where it never waits.
    public let wait: Int?
    /// Units of size in one piece of work; nil where it never waits.
    public let pieceSize: Int?

    /// Sizes are scaled so that the largest take one to a few seconds on one core; Libra's own fit other code.
    public static let libra: [SuiteFunction] = [
        SuiteFunction("dh", "dynamic-html", base: 1000, parallel: nil, wait: (4, every: 100)),
        SuiteFunction("eg", "email-generation", base: 10, parallel: nil, wait: (20, every: 5)),
        SuiteFunction("ip", "image-processing", base: 1, span: 40, parallel: 2),
        SuiteFunction("vp", "video-processing", base: 1, span: 10, parallel: 1),
        SuiteFunction("ir", "image-recognition", base: 1, span: 20, parallel: 1),
        SuiteFunction("knn", "k-nearest-neighbors", base: 500, parallel: 2),
        SuiteFunction("alu", "arithmetic", base: 50_000, parallel: 2),
        SuiteFunction("ms", "merge-sort", base: 4000, parallel: 2),
        SuiteFunction("gd", "gradient-descent", base: 50, parallel: 2),
        SuiteFunction("dv", "dna-visualization", base: 20_000, parallel: nil),
    ]

    private init(_ id: String, _ name: String, base: Int, span: Int = 100, parallel: Int?, wait: (Int, every: Int)? = nil) {
        self.id = id
        self.name = name
        sizes = base...(base * span)
        multiSize = max(base, base * span / 5)
        self.parallel = parallel
        self.wait = wait?.0
        pieceSize = wait?.every
    }
}

/// The call sets of Libra's evaluation, made by its rule: in one minute each of the ten functions is called n times, the i-th time at
/// `int(60 / n) * i` seconds. So all ten are called at the same moments.
public enum LibraSets {
    /// Calls of each function in each of the ten multi sets: 10 to 300 calls per minute, 1050 in all.
    public static let callsPerFunction = [1, 2, 3, 4, 5, 6, 12, 18, 24, 30]
    /// Calls in the single set, whose trace was never published.
    public static let singleCalls = 165

    /// How large the calls are.
    public enum Sizes: String, Hashable, Sendable, CaseIterable {
        /// All calls of a function the same, as in Libra's multi sets.
        case fixed
        /// Drawn evenly from the function's range, as in Libra's single set.
        case drawn
    }

    private static let parameterNames = ["parallel", "wait_ms", "seed"]

    /// One of the ten multi sets.
    ///
    /// - Parameter number: 1 to 10.
    /// - Throws: `BrumeError` (`invalid`) for another number.
    public static func multi(_ number: Int, sizes: Sizes = .fixed, seed: UInt64) throws(BrumeError) -> Trace {
        guard (1...callsPerFunction.count).contains(number) else {
            throw BrumeError(.invalid, "There is no multi set \(number); give 1 to \(callsPerFunction.count).")
        }
        let count = callsPerFunction[number - 1]
        var generator = SeededGenerator(seed: seed)
        var calls: [TraceCall] = []
        for function in SuiteFunction.libra.indices {
            for offset in MinuteExpansion.libra.offsets(count, limit: count, &generator) {
                calls.append(call(of: function, at: offset, sizes, number: calls.count, &generator))
            }
        }
        return trace(calls)
    }

    /// A set like the single one: 165 calls in a minute, spread at random, the functions in turn.
    public static func single(sizes: Sizes = .drawn, seed: UInt64) -> Trace {
        var generator = SeededGenerator(seed: seed)
        let offsets = MinuteExpansion.random.offsets(singleCalls, limit: singleCalls, &generator)
        var order = offsets.indices.map { $0 % SuiteFunction.libra.count }
        order.shuffle(using: &generator)
        return trace(
            offsets.indices.map { index in call(of: order[index], at: offsets[index], sizes, number: index, &generator) })
    }

    /// Calls of the ten functions at the times of an arrival process.
    ///
    /// - Parameter functions: names of the suite's functions, or their short ones; empty for all ten.
    /// - Throws: `BrumeError` (`invalid`) for an impossible process, a length that is not positive, an unknown function, and for more calls
    ///   than a trace may have.
    public static func arriving(
        _ process: ArrivalProcess, for length: Duration, functions: [String] = [], sizes: Sizes = .drawn, seed: UInt64
    ) throws(BrumeError) -> Trace {
        try process.validate()
        guard length > .zero, length <= Trace.offsetMax else {
            throw BrumeError(.invalid, "A trace of \(length) is not possible; give more than nothing and at most a year.")
        }
        // Said before they are drawn, where it is certain; what comes close is counted.
        guard process.meanRate * length.inSeconds < 2 * Double(Trace.callsMax) else {
            throw BrumeError(.invalid, "These arrivals give more than \(Trace.callsMax) calls; lower the rate or the length.")
        }
        var chosen: [Int] = []
        for name in functions {
            guard let index = SuiteFunction.libra.firstIndex(where: { $0.name == name || $0.id == name }) else {
                let known = SuiteFunction.libra.map(\.name).joined(separator: ", ")
                throw BrumeError(.invalid, "The suite has no function '\(TableText.excerpt(name))'; there are \(known).")
            }
            chosen.append(index)
        }
        if chosen.isEmpty { chosen = Array(SuiteFunction.libra.indices) }
        var generator = SeededGenerator(seed: seed)
        var calls: [TraceCall] = []
        for offset in Arrivals(process, seed: generator.next()) {
            if offset >= length { break }
            guard calls.count < Trace.callsMax else {
                throw BrumeError(.invalid, "These arrivals give more than \(Trace.callsMax) calls; lower the rate or the length.")
            }
            let function = chosen[generator.below(chosen.count)]
            calls.append(call(of: function, at: offset, sizes, number: calls.count, &generator))
        }
        return trace(calls)
    }

    private static func call(
        of index: Int, at offset: Duration, _ sizes: Sizes, number: Int, _ generator: inout SeededGenerator
    ) -> TraceCall {
        let function = SuiteFunction.libra[index]
        // Drawn in any case, so that both kinds of sizes have the same seeds.
        let drawn = generator.draw(function.sizes)
        return TraceCall(
            offset: offset, function: index, inputSize: sizes == .fixed ? function.multiSize : drawn,
            parameters: [function.parallel.map(Double.init), function.wait.map(Double.init), Double(number + 1)])
    }

    private static func trace(_ calls: [TraceCall]) -> Trace {
        Trace(functions: SuiteFunction.libra.map { TraceFunction($0.name) }, parameterNames: parameterNames, calls: calls)
    }
}
