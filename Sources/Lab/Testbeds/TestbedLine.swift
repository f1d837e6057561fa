// SPDX-License-Identifier: Apache-2.0

/// The experiments of Libra's evaluation.
public enum Testbed: String, Sendable, Hashable, Codable, CaseIterable {
    case single, multi, scaling, sensitivity, mix
}

/// One line of the table: what the paper published, what its policy and Brume come to in the simulator.
public struct TestbedLine: Sendable, Hashable, Codable {
    public enum Verdict: String, Sendable, Hashable, Codable {
        /// Better than Libra's own figure.
        case better
        /// Worse in absolute terms, and better against the simulated Default than Libra is against its own.
        case betterRatio = "better-ratio"
        case worse
        /// The paper has no figure to compare with, or the figure is an outcome, not an aim.
        case information
    }

    public var testbed: Testbed
    public var name: String
    public var unit: String
    /// Published: of the baseline, and of Libra.
    public var paperDefault: Double?
    public var paper: Double?
    /// Simulated: the baseline, Libra's policy, Brume's.
    public var simulatedDefault: Double?
    public var simulatedLibra: Double?
    public var simulated: Double?
    public var isLowerBetter: Bool
    /// Whether it says anything about who is better.
    public var isAim: Bool
    /// Why it comes out as it does, or what has to be known to read it.
    public var remark: String

    public init(
        _ testbed: Testbed, _ name: String, unit: String, paperDefault: Double? = nil, paper: Double? = nil,
        simulatedDefault: Double? = nil,
        simulatedLibra: Double? = nil, simulated: Double? = nil, isLowerBetter: Bool = true, isAim: Bool = true, remark: String = ""
    ) {
        self.testbed = testbed
        self.name = name
        self.unit = unit
        self.paperDefault = paperDefault
        self.paper = paper
        self.simulatedDefault = simulatedDefault
        self.simulatedLibra = simulatedLibra
        self.simulated = simulated
        self.isLowerBetter = isLowerBetter
        self.isAim = isAim
        self.remark = remark
    }

    public var verdict: Verdict {
        guard isAim, let paper, let simulated else { return .information }
        if isLowerBetter ? simulated <= paper : simulated >= paper { return .better }
        guard let paperDefault, let simulatedDefault, paperDefault > 0, simulatedDefault > 0 else { return .worse }
        let (theirs, ours) = (paper / paperDefault, simulated / simulatedDefault)
        return (isLowerBetter ? ours <= theirs : ours >= theirs) ? .betterRatio : .worse
    }
}

/// A table of lines.
public struct TestbedReport: Sendable, Hashable, Codable {
    public var seeds: Int
    public var lines: [TestbedLine]
    /// What the paper does not publish and the simulator assumes.
    public var assumptions: [String]

    public init(seeds: Int, lines: [TestbedLine] = [], assumptions: [String] = TestbedReport.assumed) {
        self.seeds = seeds
        self.lines = lines
        self.assumptions = assumptions
    }

    public func count(_ verdict: TestbedLine.Verdict) -> Int { lines.count { $0.verdict == verdict } }

    public static let assumed = [
        "Functions: run times, CPU and memory classes of the ten functions of Libra's repository (its trained models, read as data); the "
            + "paper's own ten functions and their inputs are not published.",
        "Inside a class the peak is assumed; a tenth of the CPU work is serial, in four rounds, with 0.4 s of waiting; run "
            + "times vary by 3 %, "
            + "peaks by 1 %.",
        "User allocations: half of the functions ask for the maximum (8 cores, 1024 MB), the others as in the repository. "
            + "With those of the "
            + "repository alone nobody has CPU to lend.",
        "Single node: 165 calls at even draws over 60 s, sizes drawn evenly from the repository's ranges. Multi sets and scaling: "
            + "the repository's moments, sizes drawn in the same way. Nothing else was fitted, and nothing line by line.",
        "Every call starts a container in 0.9 to 3.2 s, as the paper's platform does.",
        "Libra's policy is run by Brume's engine without what Libra has not: no loans of unreserved capacity, no top-up, first come first "
            + "served, a safeguard that looks every 100 ms; in fractions of cores, where Libra has whole ones.",
        "Brume and Libra begin with a profile of 100 runs of each function, as Libra's duplicator makes them.",
    ]
}
