// SPDX-License-Identifier: Apache-2.0

import BrumeHarvest
import BrumeModel
import Testing

/// What ledger, statements and profiles tell people.
@Suite("Accounts that people can see")
struct AccountTests {
    static let user = Resources(millicores: 2000, memoryBytes: 512 << 20)

    /// A node on which function 0 lends and function 1 borrows.
    private static func node(usesSafeguard: Bool = true) throws -> (node: HarvesterTests.Node, lender: CallID, borrower: CallID) {
        var settings = HarvesterSettings(capacity: Resources(millicores: 8000, memoryBytes: 8 << 30))
        settings.pool.lendsUnreserved = false
        settings.usesSafeguard = usesSafeguard
        var node = HarvesterTests.Node(settings)
        node.teach(0, cpu: 500, memory: 64 << 20)
        node.teach(1, cpu: 5000, memory: 600 << 20)
        let lender = try must(node.begin(0))
        let borrower = try must(node.begin(1))
        node.now = node.now + .milliseconds(500)
        return (node, lender, borrower)
    }

    @Test("a statement tells what was expected, what the call began with, and with whose function it shared")
    func statement() throws {
        var (node, lender, borrower) = try Self.node()
        let running = try #require(node.harvester.statement(of: lender, now: node.now))
        #expect(running.allocation == Self.user && running.limits.millicores < 1000 && running.limits.memoryBytes < 128 << 20)
        let prediction = try #require(running.prediction)
        #expect((500...600).contains(prediction.peak.millicores))
        #expect(running.cpu.lent.coreSeconds > 0.5)
        let statement = try must(node.end(borrower, cpu: 3000, memory: 600 << 20))
        #expect(statement.cpu.borrowed == running.cpu.lent)
        let loan = try #require(statement.events.first)
        #expect(loan.peer == .call(lender) && loan.peerFunction == FunctionHandle(0) && loan.at == statement.began && loan.amount > 0)
        let end = try #require(statement.events.last { $0.kind == .cpu })
        #expect(end.ended == .borrowerEnded && end.at == node.now && end.amount < 0)
        #expect(node.harvester.statement(of: borrower, now: node.now) == nil)
    }

    @Test("what was lent is what was borrowed, also after the lender's function is removed")
    func totals() throws {
        var (node, lender, borrower) = try Self.node()
        func check(_ harvester: Harvester, _ moment: String) {
            for kind in ResourceKind.allCases {
                let ledger = harvester.ledger
                let total = ledger.totalAccount(kind, now: node.now)
                #expect(total.lent == total.borrowed && total.lent > .zero, "\(kind) \(moment)")
                #expect(total.reclaimed == total.lost, "\(kind) \(moment)")
                let parts = ledger.accountedFunctions.reduce(ledger.nodeAccount(kind, now: node.now) + ledger.removedAccount(kind)) {
                    $0 + ledger.account(of: $1, kind, now: node.now)
                }
                #expect(parts == total, "\(kind) \(moment)")
            }
        }
        check(node.harvester, "while calls run")
        node.end(lender, cpu: 500, memory: 64 << 20)
        check(node.harvester, "after the lender has ended early")
        let before = node.harvester.ledger.totalAccount(.cpu, now: node.now)
        node.harvester.remove(FunctionHandle(0))
        #expect(node.harvester.ledger.accountedFunctions == [FunctionHandle(1)])
        #expect(node.harvester.ledger.removedAccount(.cpu).lent == before.lent)
        check(node.harvester, "after the lender's function has gone")
        node.end(borrower, cpu: 3000, memory: 600 << 20)
    }

    @Test("kills are counted, and apart those at a limit that a loan had lowered: the safeguard lowers none", arguments: [true, false])
    func kills(usesSafeguard: Bool) throws {
        var (node, lender, borrower) = try Self.node(usesSafeguard: usesSafeguard)
        for call in [lender, borrower, CallID(999)] { node.harvester.killed(call, now: node.now) }
        let account = node.harvester.ledger.totalAccount(.memory, now: node.now)
        let expected = usesSafeguard ? 0 : 1
        #expect(account.kills == 2 && account.killsWhileLending == expected)
        #expect(node.harvester.ledger.account(of: FunctionHandle(0), .memory, now: node.now).killsWhileLending == expected)
    }

    @Test("a profile tells what each quantity follows, by which errors that was chosen, and what to expect")
    func profile() throws {
        var chance = SeededGenerator(seed: 1)
        var profiler = Profiler(settings: ProfilerSettings(millicoresMax: 8000))
        let function = FunctionHandle(0)
        #expect(profiler.outlook(function, rows: 5).isEmpty && profiler.report(function) == nil)
        for _ in 0..<100 {
            // Run time 0.1 s + 1 ms for each item, memory 30 MB + 1 MB for each; CPU does not follow anything.
            let items = chance.draw(10...500)
            profiler.learn(
                function, CallFeatures(inputBytes: 20, parameters: [Double(items)]),
                CallObservation(
                    duration: .milliseconds(100 + items),
                    peak: Resources(millicores: chance.draw(600...900), memoryBytes: (30 + items) * 1_000_000), allocatedMillicores: 1000))
        }
        let report = try #require(profiler.report(function))
        #expect(report.memory.driver == 1 && report.duration.driver == 1 && report.cpu.driver == nil)
        let memory = report.memory
        let (curveError, meanError) = (try #require(memory.curveError), try #require(memory.meanError))
        #expect(curveError < 0.05 && meanError > 0.3, "\(memory)")
        // The curve in the amounts' own units gives back what it was made of.
        let (x, log) = (200.0, Elementary.logarithm(201))
        let value = zip(memory.coefficients, [1, x, log, x * log, x * x]).reduce(0) { $0 + $1.0 * $1.1 }
        #expect(abs(value - 230e6) < 5e6, "\(value)")
        #expect(memory.coefficients.count == 5 && report.cpu.coefficients.isEmpty)
        let quantiles = try #require(report.cpu.quantiles)
        #expect(quantiles.p5 < quantiles.p50 && quantiles.p50 < quantiles.p99 && quantiles.p99 <= 900)
        #expect(report.cpu.samples == 100 && report.duration.samples == 100)
        let outlook = profiler.outlook(function, rows: 5)
        #expect(outlook.count == 5 && outlook.allSatisfy { $0.feature == 1 })
        #expect(outlook.first?.value == memory.range?.lowerBound && outlook.last?.value == memory.range?.upperBound)
        let peaks = outlook.compactMap { $0.prediction?.peak.memoryBytes }
        let (least, most) = (try #require(peaks.first), try #require(peaks.last))
        #expect(peaks.count == 5 && peaks == peaks.sorted() && most > 4 * least, "\(peaks)")
    }

    @Test("where nothing follows the input there is one line to expect")
    func flatProfile() throws {
        var profiler = Profiler(settings: ProfilerSettings(millicoresMax: 8000))
        for _ in 0..<40 {
            profiler.learn(
                FunctionHandle(0), CallFeatures(inputBytes: 7),
                CallObservation(
                    duration: .seconds(1), peak: Resources(millicores: 500, memoryBytes: 30 << 20), allocatedMillicores: 1000))
        }
        let outlook = profiler.outlook(FunctionHandle(0), rows: 5)
        #expect(outlook.count == 1 && outlook.first?.feature == nil)
        #expect(try #require(outlook.first?.prediction).peak.millicores >= 500)
    }
}
