// SPDX-License-Identifier: Apache-2.0

public import BrumeModel
public import BrumeSimulator

/// One of the ten functions of Libra's repository, as its profiles describe it.
///
/// From the published checkpoints (Libra's profiler, trees read as data): run times at 8 cores and 1024 MB over the multiple of the
/// smallest size, straight between the points, and the classes of CPU and memory. Assumed, because it is not published: where inside its
/// class a peak lies, how a run is made up (``serialPart``, ``waitSeconds``, ``rounds``), and the noise.
public struct TestbedFunction: Sendable {
    /// Libra's short name.
    public let id: String
    /// Size at a multiple of 1.
    public let base: Int
    public let multiples: ClosedRange<Int>
    /// Seconds at 8 cores, by multiples.
    let seconds: [(multiple: Double, seconds: Double)]
    /// Cores kept busy by the parallel part: c of a class c - 1 to c.
    let cores: @Sendable (Double) -> Double
    /// Peak in units of 128 MB.
    let units: @Sendable (Double) -> Double

    /// The part of the CPU work that one core does alone; what is assumed is the usual tenth of Amdahl's law.
    static let serialPart = 0.1
    /// Waiting for the database, before and after the work; part of the measured run time.
    static let waitSeconds = 0.4
    /// Serial and parallel work alternate so often: each fork joins.
    static let rounds = 4
    /// Spread of run times and peaks from call to call, as a deviation of the logarithm.
    static let timeNoise = 0.03
    static let peakNoise = 0.01
    /// What an idle replica holds: a Python interpreter.
    static let idleBytes = 24 << 20
    public static let memoryUnitBytes = 128_000_000

    /// Memory of vp: its class is 5, and its user asks for 4; a call that is killed says nothing about time, so it is taken to fit.
    public static let all: [TestbedFunction] = [
        .init("dh", 100, table(1.79, 1.94, 1.97, 2.15), cores: { 5.5 + 0.6 * log10($0) }, units: { _ in 0.5 }),
        .init("eg", 2000, table(2.23, 3.40, 8.92, 15.75), cores: { 1.92 + 0.0208 * $0 }, units: { 0.4 + 0.01 * $0 }),
        .init("ip", 5, table(3.04, 4.00, 9.45, 15.72), cores: { _ in 7.4 }, units: { _ in 1.5 }),
        .init(
            "vp", 1, zip(1...10, [9.1, 9.1, 11.4, 13.0, 14.6, 16.3, 17.0, 22.1, 23.3, 24.0]).map { (Double($0), $1) },
            cores: { _ in 7.4 }, units: { _ in 3.7 }, multiples: 1...10),
        .init("ir", 10, table(6.08, 6.08, 6.34, 6.23), cores: { _ in 7.4 }, units: { _ in 2.5 }),
        .init("knn", 5, table(5.84, 6.29, 14.90, 25.40), cores: { _ in 7.4 }, units: { _ in 4.5 }),
        .init("alu", 10000, table(1.80, 1.96, 2.09, 2.28), cores: { 3.5 + 0.6 * log10($0) }, units: { _ in 0.5 }),
        .init("ms", 5000, table(1.97, 2.59, 5.25, 8.52), cores: { 4.3 + 0.0072 * $0 }, units: { _ in 0.5 }),
        .init("gd", 2, table(6.51, 6.08, 12.35, 19.69), cores: { _ in 7.4 }, units: { 1.93 + 0.35 * log10($0) }),
        .init("dv", 100, table(5.92, 6.40, 8.78, 11.73), cores: { _ in 7.4 }, units: { _ in 0.5 }),
    ]

    private init(
        _ id: String, _ base: Int, _ seconds: [(multiple: Double, seconds: Double)],
        cores: @escaping @Sendable (Double) -> Double, units: @escaping @Sendable (Double) -> Double, multiples: ClosedRange<Int> = 1...100
    ) {
        (self.id, self.base, self.seconds) = (id, base, seconds)
        (self.cores, self.units, self.multiples) = (cores, units, multiples)
    }

    private static func table(_ d1: Double, _ d10: Double, _ d50: Double, _ d100: Double) -> [(multiple: Double, seconds: Double)] {
        [(1, d1), (10, d10), (50, d50), (100, d100)]
    }

    private static func log10(_ x: Double) -> Double { Elementary.logarithm(x) / Elementary.logarithm(10) }

    /// The run time at 8 cores without noise.
    public func seconds(at multiple: Double) -> Double {
        guard let right = seconds.firstIndex(where: { $0.multiple >= multiple }) else { return seconds.last?.seconds ?? 0 }
        guard right > 0 else { return seconds[0].seconds }
        let (low, high) = (seconds[right - 1], seconds[right])
        return low.seconds + (high.seconds - low.seconds) * (multiple - low.multiple) / (high.multiple - low.multiple)
    }

    /// How calls of a function relate to what the platform knows of them.
    public enum Relation: Sendable {
        /// The size says how much work it is.
        case related
        /// The size that is told says nothing: the work follows another draw (a picture's content, a graph's shape).
        case unrelated
    }

    /// A call with the work of a multiple, more or less.
    public func work(_ multiple: Double, told: Double? = nil, _ chance: inout SeededGenerator) -> VirtualWork {
        let slowness = Elementary.exponential(Self.timeNoise * chance.normal())
        let peak = Elementary.exponential(Self.peakNoise * chance.normal())
        let cores = self.cores(multiple) * peak
        let total = seconds(at: multiple) * slowness
        let coreSeconds = (total - Self.waitSeconds) / (Self.serialPart + (1 - Self.serialPart) / cores)
        let bytes = Int(units(multiple) * peak * Double(Self.memoryUnitBytes))
        var phases = [VirtualPhase(cores: 0, amount: Self.waitSeconds / 2, memoryBytes: Self.idleBytes)]
        for round in 1...Self.rounds {
            // Memory grows through the first half of the run.
            let part = min(1, Double(round) * 2 / Double(Self.rounds))
            let memory = Self.idleBytes + Int(Double(max(0, bytes - Self.idleBytes)) * part)
            let share = coreSeconds / Double(Self.rounds)
            phases.append(VirtualPhase(cores: 1, amount: share * Self.serialPart, memoryBytes: phases[phases.count - 1].memoryBytes))
            phases.append(VirtualPhase(cores: cores, amount: share * (1 - Self.serialPart), memoryBytes: memory))
        }
        phases.append(VirtualPhase(cores: 0, amount: Self.waitSeconds / 2, memoryBytes: phases[phases.count - 1].memoryBytes))
        let size = (told ?? multiple) * Double(base)
        // The body is a little JSON around the number.
        let features = CallFeatures(inputBytes: 20 + "\(Int(size))".utf8.count, parameters: [size])
        return VirtualWork(phases: phases, baseMemoryBytes: Self.idleBytes, features: features, inputSize: Int(size))
    }
}

/// What users ask for, which the paper does not list.
public enum UserAllocations: String, Sendable, CaseIterable {
    /// Those of the repository (agent/params.py): 1 or 2 cores, though the functions keep up to 8 busy. Nobody has CPU to lend.
    case demo
    /// Half of the users ask for the maximum of 8 cores and 1024 MB, the others as in the repository: only so is there anything to harvest,
    /// as the paper's figures say there was.
    case mixed

    /// In the order of ``TestbedFunction/all``: cores, and units of 128 MB.
    private var pairs: [(cores: Int, units: Int)] {
        switch self {
        case .demo: [(2, 8), (2, 8), (1, 2), (2, 4), (1, 8), (2, 8), (2, 8), (2, 4), (1, 8), (1, 8)]
        case .mixed: [(8, 8), (8, 8), (1, 2), (8, 8), (1, 8), (2, 8), (8, 8), (8, 8), (1, 8), (1, 8)]
        }
    }

    public var functions: [VirtualFunction] {
        zip(TestbedFunction.all, pairs).map { function, pair in
            VirtualFunction(
                function.id,
                allocation: Resources(millicores: pair.cores * 1000, memoryBytes: pair.units * TestbedFunction.memoryUnitBytes))
        }
    }
}
