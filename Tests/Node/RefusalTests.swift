// SPDX-License-Identifier: Apache-2.0

import BrumeEngine
import BrumeHarvest
import BrumeModel
import BrumeNode
import NIOCore
import Synchronization
import Testing

/// A kernel that does not take back all memory that was lent: what a node does about it.
@Suite("Refused limits")
struct RefusalTests {
    private static let capacity = Resources(millicores: 8000, memoryBytes: 384 << 20)
    private static let lender = "measured"
    private static let borrower = "hungry"

    /// A node on which one call has lent most of its memory to two others, who all hold what they have.
    private static func withLoans(
        wallClock: @escaping @Sendable () -> Instant = { Instant(nanoseconds: 1_700_000_000_000_000_000) },
        _ body: @Sendable (NodeServiceTests.Bench, [CallID]) async throws -> Void
    ) async throws {
        let change: (inout NodeSettings) -> Void = {
            $0.engine = EngineSettings(capacity: capacity)
            $0.engine.harvest = HarvesterSettings(capacity: capacity)
        }
        try await NodeServiceTests.withNode(change: change, wallClock: wallClock) { bench in
            for (name, bytes, count) in [(lender, 256 << 20, 1), (borrower, 64 << 20, 2)] {
                let spec = FunctionSpec(
                    id: try FunctionID(name: name), contract: .fork(command: ["x"]),
                    limits: Resources(millicores: 500, memoryBytes: bytes), scale: Scale(min: count, max: count))
                try await bench.node.deploy(spec, mode: .create)
                for number in 1...12 { _ = try await bench.call(name, "hello", label: "\(name)-\(number)") }
            }
            #expect(try await NodeServiceTests.eventually { try await bench.node.harvest().calls == 0 })
            let calls = try [lender, borrower, borrower].map { try hold($0, bench) }
            #expect(try await NodeServiceTests.eventually { bench.driver.state.withLock { $0.held.count == 3 } })
            let borrowed = bench.driver.state.withLock { state in
                state.kernel.limits.filter { state.running[$0.key]?.id.name == borrower && $0.value.memoryBytes > 64 << 20 }
            }
            #expect(borrowed.count == 2, "both were to borrow: \(borrowed)")
            bench.driver.state.withLock { $0.kernel.most = .zero }
            try await body(bench, calls)
        }
    }

    private static func hold(_ name: String, _ bench: NodeServiceTests.Bench) throws -> CallID {
        bench.node.call(CallRequest(function: try FunctionID(name: name), body: .whole(ByteBuffer(string: "hold")), label: "held")) { _ in }
    }

    /// What a call of the lender's is told to use makes the safeguard give it its own again.
    private static func press(_ bench: NodeServiceTests.Bench) throws {
        let (replica, memory) = try #require(
            bench.driver.state.withLock { state in
                state.kernel.limits.first { state.running[$0.key]?.id.name == lender }.map { ($0.key, $0.value.memoryBytes) }
            })
        bench.driver.tell(ReplicaUse(replica: replica, cpuTime: .zero, throttledPeriods: 0, memoryBytes: memory - 1024))
    }

    private static func expectSums(_ bench: NodeServiceTests.Bench, _ moment: String) {
        let most = bench.driver.state.withLock { $0.kernel.most }
        #expect(most.fits(in: capacity), "\(moment): limits of \(most) on a node of \(capacity)")
    }

    /// Everybody ends: whatever was refused, nothing of it stays.
    private static func expectRest(_ bench: NodeServiceTests.Bench) async throws {
        bench.driver.state.withLock { $0.kernel.refusing = 0 }
        for call in bench.driver.state.withLock({ $0.held.keys.sorted() }) { bench.node.abandon(call) }
        #expect(try await NodeServiceTests.eventually { try await bench.node.harvest().calls == 0 })
        let now = try await bench.node.harvest()
        #expect(now.memory.limits == 0 && now.loans.isEmpty && now.memory.capacity <= capacity.memoryBytes, "\(now)")
        // All three can run again, each with its own at least once the others lend nothing.
        for name in [lender, borrower] { _ = try await bench.call(name, "hello", label: "after") }
        expectSums(bench, "afterwards")
    }

    @Test(
        "whichever limits the kernel refuses to lower when a lender needs its own, at no moment do limits add up to more than there is",
        arguments: 0..<32 as Range<UInt64>)
    func safeguard(bits: UInt64) async throws {
        try await Self.withLoans { bench, _ in
            bench.driver.state.withLock { $0.kernel.refusing = bits }
            try Self.press(bench)
            let (sum, refused, left) = bench.driver.state.withLock { ($0.kernel.memoryOfBusy, $0.kernel.refused, $0.kernel.refusing) }
            Self.expectSums(bench, "bits \(bits), \(refused) refused")
            #expect(sum == Self.capacity.memoryBytes, "bits \(bits): the lender is to have all that was given back, but \(sum) is in use")
            #expect(refused >= (bits & 3).nonzeroBitCount, "two limits were to be lowered; \(left) is left of \(bits)")
            try await Self.expectRest(bench)
        }
    }

    @Test("a clock that jumps by hours while loans are out ends none of them, and leaves no limit behind", arguments: [5, -5, 24 * 365])
    func clock(hours: Int64) async throws {
        let wall = Mutex(Instant(nanoseconds: 1_700_000_000_000_000_000))
        try await Self.withLoans(wallClock: { wall.withLock { $0 } }) { bench, _ in
            let before = try await bench.node.harvest()
            let limits = bench.driver.state.withLock { $0.kernel.limits }
            wall.withLock { $0 = $0 + .seconds(hours * 3600) }
            let after = try await bench.node.harvest()
            #expect(after.loans.count == before.loans.count && after.memory.lent == before.memory.lent && before.memory.lent > 0)
            #expect(bench.driver.state.withLock { $0.kernel.limits } == limits, "limits were written")
            try Self.press(bench)
            Self.expectSums(bench, "after the jump")
            #expect(
                bench.driver.state.withLock { state in
                    state.kernel.limits.contains { state.running[$0.key]?.id.name == Self.lender && $0.value.memoryBytes == 256 << 20 }
                }, "the lender did not get its own again")
            let ledger = try await bench.node.harvestLedger()
            #expect(ledger.seconds >= 0 && ledger.seconds < 600, "the books count a time that never passed: \(ledger.seconds) s")
            #expect(ledger.total.memory.lent == ledger.total.memory.borrowed)
            try await Self.expectRest(bench)
        }
    }

    @Test(
        "a lender that ended and comes back gets what the kernel has given back, whatever it refuses meanwhile",
        arguments: 0..<32 as Range<UInt64>)
    func comesBack(bits: UInt64) async throws {
        try await Self.withLoans { bench, calls in
            bench.driver.state.withLock { $0.kernel.refusing = bits }
            bench.node.abandon(calls[0])
            #expect(try await NodeServiceTests.eventually { try await bench.node.harvest().calls == 2 })
            _ = try Self.hold(Self.lender, bench)
            #expect(try await NodeServiceTests.eventually { bench.driver.state.withLock { $0.held.count == 3 } })
            Self.expectSums(bench, "bits \(bits)")
            #expect(bench.driver.state.withLock { $0.kernel.refused } >= (bits & 3).nonzeroBitCount)
            try await Self.expectRest(bench)
        }
    }
}
