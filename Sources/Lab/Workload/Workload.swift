// SPDX-License-Identifier: Apache-2.0

public import BrumeModel

/// A call that a workload makes.
public struct ScheduledCall: Hashable, Sendable {
    /// When, counted from the beginning of the workload.
    public var offset: Duration
    /// What it asks for.
    public var demand: Demand
}

/// An endless stream of calls: arrival times from a process, demands from a mix, all from one seed.
///
/// Times and demands draw from generators of their own, so that another mix keeps the arrival times and another rate keeps the demands.
public struct Workload: Sequence, IteratorProtocol, Sendable {
    private var arrivals: Arrivals
    private let mix: FunctionMix
    private var demands: SeededGenerator

    /// - Throws: `BrumeError` (`invalid`) if the process is not possible.
    public init(arrivals process: ArrivalProcess, mix: FunctionMix, seed: UInt64) throws(BrumeError) {
        try process.validate()
        var generator = SeededGenerator(seed: seed)
        arrivals = Arrivals(process, seed: generator.next())
        demands = generator.fork()
        self.mix = mix
    }

    public mutating func next() -> ScheduledCall? {
        guard let offset = arrivals.next() else { return nil }
        return ScheduledCall(offset: offset, demand: mix.draw(&demands))
    }
}
