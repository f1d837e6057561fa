// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BrumeModel
import BrumeSimulator
import FoundationEssentials
import Synchronization

struct Simulate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate",
        abstract: "Run a node in virtual time and check every decision.",
        discussion: """
            The decisions are made by the same engine as in a real node; callers, sandboxes and faults are drawn from the seed. \
            After each step a referee checks what the engine promises: capacity is never exceeded, each accepted call ends exactly \
            once, queues keep their bounds. The same seed gives the same run, to the digest of all events. When a promise is broken \
            the seed, the step and the last events are printed, and the exit code is 1.

            Examples:
              brume simulate --seed 7 --faults heavy
              brume simulate --seeds 1000 --calls 200
              brume simulate --seed 7 --trace run.txt
              brume simulate --bench
            """)

    enum Faults: String, ExpressibleByArgument, CaseIterable {
        case none, light, heavy

        var plan: FaultPlan {
            switch self {
            case .none: .none
            case .light: .light
            case .heavy: .heavy
            }
        }
    }

    /// Most arrivals of one run: each keeps a line in the referee's books.
    private static let callsMax = 100_000_000
    private static let functionsMax = 10_000

    @Option(help: ArgumentHelp("The first seed.", valueName: "number"))
    var seed: UInt64 = 1

    @Option(help: ArgumentHelp("How many seeds, one run each.", valueName: "number"))
    var seeds = 1

    @Option(help: ArgumentHelp("Arrivals in one run.", valueName: "number"))
    var calls = 400

    @Option(help: ArgumentHelp("Functions deployed at a time.", valueName: "number"))
    var functions = 4

    @Option(help: ArgumentHelp("What goes wrong: none, light or heavy.", valueName: "plan"))
    var faults = Faults.light

    @Option(help: ArgumentHelp("Write every event of the run to this file.", valueName: "file"), completion: .file())
    var trace: String?

    @Flag(help: "Measure what a step and an event cost.")
    var bench = false

    @OptionGroup var format: FormatOption

    func run() async throws {
        guard seeds >= 1, seeds <= 1_000_000 else { throw CommandFailure.words("--seeds takes 1 to 1000000.") }
        guard calls >= 1, calls <= Self.callsMax else { throw CommandFailure.words("--calls takes 1 to \(Self.callsMax).") }
        guard functions >= 1, functions <= Self.functionsMax else {
            throw CommandFailure.words("--functions takes 1 to \(Self.functionsMax).")
        }
        guard trace == nil || seeds == 1 else { throw CommandFailure.words("--trace writes one run; leave --seeds at 1.") }
        if bench { return try await measure() }
        let file = try trace.map { path throws(CommandFailure) in try TraceFile(path: path) }
        let reports = try await ProgressDisplay.during("Simulating") { display in
            defer { display.finish() }
            return try simulate(display, file)
        }
        if format.json {
            try Console.standard.print(reports.count == 1 ? JSONText.of(reports[0]) : JSONText.of(reports))
        } else {
            for report in reports.prefix(reports.count == 1 ? 1 : 0) { try Console.standard.print(SimulationText.of(report)) }
            if reports.count > 1 { try Console.standard.print(SimulationText.summary(reports)) }
        }
    }

    private func simulate(_ display: ProgressDisplay, _ file: TraceFile?) throws -> [Report] {
        var reports: [Report] = []
        let plan = SimulationPlan(functions: functions, calls: calls, faults: faults.plan)
        for offset in 0..<UInt64(seeds) {
            var simulation = Simulation(seed: seed &+ offset, plan: plan)
            if let file { simulation.listener = { file.append($0) } }
            do {
                while try simulation.advance(events: 10_000) {
                    try Task.checkCancellation()
                    display.now("Simulating seed \(seed &+ offset): \(Int(simulation.progress * 100)) % of its calls")
                }
            } catch {
                display.finish()
                try file?.write()
                guard let violation = error as? Violation else { throw error }
                try Console.standard.print(format.json ? JSONText.of(violation) : violation.description)
                throw CommandFailure.failed(
                    "A promise was broken. See it again with: brume simulate --seed \(violation.seed) --calls \(calls) "
                        + "--functions \(functions) --faults \(faults.rawValue) --trace run.txt")
            }
            reports.append(simulation.report)
            try file?.write()
        }
        return reports
    }

    // MARK: - Measuring

    private struct Measurement: Codable {
        var engineStepsPerSecond: Int
        var nanosecondsPerEngineStep: Double
        var simulatedEventsPerSecond: Int
        var simulatedStepsPerSecond: Int
    }

    private func measure() async throws {
        let result = try await ProgressDisplay.during("Measuring") { display in
            defer { display.finish() }
            return try measurement()
        }
        if format.json {
            try Console.standard.print(JSONText.of(result))
        } else {
            let nanoseconds = Wording.decimal(result.nanosecondsPerEngineStep, places: 0)
            try Console.standard.print(
                """
                engine     \(result.engineStepsPerSecond) steps/s of warm calls, \(nanoseconds) ns each
                simulator  \(result.simulatedEventsPerSecond) events/s in \(result.simulatedStepsPerSecond) steps/s, every step checked
                """)
        }
    }

    private func measurement() throws -> Measurement {
        let clock = ContinuousClock()
        var work = EngineBench(functions: functions)
        _ = work.calls(10_000)
        // The best of five: what disturbs a run only makes it slower.
        let pairs = 200_000
        var best = Duration.seconds(3600)
        for _ in 0..<5 { best = Swift.min(best, clock.measure { _ = work.calls(pairs) }) }
        var fastest = Duration.seconds(3600)
        var report: Report?
        for _ in 0..<3 {
            var simulation = Simulation(seed: seed, plan: SimulationPlan(functions: functions, calls: 200_000, faults: .none, roomy: true))
            let time = try clock.measure { report = try simulation.run() }
            fastest = Swift.min(fastest, time)
        }
        let (events, steps) = (report?.events ?? 0, report?.steps ?? 0)
        return Measurement(
            engineStepsPerSecond: Int(Double(2 * pairs) / best.inSeconds),
            nanosecondsPerEngineStep: best.inSeconds * 1e9 / Double(2 * pairs),
            simulatedEventsPerSecond: Int(Double(events) / fastest.inSeconds),
            simulatedStepsPerSecond: Int(Double(steps) / fastest.inSeconds))
    }
}

/// Lines of one run on their way to a file, which is made before the run so that a wrong path is said at once.
private final class TraceFile: Sendable {
    private let path: String
    private let lines = Mutex<[String]>([])

    /// - Throws: `CommandFailure` (words) where it cannot be written.
    init(path: String) throws(CommandFailure) {
        self.path = path
        do {
            try Data().write(to: URL(filePath: path))
        } catch {
            throw .words("The trace cannot be written to '\(path)'; check the directory and its permissions.")
        }
    }

    func append(_ line: String) { lines.withLock { $0.append(line) } }

    /// - Throws: `CommandFailure` (failed).
    func write() throws(CommandFailure) {
        let text = lines.withLock { $0.joined(separator: "\n") + "\n" }
        do {
            try text.write(toFile: path, atomically: true, encoding: .utf8)
        } catch {
            throw .failed("The trace cannot be written to '\(path)'; give the disk room and run this again.")
        }
    }
}

/// Reports for people.
enum SimulationText {
    static func of(_ report: Report) -> String {
        let rows: [(String, String)] = [
            ("seed", "\(report.seed)"),
            ("calls", "\(report.arrived) arrived, \(report.accepted) accepted, \(report.refused) refused"),
            (
                "ends",
                "\(report.succeeded) succeeded, \(report.failed) failed, \(report.expired) expired, \(report.abandoned) abandoned, "
                    + "\(report.cutOff) cut off by a restart"
            ),
            ("asynchronous", "\(report.completed) completed, \(report.buried) dead letters, \(report.retries) retries"),
            ("attempts", "\(report.runs) handed out, \(report.coldRuns) cold, \(report.resent) resent"),
            ("replicas", "\(report.starts) started, \(report.failedStarts) failed to start, \(report.evictions) evicted"),
            (
                "latency",
                "p50 \(time(report.latencyP50Nanoseconds)), p99 \(time(report.latencyP99Nanoseconds)), "
                    + "max \(time(report.latencyMaxNanoseconds)) (virtual)"
            ),
            ("time", "\(time(report.virtualNanoseconds)) (virtual), \(report.restarts) restarts"),
            ("events", "\(report.events) in \(report.steps) steps"),
            ("digest", report.digestText),
        ]
        return rows.map { $0.0.padding(toLength: 14) + $0.1 }.joined(separator: "\n")
    }

    static func summary(_ reports: [Report]) -> String {
        let events = reports.reduce(0) { $0 + $1.events }
        let calls = reports.reduce(0) { $0 + $1.arrived }
        // One digest for all: order counts.
        let digest = reports.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ $1.digest) &* 0x0000_0100_0000_01B3 }
        let digits = String(digest, radix: 16)
        return "\(reports.count) seeds from \(reports.first?.seed ?? 0): every promise held over \(calls) calls and \(events) events\n"
            + "digest " + String(repeating: "0", count: 16 - digits.count) + digits
    }

    private static func time(_ nanoseconds: Int64) -> String { "\(Wording.decimal(Double(nanoseconds) / 1e6, places: 1)) ms" }
}

extension String {
    fileprivate func padding(toLength length: Int) -> String { self + String(repeating: " ", count: Swift.max(1, length - count)) }
}
