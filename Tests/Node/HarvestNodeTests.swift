// SPDX-License-Identifier: Apache-2.0

import BrumeEngine
import BrumeHarvest
import BrumeModel
import BrumeNode
import BrumeSimulator
import NIOCore
import Synchronization
import Testing

/// What a node that harvests keeps and tells, with a driver whose measurements are scripted.
struct HarvestNodeTests {
    private static func harvesting(_ settings: inout NodeSettings) {
        settings.engine.harvest = HarvesterSettings(capacity: settings.engine.capacity)
    }

    @Test("each call's record has what harvesting did to it, on disk and in memory", arguments: [500, 0])
    func records(perSecond: Int) async throws {
        try await NodeServiceTests.withNode {
            Self.harvesting(&$0)
            $0.recordsPerSecondMax = perSecond
        } _: { bench in
            try await bench.deploy("measured")
            for number in 1...12 { _ = try await bench.call("measured", "hello", label: "call-\(number)") }
            // The caller is answered before the replica says that it is through.
            #expect(
                try await NodeServiceTests.eventually {
                    try await bench.node.calls(CallQuery()).filter { $0.harvest?.cpu != nil }.count == 12
                })
            let calls = try await bench.node.calls(CallQuery())
            #expect(Set(calls.map(\.label)).count == 12 && calls.count == 12, "nothing twice")
            let first = try #require(calls.last?.harvest)
            #expect(first.expected == nil && first.peakMillicores == 200 && first.peakMemoryBytes == 20 << 20)
            let last = try #require(calls.first?.harvest)
            let expected = try #require(last.expected)
            #expect(expected.millicores.map { (200...300).contains($0) } == true && expected.runMs > 0)
            #expect(last.began.memoryBytes < last.allocation.memoryBytes)
            let one = try await bench.node.calls(CallQuery(label: "call-12", limit: 1))
            #expect(one.first?.harvest?.movements != nil)
        }
    }

    @Test("ledger, profile and what is lent now agree with each other; a function that was removed keeps its part of the sums")
    func reports() async throws {
        try await NodeServiceTests.withNode(change: Self.harvesting) { bench in
            try await bench.deploy("measured")
            for number in 1...20 { _ = try await bench.call("measured", "hello", label: "call-\(number)") }
            _ = try await NodeServiceTests.eventually { try await bench.node.harvest().calls == 0 }
            let now = try await bench.node.harvest()
            #expect(now.cpu.capacity == 8000 && now.cpu.idle == 8000 && now.cpu.limits == 0 && now.loans.isEmpty)
            let ledger = try await bench.node.harvestLedger()
            #expect(ledger.functions.map(\.function) == ["measured.openfaas-fn"])
            #expect(ledger.seconds > 0 && ledger.seconds < 600)
            #expect(ledger.node.cpu.idle > 0 && ledger.node.cpu.idle < 8 * ledger.seconds + 1, "idle counts from the node's start")
            Self.checkSums(ledger)
            let profile = try await bench.node.harvestProfile(try FunctionID(name: "measured"))
            #expect(profile.calls == 20 && profile.predictions == 12 && profile.memory.model == .quantiles)
            #expect(profile.memoryClassAccuracy == 1 && profile.outlook.count == 1)
            try await bench.node.remove(try FunctionID(name: "measured"))
            #expect(try await NodeServiceTests.eventually { try await bench.node.harvestLedger().functions.isEmpty })
            let after = try await bench.node.harvestLedger()
            #expect(after.removed.memory.idle >= ledger.functions[0].account.memory.idle)
            Self.checkSums(after)
            await #expect(throws: BrumeError.self) { try await bench.node.harvestProfile(try FunctionID(name: "measured")) }
        }
    }

    private static func checkSums(_ ledger: HarvestLedgerReport) {
        for kind in ResourceKind.allCases {
            let parts = ledger.functions.map(\.account[kind]) + [ledger.node[kind], ledger.removed[kind]]
            let total = ledger.total[kind]
            for part in [\HarvestTotals.lent, \.borrowed, \.idle, \.reclaimed, \.lost] {
                let sum = parts.reduce(0) { $0 + $1[keyPath: part] }
                #expect(abs(sum - total[keyPath: part]) <= 1e-9 * Swift.max(1, abs(sum)), "\(kind)")
            }
            #expect(total.lent == total.borrowed, "\(kind)")
        }
    }

    @Test("a function that opted out neither lends nor borrows", arguments: ["false", "cpu", "memory"])
    func optOut(word: String) async throws {
        try await NodeServiceTests.withNode(change: Self.harvesting) { bench in
            var spec = FunctionSpec(id: try FunctionID(name: "measured"), contract: .fork(command: ["x"]))
            spec.annotations[HarvestPolicy.annotation] = word
            try await bench.node.deploy(spec, mode: .create)
            for number in 1...20 { _ = try await bench.call("measured", "hello", label: "call-\(number)") }
            #expect(
                try await NodeServiceTests.eventually { try await bench.node.calls(CallQuery()).filter { $0.harvest != nil }.count == 20 })
            for call in try await bench.node.calls(CallQuery()) {
                let harvest = try #require(call.harvest)
                for kind in ResourceKind.allCases where word != kind.rawValue {
                    #expect(harvest[kind] == HarvestTotals() && harvest.began[kind] == harvest.allocation[kind], "\(call.label) \(kind)")
                    #expect(harvest.movements?.contains { $0.kind == kind } == false)
                }
            }
            let profile = try await bench.node.harvestProfile(spec.id)
            #expect(profile.takesPart.map(\.rawValue) == (word == "false" ? [] : [word]))
        }
    }

    @Test("a call killed for want of memory is counted, and learned from, also where it was answered", arguments: ["killed", "survives"])
    func kill(name: String) async throws {
        try await NodeServiceTests.withNode(change: Self.harvesting) { bench in
            try await bench.deploy(name)
            for number in 1...3 { _ = try await bench.call(name, "hello", label: "call-\(number)") }
            #expect(try await NodeServiceTests.eventually { try await bench.node.harvestLedger().total.outOfMemoryKills == 3 })
            #expect(try await bench.node.harvestLedger().total.outOfMemoryKillsWhileLending == 0)
            #expect(try await bench.node.harvestProfile(try FunctionID(name: name)).calls == 3)
            let calls = try await bench.node.calls(CallQuery())
            #expect(calls.count == 3 && calls.allSatisfy { $0.outcome == (name == "killed" ? .failed : .succeeded) })
            #expect(calls.allSatisfy { $0.harvest.map { $0.killedAtBytes == $0.allocation.memoryBytes } ?? false }, "\(calls)")
        }
    }

    @Test("calls that overlap in a replica are told under the first of them, and until that is known the record is there without")
    func overlapping() async throws {
        try await NodeServiceTests.withNode(change: Self.harvesting) { bench in
            let function = try FunctionID(name: "never")
            var spec = FunctionSpec(id: function, contract: .fork(command: ["x"]), concurrency: 2)
            spec.scale.max = 1
            try await bench.node.deploy(spec, mode: .create)
            let calls = ["first", "second"].map { label in
                bench.node.call(CallRequest(function: function, body: .whole(ByteBuffer()), label: label)) { _ in }
            }
            #expect(try await NodeServiceTests.eventually { bench.driver.state.withLock { $0.held.count == 2 } })
            let running = try await bench.node.calls(CallQuery(label: "first", limit: 1))
            #expect(running.first?.outcome == .running && running.first?.harvest != nil)
            #expect(try await bench.node.harvest().calls == 1)
            bench.node.abandon(calls[0])
            let waiting = try await bench.node.calls(CallQuery(label: "first"))
            #expect(waiting.map(\.outcome) == [.abandoned] && waiting.first?.harvest == nil)
            #expect(try await bench.store.calls(CallQuery(label: "first")).map(\.outcome) == [.abandoned], "a node that dies now knows it")
            bench.node.abandon(calls[1])
            #expect(
                try await NodeServiceTests.eventually { try await bench.node.calls(CallQuery(label: "first")).first?.harvest != nil })
            let ended = try await bench.node.calls(CallQuery())
            #expect(ended.map(\.label).sorted() == ["first", "second"])
            #expect(ended.first { $0.label == "second" }?.harvest == nil)
            let first = try #require(ended.first { $0.label == "first" }?.harvest)
            #expect(first.peakMillicores == nil && first.peakMemoryBytes == nil, "what two calls used is nobody's peak")
        }
    }

    @Test("an asynchronous call's record has what harvesting did to each attempt")
    func asynchronous() async throws {
        try await NodeServiceTests.withNode(change: Self.harvesting) { bench in
            try await bench.deploy("measured")
            let request = CallRequest(
                function: try FunctionID(name: "measured"), body: .whole(ByteBuffer(string: "later")), label: "later")
            #expect(try await bench.node.enqueue(request, callbackURL: nil) == nil)
            #expect(
                try await NodeServiceTests.eventually {
                    let record = try await bench.node.calls(CallQuery(label: "later")).first
                    return record?.outcome == .succeeded && record?.harvest?.peakMillicores == 200
                })
        }
    }

    @Test("a node that lends nothing says so, and its records stay without")
    func staticNode() async throws {
        try await NodeServiceTests.withNode { bench in
            try await bench.deploy("measured")
            _ = try await bench.call("measured")
            #expect(try await bench.node.calls(CallQuery()).first?.harvest == nil)
            let error = await #expect(throws: BrumeError.self) { try await bench.node.harvest() }
            #expect(error?.code == .conflict && error?.message.contains("--sharing harvest") == true)
            await #expect(throws: BrumeError.self) { try await bench.node.harvestLedger() }
            await #expect(throws: BrumeError.self) { try await bench.node.harvestProfile(try FunctionID(name: "measured")) }
        }
    }
}
