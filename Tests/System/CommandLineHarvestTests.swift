// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import FoundationEssentials
import NIOHTTP1
import Testing

@testable import brume

@Suite("What harvesting looks like on the command line")
struct CommandLineHarvestTests {
    private static func party(_ function: String, _ call: String) -> HarvestParty {
        HarvestParty(call: call, function: "\(function).openfaas-fn")
    }

    private static let now: HarvestReport = {
        var report = HarvestReport(
            admission: "allocation", calls: 2, cpu: .init(capacity: 2000, limits: 1500, lent: 700, idle: 500),
            memory: .init(capacity: 1 << 30, limits: 1 << 29, lent: 1 << 26, idle: 0, overdue: 1 << 20))
        report.loans = [
            .init(kind: .cpu, lender: party("thrifty", "c-1"), borrower: party("greedy", "c-2"), amount: 700, endsInMs: 340),
            .init(kind: .memory, lender: HarvestParty(), borrower: party("greedy", "c-2"), amount: 1 << 26, endsInMs: nil),
        ]
        report.loansOmitted = 3
        report.idle = [.init(kind: .cpu, lender: party("late", "c-3"), amount: 500, endsInMs: -12)]
        return report
    }()

    private static let ledger: HarvestLedgerReport = {
        var report = HarvestLedgerReport(seconds: 90, limitWrites: 12, skippedSamples: 1, heldBack: 2)
        let lender = HarvestTotals(lent: 1.25, idle: 0.5, reclaimed: 0.125, reclaims: 1, safeguards: 2)
        let borrower = HarvestTotals(borrowed: 1.25, lost: 0.125)
        report.functions = [
            .init(function: "greedy.openfaas-fn", account: .init(cpu: borrower)),
            .init(function: "thrifty.team-a", account: .init(cpu: lender, memory: HarvestTotals(idle: 3 * 1_048_576))),
        ]
        report.total = .init(
            cpu: HarvestTotals(lent: 1.25, borrowed: 1.25, idle: 0.5, reclaimed: 0.125, lost: 0.125, reclaims: 1, safeguards: 2),
            memory: HarvestTotals(idle: 3 * 1_048_576))
        return report
    }()

    private static let profile: HarvestProfileReport = {
        var memory = HarvestProfileReport.Quantity(
            model: .curve, reason: "off by 1.0 %, a plain mean by 38.2 %", samples: 100)
        memory.feature = "size"
        (memory.lowest, memory.highest) = (10, 500)
        memory.curve = [.init(term: "1", coefficient: 30e6), .init(term: "x", coefficient: 0.000125)]
        (memory.p5, memory.p50, memory.p99) = (Double(40 << 20), Double(256 << 20), Double(512 << 20))
        var report = HarvestProfileReport(
            function: "hello.openfaas-fn", takesPart: [.cpu, .memory], calls: 100, callsBeforePrediction: 8,
            cpu: .init(model: .quantiles, reason: "the best curve, over size, was off by 30.0 %, a plain mean by 29.0 %", samples: 100),
            memory: memory, duration: .init(model: .unknown, reason: "measured in 3 calls, and predicted from 8 on", samples: 3),
            serialShare: 0.2)
        report.predictions = 92
        report.unpredicted = 1
        report.cpuClassAccuracy = 0.978
        report.memoryClassAccuracy = 1
        report.durationR2 = 0.9666
        report.suspensions = [.init(kind: .cpu, reason: "It tripped.", endsInMs: 42_500)]
        report.outlookFeature = "size"
        var row = HarvestProfileReport.Outlook(value: 500)
        (row.millicores, row.memoryBytes, row.runMs) = (900, 512 << 20, 120)
        report.outlook = [HarvestProfileReport.Outlook(value: 10), row]
        return report
    }()

    private static func json(_ document: some Encodable) -> CommandLineServer.Reply {
        .json((try? JSONEncoder().encode(document)).map { String(decoding: $0, as: UTF8.self) } ?? "")
    }

    private static let node: CommandLineServer.Script = { request in
        switch request.path {
        case "/v1/harvest": json(now)
        case "/v1/harvest/ledger": json(ledger)
        case "/v1/harvest/profiles/hello": json(profile)
        default: nil
        }
    }

    private func run(_ arguments: [String]) async throws -> (CommandLineProgram.Outcome, CommandLineServer) {
        try await CommandLineServer.run(Self.node) { (try await CommandLineProgram.run(arguments, at: $0), $0) }
    }

    @Test("harvest shows who lends what to whom, and until when")
    func showsNow() async throws {
        let (outcome, _) = try await run(["harvest"])
        #expect(
            outcome.output == """
                Admission  by the user's allocation
                Calls      2 calls running
                CPU        1500m of 2 in limits, 700m lent, 500m idle
                Memory     512.0 MiB of 1.0 GiB in limits, 64.0 MiB lent, 0 B idle, 1.0 MiB overdue

                LENDER    CALL  BORROWER  CALL  RESOURCE      LENT  UNTIL
                thrifty   c-1   greedy    c-2   cpu           700m  in 340.0 ms
                the node        greedy    c-2   memory    64.0 MiB  when it is reserved
                3 more of the kind 'loan' are counted above.

                IDLE OF  CALL  RESOURCE  AMOUNT  UNTIL
                late     c-3   cpu         500m  overdue by 12.0 ms

                """, "\(outcome.complaint)")
        let (json, _) = try await run(["harvest", "now", "--json"])
        #expect(try JSONDecoder().decode(HarvestReport.self, from: Data(json.output.utf8)) == Self.now)
    }

    @Test("watched, it is shown again and again, in lines for programs, until an interrupt ends it as it should end")
    func watched() async throws {
        for signal in ["INT", "TERM"] {
            let outcome = try await CommandLineServer.run(Self.node) {
                try await CommandLineProgram.run(
                    ["harvest", "--watch", "--interval", "100ms", "--json"], at: $0, endedBy: signal, after: 2)
            }
            #expect(outcome.exitCode == 0 && outcome.complaint.isEmpty, "\(signal): \(outcome)")
            let lines = outcome.output.split(separator: "\n")
            #expect(lines.count >= 3, "\(signal): \(lines.count) lines")
            for line in lines { #expect(try JSONDecoder().decode(HarvestReport.self, from: Data(line.utf8)) == Self.now) }
        }
        let table = try await CommandLineServer.run(Self.node) {
            try await CommandLineProgram.run(["harvest", "--watch", "--interval", "100ms"], at: $0, endedBy: "INT", after: 2)
        }
        #expect(table.output.split(separator: "\n").count { $0.hasPrefix("LENDER") } >= 3, "\(table)")
        #expect(!table.output.contains("\u{1B}"), "no terminal, no control sequences")
    }

    @Test(
        "pauses that are none are refused, and one without --watch",
        arguments: [["--watch", "--interval", "1ms"], ["--watch", "--interval", "soon"], ["--interval", "1s"]])
    func wrongPauses(words: [String]) async throws {
        let (outcome, server) = try await run(["harvest"] + words)
        #expect(outcome.exitCode == 2 && outcome.output.isEmpty && outcome.complaint.hasPrefix("brume: "), "\(outcome)")
        #expect(server.requests.isEmpty)
    }

    @Test("a node that goes away ends the watching with a sentence")
    func watchedNodeGone() async throws {
        let outcome = try await CommandLineProgram.run(
            ["harvest", "--watch"], environment: ["BRUME_URL": "http://127.0.0.1:1", "BRUME_USER": "a", "BRUME_PASSWORD": "b"])
        #expect(outcome.exitCode == 1 && outcome.complaint.hasPrefix("brume: "), "\(outcome)")
    }

    @Test("the ledger has a row for each function and resource, the node and the total")
    func showsLedger() async throws {
        let (outcome, _) = try await run(["harvest", "ledger"])
        let lines = outcome.output.split(separator: "\n").map { $0.split(separator: " ").joined(separator: " ") }
        for line in [
            "Covers 1m30s", "Limits written 12", "Held back 2 calls waited for its part", "Samples skipped 1",
            "greedy cpu 0.000 core-s 1.250 core-s 0.000 core-s 0.125 core-s 0.000 core-s 0",
            "thrifty.team-a cpu 1.250 core-s 0.000 core-s 0.125 core-s 0.000 core-s 0.500 core-s 2",
            "total cpu 1.250 core-s 1.250 core-s 0.125 core-s 0.125 core-s 0.500 core-s 2",
            "memory 0.0 MiB-s 0.0 MiB-s 0.0 MiB-s 0.0 MiB-s 3.0 MiB-s 0 0",
        ] {
            #expect(lines.contains(line), "\(line) is not in\n\(outcome.output)")
        }
        #expect(!outcome.output.contains("(removed)"))
        let (json, _) = try await run(["harvest", "ledger", "--json"])
        #expect(try JSONDecoder().decode(HarvestLedgerReport.self, from: Data(json.output.utf8)) == Self.ledger)
    }

    @Test("a profile tells which model predicts what, why, how well, and what to expect")
    func showsProfile() async throws {
        let (outcome, server) = try await run(["harvest", "profile", "hello"])
        #expect(server.requests.first?.query["namespace"] == "openfaas-fn")
        let lines = outcome.output.split(separator: "\n").map { $0.split(separator: " ").joined(separator: " ") }
        for line in [
            "May lend CPU and memory", "Calls 100 learned from, predicted from 8 on",
            "CPU quantiles of the latest calls: the best curve, over size, was off by 30.0 %, a plain mean by 29.0 %",
            "Memory a curve over size: off by 1.0 %, a plain mean by 38.2 %",
            "the sum of 30000000 1, 1.250e-4 x for x from 10 to 500",
            "latest calls: p5 40.0 MiB, p50 256.0 MiB, p99 512.0 MiB",
            "Run time not known yet: measured in 3 calls, and predicted from 8 on",
            """
            Accuracy CPU class 97.8 %, memory class 100.0 %, run time R2 0.967, exceeded by 0.0 % in CPU and 0.0 % in memory; 92 calls, \
            1 of them not predicted
            """,
            "Not lent CPU for another 42.50 s. It tripped.", "SIZE CPU MEMORY RUN TIME WITH ALL THE CPU IT USES", "10 ? ? ? ?",
            "500 900m 512.0 MiB 120.0 ms ?",
        ] {
            #expect(lines.contains(line), "\(line) is not in\n\(outcome.output)")
        }
    }

    @Test("a node that lends nothing says how it is told to; a function that is not there is named")
    func refusals() async throws {
        let sentence = "This node lends nothing between calls; start it with: brume up --sharing harvest"
        try await CommandLineServer.run({ _ in CommandLineServer.Reply(.conflict, sentence) }) { server in
            for words in [["harvest"], ["harvest", "ledger"], ["harvest", "profile", "hello"]] {
                let outcome = try await CommandLineProgram.run(words, at: server)
                #expect(outcome.exitCode == 1 && outcome.complaint == "brume: \(sentence)\n")
            }
        }
        let (wrong, _) = try await run(["harvest", "profile", "a b"])
        #expect(wrong.exitCode == 2)
    }

    @Test("explain tells what a call was expected to need, what it got and used, and each loan")
    func explains() throws {
        var call = CallReport(
            id: "c-1", function: "thrifty", namespace: nil, node: nil, arrived: "", outcome: "succeeded", status: 200, cold: false,
            replica: "r1", asynchronous: false, attempt: 1, queuedMs: 0, startingMs: 0, runningMs: 50, failure: nil, message: nil,
            decisions: nil, harvest: nil)
        #expect(!Explain.story(call, style: Style(isColoured: false)).contains("Expected"))
        call.harvest = CallHarvest(
            allocation: Resources(millicores: 1000, memoryBytes: 128 << 20), began: Resources(millicores: 300, memoryBytes: 64 << 20),
            expected: .init(millicores: 250, memoryBytes: nil, runMs: 40), peakMillicores: 200,
            cpu: HarvestTotals(lent: 0.035, safeguards: 1),
            movements: [
                .init(atMs: 0, kind: .cpu, amount: -700, peer: "c-2", peerFunction: "greedy.openfaas-fn", ended: nil),
                .init(atMs: 50, kind: .cpu, amount: 700, peer: "c-2", peerFunction: "greedy.openfaas-fn", ended: "the borrower ended"),
                .init(atMs: 50, kind: .memory, amount: 1 << 20, peer: nil, peerFunction: nil, ended: nil),
            ], movementsOmitted: 4)
        let lines = Explain.story(call, style: Style(isColoured: false)).split(separator: "\n")
            .map { $0.split(separator: " ").joined(separator: " ") }
        for line in [
            "Expected 250m CPU, unknown memory, to run 40.0 ms", "Began with 300m CPU (its own: 1), 64.0 MiB memory (its own: 128.0 MiB)",
            "Used at most 200m CPU, unmeasured memory", "Shared CPU lent 0.035 core-s, restored by the safeguard",
            "0 ms -700m CPU lent to greedy (c-2)", "50.0 ms +700m CPU back from greedy (c-2): the borrower ended",
            "50.0 ms +1.0 MiB memory borrowed from the node", "and 4 more",
        ] {
            #expect(lines.contains(line), "\(line) is not in \(lines)")
        }
    }

    @Test(
        "describe says what a function may lend",
        arguments: [
            ([:], "CPU and memory"), (["dev.brume.harvest": "false"], "nothing (dev.brume.harvest=false)"),
            (["dev.brume.harvest": "cpu"], "CPU"),
            (["dev.brume.harvest.parameters": "size, rows"], "CPU and memory; demand may follow size, rows"),
            (["dev.brume.harvest": "perhaps"], ""),
        ] as [([String: String], String)])
    func describes(annotations: [String: String], words: String) {
        #expect(Wording.harvest(annotations) == words)
    }

    @Test(
        "numbers of any size are short",
        arguments: [
            (0.0, "0"), (12.5, "12.500"), (1234.56, "1234.6"), (30e6, "30000000"), (-0.5, "-0.500"), (0.000125, "1.250e-4"),
            (1.5e20, "1.500e20"), (0.05, "0.05000"), (-2e-9, "-2.000e-9"),
        ])
    func numbers(value: Double, text: String) {
        #expect(Wording.number(value) == text)
    }
}
