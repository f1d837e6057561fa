// SPDX-License-Identifier: Apache-2.0

public import BrumeModel

/// Measures several targets in turn, round after round, so that what the machine does meanwhile hits all of them alike.
public struct LoadComparison: Sendable {
    /// One of the targets.
    public struct Subject: Hashable, Sendable {
        public var name: String
        public var target: LoadTarget

        public init(name: String, target: LoadTarget) {
            self.name = name
            self.target = target
        }
    }

    /// Which run is under way.
    public struct Step: Sendable {
        public var subject: String
        /// From 1 on.
        public var round: Int
        public var rounds: Int
        public var progress: LoadProgress
    }

    /// Rounds at most: the median of more moves no digit that a person reads.
    public static let roundsMax = 25
    /// Subjects at most: their runs add up to hours otherwise.
    public static let subjectsMax = 16

    private let subjects: [Subject]
    private let rounds: Int
    private let generators: [LoadGenerator]
    private let plan: LoadPlan

    /// - Parameters:
    ///   - subjects: the first one is what the others are compared with.
    ///   - plan: the load; each subject's target takes the place of its own.
    /// - Throws: `BrumeError` if a number is past its limit, two subjects have one name, or the plan is not possible for one of them.
    public init(_ subjects: [Subject], plan: LoadPlan, rounds: Int) throws(BrumeError) {
        guard (1...Self.subjectsMax).contains(subjects.count) else {
            throw BrumeError(.invalid, "\(subjects.count) targets are not possible; give 1 to \(Self.subjectsMax).")
        }
        guard (1...Self.roundsMax).contains(rounds) else {
            throw BrumeError(.invalid, "\(rounds) rounds are not possible; give 1 to \(Self.roundsMax).")
        }
        guard Set(subjects.map(\.name)).count == subjects.count else {
            throw BrumeError(.invalid, "Two targets have the same name; give each its own.")
        }
        self.subjects = subjects
        self.rounds = rounds
        self.plan = plan
        var generators: [LoadGenerator] = []
        for subject in subjects {
            var own = plan
            own.target = subject.target
            generators.append(try LoadGenerator(own))
        }
        self.generators = generators
    }

    /// Runs all rounds. The first subject of a round changes from round to round.
    ///
    /// - Parameter progress: told a few times a second which run is under way; must not block.
    /// - Throws: what ``LoadGenerator/run(progress:)`` throws.
    public func run(progress: (@Sendable (Step) -> Void)? = nil) async throws -> ComparisonReport {
        var runs = Array(repeating: [LoadReport](), count: subjects.count)
        for round in 0..<rounds {
            for turn in 0..<subjects.count {
                let index = (turn + round) % subjects.count
                let name = subjects[index].name
                let rounds = rounds
                var tell: (@Sendable (LoadProgress) -> Void)?
                if let progress { tell = { progress(Step(subject: name, round: round + 1, rounds: rounds, progress: $0)) } }
                runs[index].append(try await generators[index].run(progress: tell))
            }
        }
        return ComparisonReport(names: subjects.map(\.name), runs: runs)
    }
}

/// What a comparison measured: the median of the rounds for each subject, and the ratios to the first one.
public struct ComparisonReport: Sendable, Codable {
    /// One subject's figures. Times are milliseconds, rates per second; each is the median of its rounds.
    public struct Subject: Sendable, Codable {
        public var name: String
        public var target: String
        public var throughput: Double
        public var p50: Double
        public var p90: Double
        public var p99: Double
        public var p999: Double
        public var mean: Double
        public var max: Double
        /// p50 and p99 from the moment of sending.
        public var p50FromSend: Double
        public var p99FromSend: Double
        /// Requests that were due, and those of them that failed, in all rounds together.
        public var due: Int
        public var failed: Int
        /// This throughput over the first subject's; nil where that is nothing.
        public var throughputRatio: Double?
        /// This p50 over the first subject's; nil where either answered nothing.
        public var p50Ratio: Double?
        /// Every round, in order.
        public var runs: [LoadReport]
    }

    public var rounds: Int
    public var subjects: [Subject]

    init(names: [String], runs: [[LoadReport]]) {
        rounds = runs.first?.count ?? 0
        subjects = zip(names, runs).map { name, runs in
            func median(_ value: (LoadReport) -> Double) -> Double { Self.median(runs.map(value)) }
            return Subject(
                name: name, target: runs.first?.target ?? "", throughput: median(\.throughput), p50: median(\.latency.p50),
                p90: median(\.latency.p90), p99: median(\.latency.p99), p999: median(\.latency.p999), mean: median(\.latency.mean),
                max: median(\.latency.max), p50FromSend: median(\.latencyFromSend.p50), p99FromSend: median(\.latencyFromSend.p99),
                due: runs.reduce(0) { $0 + $1.due }, failed: runs.reduce(0) { $0 + $1.failed }, runs: runs)
        }
        guard let first = subjects.first else { return }
        for index in subjects.indices {
            if first.throughput > 0 { subjects[index].throughputRatio = subjects[index].throughput / first.throughput }
            if first.p50 > 0 && subjects[index].p50 > 0 { subjects[index].p50Ratio = subjects[index].p50 / first.p50 }
        }
    }

    /// The middle value; of an even number, the mean of both in the middle.
    static func median(_ values: [Double]) -> Double {
        guard !values.isEmpty else { return 0 }
        let sorted = values.sorted()
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
}
