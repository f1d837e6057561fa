// SPDX-License-Identifier: Apache-2.0

import BrumeEngine
import BrumeHarvest
import BrumeModel
import Testing

/// However a call that lends or borrows ends, it returns everything, and the other goes on with its own.
@Suite("Ends of calls that share")
struct HarvestEndingTests {
    typealias Node = HarvestEngineTests.Node

    enum Way: String, CaseIterable {
        case succeeded, failed, timedOut, abandoned, outOfMemory, crashed, killed
    }

    private static let own = (
        lender: Resources(millicores: 1000, memoryBytes: 512 << 20), borrower: Resources(millicores: 500, memoryBytes: 128 << 20)
    )
    private static let (lender, borrower) = (CallID(1000), CallID(1001))

    /// A node on which one call lends CPU to another. What nobody reserved is not lent, so that there is no other lender.
    private static func sharing() -> Node {
        var node = Node(Resources(millicores: 2000, memoryBytes: 2048 << 20)) { $0.pool.lendsUnreserved = false }
        let modest = HarvestEngineTests.deploy(&node, 0, own.lender)
        let greedy = HarvestEngineTests.deploy(&node, 1, own.borrower)
        HarvestEngineTests.teach(&node, modest, from: 1, count: 20, peak: Resources(millicores: 200, memoryBytes: 40 << 20))
        HarvestEngineTests.teach(&node, greedy, from: 101, count: 20, peak: Resources(millicores: 500, memoryBytes: 60 << 20))
        let features = CallFeatures(inputBytes: 100)
        node.step(.arrive(lender, modest, timeout: .milliseconds(200), features: features))
        node.step(.arrive(borrower, greedy, timeout: .milliseconds(300), features: features))
        return node
    }

    private static func end(_ call: CallID, _ way: Way, _ node: inout Node) {
        guard let replica = node.running[call] else { return }
        switch way {
        case .succeeded: node.step(.finished(call, .succeeded), after: .milliseconds(5))
        case .failed: node.step(.finished(call, .failed), after: .milliseconds(5))
        case .timedOut:
            node.step(.tick, after: call == lender ? .milliseconds(201) : .milliseconds(301))
            // It was told to give up, and does.
            node.step(.finished(call, .failed), after: .milliseconds(5))
        case .abandoned:
            node.step(.abandon(call), after: .milliseconds(5))
            node.step(.finished(call, .failed), after: .milliseconds(5))
        case .outOfMemory:
            node.step(.finished(call, .outOfMemory), after: .milliseconds(5))
            node.step(.exited(replica, ReplicaExit(.outOfMemory, "killed")))
        case .crashed: node.step(.exited(replica, ReplicaExit(.signalled(number: 11), "crashed")), after: .milliseconds(5))
        case .killed: node.step(.exited(replica, ReplicaExit(.outOfMemory, "killed")), after: .milliseconds(5))
        }
    }

    @Test("a lender that ends has nothing lent any more, and its borrower its own", arguments: Way.allCases)
    func lenderEnds(way: Way) throws {
        var node = Self.sharing()
        let lent = try #require(node.engine.harvester).pool.loans(.cpu)
        #expect(!lent.isEmpty)
        Self.end(Self.lender, way, &node)
        let pool = try #require(node.engine.harvester).pool
        #expect(pool.limit(of: Self.lender, .cpu) == nil && pool.limit(of: Self.lender, .memory) == nil)
        #expect(pool.loans(.cpu).isEmpty && pool.loans(.memory).isEmpty && pool.audit() == [])
        #expect(pool.limit(of: Self.borrower, .cpu) == Self.own.borrower.millicores)
        #expect(pool.limit(of: Self.borrower, .memory) ?? 0 <= Self.own.borrower.memoryBytes)
        let replica = try #require(node.running[Self.borrower])
        #expect(node.limits[replica]?.millicores == Self.own.borrower.millicores, "what was written is not what the books say")
        #expect(node.violation == nil, "\(node.violation ?? "")")
    }

    @Test("a borrower that ends has returned what it had, and nobody holds anything when the lender ends too", arguments: Way.allCases)
    func borrowerEnds(way: Way) throws {
        var node = Self.sharing()
        let before = try #require(node.engine.harvester?.pool.limit(of: Self.lender, .cpu))
        if way == .timedOut { Self.end(Self.lender, .failed, &node) }
        Self.end(Self.borrower, way, &node)
        let pool = try #require(node.engine.harvester).pool
        #expect(pool.limit(of: Self.borrower, .cpu) == nil && pool.loans(.cpu).isEmpty && pool.loans(.memory).isEmpty)
        if way != .timedOut { #expect(pool.limit(of: Self.lender, .cpu) == before, "a lender does not grow by what comes back") }
        Self.end(Self.lender, .succeeded, &node)
        let rest = try #require(node.engine.harvester).pool
        #expect(rest.footprint.shares == 0 && rest.audit() == [])
        #expect(rest.unreserved.millicores == 2000, "all of the node's CPU is there again")
        #expect(node.violation == nil, "\(node.violation ?? "")")
    }
}
