// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Foundation
import NIOCore
import NIOHTTP1
import Testing

/// A lender and a borrower on a real node, and what people are told about them.
@Suite(.serialized)
struct HarvestReportTests {
    private static let thrifty = """
        import json, time
        def handle(req):
            time.sleep(json.loads(req)['ms'] / 1000)
            return 'slept'
        """
    private static let greedy = """
        import json, time
        def handle(req):
            end = time.process_time() + json.loads(req)['ms'] / 1000
            while time.process_time() < end:
                pass
            return 'burnt'
        """

    private static func deploy(_ name: String, _ handler: String, cpu: String, _ extra: [String] = [], on node: NodeUnderTest) async throws
    {
        let file = node.dataDirectory + "/\(name).py"
        try handler.write(toFile: file, atomically: true, encoding: .utf8)
        let words = ["deploy", name, "--handler", file, "--memory", "128Mi", "--cpu", cpu, "--min", "1", "--max", "1"]
        let deployed = try await node.brume(words + extra)
        #expect(deployed.exitCode == 0, "\(deployed.complaint)")
    }

    private static func document<Document: Decodable>(
        _ type: Document.Type, _ words: [String], _ node: NodeUnderTest
    ) async throws -> Document {
        let outcome = try await node.brume(words + ["--json"])
        #expect(outcome.exitCode == 0, "\(outcome.complaint)")
        return try JSONDecoder().decode(type, from: Data(outcome.output.utf8))
    }

    @Test(
        "a lender and a borrower are seen while they share, and in ledger, profile, explain and metrics afterwards, with figures that agree"
    )
    func accounts() async throws {
        // No core is left over beside both allocations, so that the borrower gets what the lender does without.
        try await withNode(options: ["--sharing", "harvest", "--spares", "0", "--cpu", "1500m"]) { node in
            try await Self.deploy("thrifty", Self.thrifty, cpu: "1", on: node)
            try await Self.deploy("greedy", Self.greedy, cpu: "500m", on: node)
            try await Self.deploy("private", Self.thrifty, cpu: "100m", ["--annotation", "dev.brume.harvest=false"], on: node)
            for _ in 0..<12 {
                #expect(try await node.call("thrifty", #"{"ms": 100}"#).status == 200)
                #expect(try await node.call("greedy", #"{"ms": 100}"#).status == 200)
            }
            #expect(try await node.call("private", #"{"ms": 50}"#).status == 200)
            let (lender, borrower) = ("lender-call", "borrower-call")
            async let slept = node.call("thrifty", #"{"ms": 2500}"#, headers: [("X-Call-Id", lender)])
            async let burnt = node.call("greedy", #"{"ms": 800}"#, headers: [("X-Call-Id", borrower)])
            var seen: HarvestReport?
            _ = try await eventually(.seconds(3)) {
                let report = try await Self.document(HarvestReport.self, ["harvest"], node)
                if report.loans.contains(where: { $0.kind == .cpu && $0.lender.call == lender && $0.borrower.call == borrower }) {
                    seen = report
                }
                return seen != nil
            }
            #expect(try await slept.status == 200)
            #expect(try await burnt.status == 200)
            let calls = try await node.http(.GET, "/v1/calls?limit=4").text
            let now = try #require(seen, "no loan was seen: \(calls)")
            #expect(now.cpu.capacity == 1500 && now.cpu.limits + now.cpu.idle <= 1500)
            #expect(now.cpu.lent == now.loans.filter { $0.kind == .cpu }.reduce(0) { $0 + $1.amount })
            try await Self.checkLedger(node)
            try await Self.checkCalls(lender, borrower, node)
            try await Self.checkProfileAndMetrics(node)
        }
    }

    private static func checkLedger(_ node: NodeUnderTest) async throws {
        let ledger = try await document(HarvestLedgerReport.self, ["harvest", "ledger"], node)
        for kind in ResourceKind.allCases {
            let parts = ledger.functions.map(\.account[kind]) + [ledger.node[kind], ledger.removed[kind]]
            for part in [\HarvestTotals.lent, \.borrowed, \.idle, \.reclaimed, \.lost] {
                let sum = parts.reduce(0) { $0 + $1[keyPath: part] }
                #expect(abs(sum - ledger.total[kind][keyPath: part]) <= 1e-6 * max(1, sum), "\(kind)")
            }
            #expect(ledger.total[kind].lent == ledger.total[kind].borrowed)
            #expect(ledger.total[kind].reclaimed == ledger.total[kind].lost)
        }
        let accounts = Dictionary(uniqueKeysWithValues: ledger.functions.map { ($0.function, $0.account) })
        #expect(try #require(accounts["thrifty.openfaas-fn"]).cpu.lent > 0.05)
        #expect(try #require(accounts["greedy.openfaas-fn"]).cpu.borrowed > 0.05)
        #expect(accounts["private.openfaas-fn"] == nil, "it opted out, and nothing ever moved")
        #expect(ledger.limitWrites > 0 && ledger.total.outOfMemoryKillsWhileLending == 0)
        // All that the node has, all the time, is the most that can be lent or idle.
        #expect(ledger.total.cpu.lent + ledger.total.cpu.idle <= 1.5 * ledger.seconds + 0.01)
    }

    private static func checkCalls(_ lender: String, _ borrower: String, _ node: NodeUnderTest) async throws {
        func harvest(_ call: String) async throws -> [String: Any] {
            let story = try await node.json("/v1/calls/\(call)") as? [String: Any]
            return try #require(story?["harvest"] as? [String: Any], "\(story ?? [:])")
        }
        func total(_ harvest: [String: Any], _ name: String) -> Double { (harvest["cpu"] as? [String: Any])?[name] as? Double ?? 0 }
        let (gave, got) = (try await harvest(lender), try await harvest(borrower))
        #expect(total(gave, "lent") > 0.05 && total(got, "borrowed") >= total(gave, "lent") - 0.001, "\(gave) \(got)")
        #expect((gave["expected"] as? [String: Any])?["millicores"] as? Int ?? 1000 < 800)
        #expect(got["peakMillicores"] as? Int ?? 0 > 500, "\(got)")
        let movements = gave["movements"] as? [[String: Any]] ?? []
        #expect(movements.contains { $0["peer"] as? String == borrower && $0["amount"] as? Int ?? 0 < 0 }, "\(movements)")
        let story = try await node.brume(["explain", lender]).output
        #expect(story.contains("lent to greedy (\(borrower))") && story.contains("Expected"), "\(story)")
        // A whole run at once.
        let all = try await node.json("/v1/calls?limit=1000") as? [[String: Any]] ?? []
        #expect(all.count == 27 && all.allSatisfy { $0["harvest"] != nil }, "\(all.count)")
    }

    private static func checkProfileAndMetrics(_ node: NodeUnderTest) async throws {
        let profile = try await document(HarvestProfileReport.self, ["harvest", "profile", "thrifty"], node)
        #expect(profile.calls == 13 && profile.takesPart == [.cpu, .memory] && profile.cpu.model != .unknown)
        #expect(try await node.brume(["describe", "private"]).output.contains("nothing (dev.brume.harvest=false)"))
        let metrics = try await node.http(.GET, "/metrics").text
        func value(_ series: String) -> Double? {
            metrics.split(separator: "\n").first { $0.hasPrefix(series + " ") }.flatMap { Double($0.split(separator: " ").last ?? "") }
        }
        let (lent, borrowed) = (
            value(#"brume_harvest_core_seconds_total{movement="lent"}"#), value(#"brume_harvest_core_seconds_total{movement="borrowed"}"#)
        )
        #expect(lent ?? 0 > 0.05 && lent == borrowed, "\(metrics)")
        #expect(metrics.contains("\nbrume_watch_looks ") && metrics.contains("\nbrume_watch_skipped "))
        #expect(value(#"brume_memory_guard{way="looks"}"#) == 1 && value("brume_watch_refused_writes") == 0)
        #expect([0, 1].contains(value(#"brume_memory_guard{way="memory.events"}"#) ?? -1), "\(metrics)")
        #expect(["memory.events", "memory.pressure"].allSatisfy { value(#"brume_watch_events{source="\#($0)"}"#) != nil }, "\(metrics)")
        #expect(value(#"brume_limit_writes_total{resource="cpu"}"#) ?? 0 > 0)
        #expect(value("brume_harvest_idle_millicores") == 1500 && value("brume_harvest_lent_millicores") == 0)
    }

    @Test("a node that lends nothing tells how it is told to, with exit code 1")
    func staticNode() async throws {
        try await withNode { node in
            for words in [["harvest"], ["harvest", "ledger"], ["harvest", "profile", "x"]] {
                let outcome = try await node.brume(words)
                #expect(outcome.exitCode == 1 && outcome.complaint.contains("brume up --sharing harvest"), "\(outcome.complaint)")
            }
            let refused = try await node.http(.GET, "/v1/harvest")
            #expect(refused.status == 409)
            let metrics = try await node.http(.GET, "/metrics").text
            #expect(!metrics.contains("brume_harvest") && !metrics.contains("brume_watch") && !metrics.contains("brume_memory_guard"))
        }
    }
}
