// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BrumeLoad
import BrumeModel
import BrumeWorkload
import FoundationEssentials

struct Bench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Send load to a function and measure how it answers.",
        discussion: """
            With --rate the load is an open loop: requests are due at their times whatever the server does, \
            and latencies count from there, so that a stall is charged with every request it delayed. \
            With --concurrency each connection sends its next request when the last one is answered. \
            With --burst all connections send one request at the same moment.

            Targets named with --peer are measured in the same run, in turn, and the table shows their ratios to the first target.

            Examples:
              brume bench --function hello --rate 1000 --duration 10s
              brume bench --url http://127.0.0.1:9000/ --concurrency 16 --body hello
              brume bench --function hello --concurrency 64 --rounds 3 --peer faasd=http://127.0.0.1:8081
            """)

    @Option(help: ArgumentHelp("What to call; with --function, the gateway's address. Also unix:SOCKET:/PATH.", valueName: "url"))
    var url: String?

    @Option(help: ArgumentHelp("Function to call through the gateway.", valueName: "name"))
    var function: String?

    @Option(help: ArgumentHelp("Another target, or another gateway that has the same function.", valueName: "name=url"))
    var peer: [String] = []

    @Option(help: ArgumentHelp("Requests per second (open loop).", valueName: "number"))
    var rate: Double?

    @Option(help: ArgumentHelp("How the requests of an open loop are spread: constant, poisson or uniform.", valueName: "process"))
    var arrivals = Spread.poisson

    @Option(help: ArgumentHelp("Requests under way at the same time (closed loop). Default: 16.", valueName: "number"))
    var concurrency: Int?

    @Option(help: ArgumentHelp("Requests that are all sent at the same moment, once.", valueName: "number"))
    var burst: Int?

    @Option(help: ArgumentHelp("Measured time of one run, at most 10m.", valueName: "duration"))
    var duration = "10s"

    @Option(help: ArgumentHelp("Time before it that is not measured.", valueName: "duration"))
    var warmUp = "1s"

    @Option(help: ArgumentHelp("Longest wait for an answer.", valueName: "duration"))
    var timeout = "30s"

    @Option(help: ArgumentHelp("Connections of an open loop. Default: 64.", valueName: "number"))
    var connections: Int?

    @Option(help: ArgumentHelp("Threads that send.", valueName: "number"))
    var threads = 1

    @Option(help: ArgumentHelp("Runs of each target; the table shows medians. Default: 1, with --peer 3.", valueName: "number"))
    var rounds: Int?

    @Option(help: ArgumentHelp("HTTP method.", valueName: "method"))
    var method = "POST"

    @Option(name: [.customShort("H"), .long], help: ArgumentHelp("Header of every request.", valueName: "name: value"))
    var header: [String] = []

    @Option(name: [.customShort("d"), .long], help: ArgumentHelp("Body of every request.", valueName: "text"))
    var body: String?

    @Option(help: ArgumentHelp("File with the body of every request.", valueName: "file"), completion: .file())
    var bodyFile: String?

    @Option(help: ArgumentHelp("Seed of the arrival times.", valueName: "number"))
    var seed: UInt64 = 1

    @Flag(help: "Permit targets that are not on this machine. Only with their owner's consent.")
    var allowRemote = false

    @Option(help: ArgumentHelp("Data directory of the node that has the function.", valueName: "directory"), completion: .directory)
    var dataDir: String?

    @OptionGroup var format: FormatOption

    @Flag(name: .shortAndLong, help: "Show no progress.")
    var quiet = false

    /// The spreads of an open loop that need no further numbers.
    enum Spread: String, ExpressibleByArgument, CaseIterable {
        case constant, poisson, uniform

        func process(rate: Double) -> ArrivalProcess {
            switch self {
            case .constant: .constant(rate: rate)
            case .poisson: .poisson(rate: rate)
            case .uniform: .uniform(rate: rate)
            }
        }
    }

    func run() async throws {
        let subjects = try subjects()
        guard let first = subjects.first else { throw CommandFailure.words("Name what to call with --function or --url.") }
        let plan = try plan(first.target)
        let comparison = try LoadComparison(subjects, plan: plan, rounds: rounds ?? (subjects.count > 1 ? 3 : 1))
        if subjects.contains(where: { !$0.target.isLocal }) {
            Console.standard.note("This load leaves the machine: be sure that the owner of the target agrees.")
        }
        let report = try await ProgressDisplay.during("Measuring \(first.name)", quiet: quiet) { display in
            defer { display.finish() }
            return try await comparison.run { step in
                let round = step.rounds > 1 ? ", round \(step.round) of \(step.rounds)" : ""
                let failed = step.progress.failed > 0 ? ", \(step.progress.failed) failed" : ""
                display.now("Measuring \(step.subject)\(round): \(step.progress.succeeded) answers\(failed)")
            }
        }
        if format.json {
            try Console.standard.print(JSONText.of(report))
        } else {
            try Console.standard.print(BenchTable(report, pace: plan.pace).rendered(style: Console.standard.outputStyle))
        }
        if report.subjects.contains(where: { $0.failed == $0.due }) {
            throw CommandFailure.failed("A target answered no request; the table says why.")
        }
    }

    // MARK: - Words into a plan

    private func subjects() throws -> [LoadComparison.Subject] {
        var subjects = [LoadComparison.Subject(name: function ?? "target", target: try mainTarget())]
        for word in peer {
            guard let equals = word.firstIndex(of: "="), equals > word.startIndex else {
                throw CommandFailure.words("--peer takes NAME=URL, not '\(word)'.")
            }
            var target = try LoadTarget(parsing: String(word[word.index(after: equals)...]))
            if let function, target.path == "/" { target.path = "/function/\(function)" }
            subjects.append(.init(name: String(word[..<equals]), target: target))
        }
        return subjects
    }

    private func mainTarget() throws -> LoadTarget {
        guard let function else {
            guard let url else { throw CommandFailure.words("Name what to call with --function or --url.") }
            return try LoadTarget(parsing: url)
        }
        _ = try FunctionID(parsing: function)
        let wishes = NodeSearch.Wishes(url: url, user: nil, password: nil, dataDirectory: dataDir)
        var target = try LoadTarget(parsing: try NodeSearch().find(wishes).url)
        target.path = (target.path == "/" ? "" : target.path) + "/function/\(function)"
        return target
    }

    private func plan(_ target: LoadTarget) throws -> LoadPlan {
        let paces = [
            rate.map { LoadPlan.Pace.open(arrivals.process(rate: $0)) }, concurrency.map { _ in .closed }, burst.map { _ in .burst },
        ]
        guard paces.count(where: { $0 != nil }) <= 1 else {
            throw CommandFailure.words("--rate, --concurrency and --burst exclude each other; give one of them.")
        }
        guard connections == nil || rate != nil else {
            throw CommandFailure.words("--connections belongs to --rate; with --concurrency each request has a connection of its own.")
        }
        let plan = LoadPlan(
            target: target, method: method.uppercased(), headers: try headers(), body: try bodyBytes(),
            pace: paces.compactMap { $0 }.first ?? .closed,
            connections: rate != nil ? connections ?? 64 : concurrency ?? burst ?? 16,
            threads: threads, duration: try Duration(parsing: duration), warmUp: try Duration(parsing: warmUp),
            timeout: try Duration(parsing: timeout), seed: seed, allowRemote: allowRemote)
        try plan.validate()
        return plan
    }

    private func headers() throws -> [LoadPlan.Header] {
        try header.map { text in
            guard let colon = text.firstIndex(of: ":") else { throw CommandFailure.words("-H takes 'Name: value', not '\(text)'.") }
            return LoadPlan.Header(String(text[..<colon]), String(text[text.index(after: colon)...].drop { $0 == " " }))
        }
    }

    private func bodyBytes() throws -> [UInt8] {
        guard let bodyFile else { return Array((body ?? "").utf8) }
        guard body == nil else { throw CommandFailure.words("--body and --body-file exclude each other; give one of them.") }
        do {
            return Array(try Data(contentsOf: URL(filePath: bodyFile)))
        } catch {
            throw CommandFailure.words("The file '\(bodyFile)' cannot be read; check its path and its permissions.")
        }
    }
}

/// The report for people.
struct BenchTable {
    private let report: ComparisonReport
    private let pace: LoadPlan.Pace

    init(_ report: ComparisonReport, pace: LoadPlan.Pace) {
        self.report = report
        self.pace = pace
    }

    /// One row per target; below it, what failed and how.
    func rendered(style: Style) -> String {
        let isComparison = report.subjects.count > 1
        var table = Table(
            [
                .init("TARGET"), .init("REQ/S", .right), .init("P50", .right), .init("P90", .right), .init("P99", .right),
                .init("P99.9", .right),
                .init("MAX", .right), .init("MEAN", .right), .init("REQUESTS", .right), .init("FAILED", .right),
            ] + (isComparison ? [.init("REQ/S RATIO", .right), .init("P50 RATIO", .right)] : []))
        for subject in report.subjects {
            let times = [subject.p50, subject.p90, subject.p99, subject.p999, subject.max, subject.mean].map {
                subject.p50 > 0 ? Wording.milliseconds($0) : "-"
            }
            let ratios = [subject.throughputRatio, subject.p50Ratio].map { $0.map { Wording.decimal($0, places: 2) } ?? "-" }
            table.add(
                [subject.name, Wording.decimal(subject.throughput, places: 0)] + times + ["\(subject.due)", "\(subject.failed)"]
                    + (isComparison ? ratios : []))
        }
        var text = table.rendered(style: style)
        if case .open = pace {
            for subject in report.subjects where subject.p50 > 0 {
                text += "\(subject.name): from the moment of sending p50 \(Wording.milliseconds(subject.p50FromSend))"
                text += ", p99 \(Wording.milliseconds(subject.p99FromSend))\n"
            }
        }
        for subject in report.subjects where subject.failed > 0 {
            text += style.bad("\(subject.name): \(Self.failures(subject.runs))") + "\n"
        }
        return text
    }

    private static func failures(_ runs: [LoadReport]) -> String {
        var parts: [String] = []
        for status in Set(runs.flatMap { $0.statuses.map(\.status) }).sorted() where !(200..<300).contains(status) {
            parts.append("\(runs.reduce(0) { $0 + $1.count(ofStatus: status) }) answers with \(status)")
        }
        for kind in LoadFailure.allCases {
            let count = runs.reduce(0) { $0 + $1.count(of: kind) }
            if count > 0 { parts.append("\(count) \(kind.words)") }
        }
        return parts.joined(separator: ", ")
    }
}

extension LoadFailure {
    /// For the line below the table.
    fileprivate var words: String {
        switch self {
        case .connectionRefused: "connections refused"
        case .connectTimedOut: "connections timed out"
        case .connectFailed: "connections failed"
        case .connectionReset: "connections reset"
        case .closedEarly: "connections closed before the answer"
        case .timedOut: "without an answer in time"
        case .malformedReply: "answers that are not HTTP/1"
        case .notSent: "not sent for want of a free connection"
        }
    }
}
