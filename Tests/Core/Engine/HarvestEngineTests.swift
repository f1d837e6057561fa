// SPDX-License-Identifier: Apache-2.0

import BrumeEngine
import BrumeHarvest
import BrumeModel
import Testing

/// Harvesting through the engine: what calls get, what they wait for, and that limits never add up to more than there is.
@Suite("Harvesting in the engine")
struct HarvestEngineTests {
    static let mebibyte = 1 << 20

    /// An engine that harvests, and the limits as a node would have written them.
    struct Node {
        var engine: Engine
        var now = Instant.zero
        /// Limits of replicas with running calls.
        var limits: [ReplicaID: Resources] = [:]
        var running: [CallID: ReplicaID] = [:]
        var busy: [ReplicaID: Set<CallID>] = [:]
        var started: [ReplicaID] = []
        var toStart: [ReplicaID] = []
        var toStop: [ReplicaID] = []
        var violation: String?
        var notes: [Note] = []

        init(_ capacity: Resources, change: (inout HarvesterSettings) -> Void = { _ in }) {
            var settings = EngineSettings(capacity: capacity)
            var harvest = HarvesterSettings(capacity: capacity)
            change(&harvest)
            settings.harvest = harvest
            engine = Engine(settings: settings)
        }

        @discardableResult
        mutating func step(_ input: Input, after pause: Duration = .microseconds(1)) -> [Output] {
            now = now + pause
            if case .finished(let call, _, _) = input { forget(call) }
            if case .exited(let replica, _) = input { (limits[replica], busy[replica]) = (nil, nil) }
            let outputs = engine.step(input, now: now)
            for output in outputs { perform(output, input) }
            return outputs
        }

        private mutating func forget(_ call: CallID) {
            guard let replica = running.removeValue(forKey: call) else { return }
            busy[replica]?.remove(call)
        }

        private mutating func perform(_ output: Output, _ input: Input) {
            switch output {
            case .start(let replica, _): toStart.append(replica)
            case .stop(let replica, _): toStop.append(replica)
            case .run(let call, let replica, _, _):
                running[call] = replica
                busy[replica, default: []].insert(call)
                if limits[replica] == nil { violation = violation ?? "\(call) runs on \(replica) without limits" }
            case .limit(let batch):
                for limit in batch { write(limit) }
            case .note(let note): notes.append(note)
            default: break
            }
        }

        private mutating func write(_ limit: ReplicaLimit) {
            if limit.call == nil {
                // An idle replica has its own limits again and no longer counts.
                limits[limit.replica]?[limit.kind] = limit.to
                return
            }
            limits[limit.replica, default: .zero][limit.kind] = limit.to
            check("after \(limit)")
        }

        mutating func check(_ moment: String) {
            for kind in ResourceKind.allCases {
                // Those that lost their last call in this step have not been told yet, but do not use what they have.
                let sum = limits.filter { busy[$0.key]?.isEmpty == false }
                    .reduce(0) { $0 + $1.value[kind] }
                if sum > engine.settings.capacity[kind] { violation = violation ?? "\(kind): limits of \(sum) \(moment)" }
            }
        }
    }

    static func deploy(
        _ node: inout Node, _ index: Int, _ allocation: Resources, concurrency: Int = 1, max: Int = 4, optsOut: Bool = false
    ) -> FunctionHandle {
        let function = FunctionHandle(index)
        var scale = Scale()
        scale.max = max
        var policy = FunctionPolicy(
            requests: Resources(millicores: 50, memoryBytes: allocation.memoryBytes), allocation: allocation, concurrency: concurrency,
            scale: scale)
        if optsOut { policy.harvests = [] }
        node.step(.deploy(function, policy))
        return function
    }

    static func startAll(_ node: inout Node) {
        while let replica = node.toStop.popLast() {
            node.toStart.removeAll { $0 == replica }
            for call in (node.busy[replica] ?? []).sorted() { node.step(.finished(call, .failed)) }
            node.step(.exited(replica, ReplicaExit(.stopped, "stopped")))
        }
        while let replica = node.toStart.popLast() {
            node.started.append(replica)
            node.step(.started(replica))
        }
    }

    /// Runs calls of one function, one after the other, that use the given peaks.
    static func teach(
        _ node: inout Node, _ function: FunctionHandle, from number: UInt64, count: Int, peak: Resources,
        lasting: Duration = .milliseconds(100)
    ) {
        for call in number..<number + UInt64(count) {
            node.step(.arrive(CallID(call), function, timeout: nil, features: CallFeatures(inputBytes: 100)))
            startAll(&node)
            node.step(
                .finished(
                    CallID(call), .succeeded,
                    usage: CallUsage(
                        cpuTime: .milliseconds(20), peakMillicores: peak.millicores, peakMemoryBytes: peak.memoryBytes)),
                after: lasting)
        }
    }

    @Test("a call that needs less lends, one that needs more borrows, and both have their own again afterwards")
    func lendAndBorrow() {
        let capacity = Resources(millicores: 2000, memoryBytes: 2048 * Self.mebibyte)
        var node = Node(capacity) { $0.pool.lendsUnreserved = false }
        let modest = Self.deploy(&node, 0, Resources(millicores: 1000, memoryBytes: 512 * Self.mebibyte))
        let greedy = Self.deploy(&node, 1, Resources(millicores: 500, memoryBytes: 128 * Self.mebibyte))
        Self.teach(&node, modest, from: 1, count: 20, peak: Resources(millicores: 200, memoryBytes: 40 * Self.mebibyte))
        Self.teach(&node, greedy, from: 101, count: 20, peak: Resources(millicores: 500, memoryBytes: 60 * Self.mebibyte))
        node.step(.arrive(CallID(1000), modest, timeout: nil, features: CallFeatures(inputBytes: 100)))
        node.step(.arrive(CallID(1001), greedy, timeout: nil, features: CallFeatures(inputBytes: 100)))
        let pool = node.engine.harvester?.pool
        #expect((pool?.limit(of: CallID(1000), .cpu) ?? 0) < 400)
        #expect((pool?.limit(of: CallID(1001), .cpu) ?? 0) > 500)
        let replica = node.running[CallID(1001)]
        let outputs = node.step(.finished(CallID(1001), .succeeded), after: .milliseconds(50))
        let back = outputs.compactMap { output -> [ReplicaLimit]? in if case .limit(let batch) = output { batch } else { nil } }.joined()
        #expect(back.contains { $0.replica == replica && $0.call == nil && $0.kind == .cpu && $0.to == 500 })
        node.step(.finished(CallID(1000), .succeeded), after: .milliseconds(50))
        #expect(node.violation == nil, "\(node.violation ?? "")")
        #expect(node.notes.contains { if case .settled = $0 { true } else { false } })
    }

    private static let mended = CallUsage(cpuTime: .milliseconds(20), peakMillicores: 200, peakMemoryBytes: 90 << 20, memoryKills: 2)

    @Test(
        "every call that was harvested is told about when it ends, and a kill for want of memory is counted once, whoever tells",
        arguments: [(CallEnd.outOfMemory, nil), (.succeeded, mended), (.failed, mended), (.outOfMemory, mended)])
    func statements(end: CallEnd, usage: CallUsage?) throws {
        var node = Node(Resources(millicores: 2000, memoryBytes: 2048 * Self.mebibyte)) { $0.usesSafeguard = false }
        let function = Self.deploy(&node, 0, Resources(millicores: 1000, memoryBytes: 512 * Self.mebibyte))
        Self.teach(&node, function, from: 1, count: 10, peak: Resources(millicores: 200, memoryBytes: 40 * Self.mebibyte))
        node.step(.arrive(CallID(11), function, timeout: nil, features: CallFeatures(inputBytes: 100)))
        #expect(node.engine.harvests(CallID(11)))
        node.step(.finished(CallID(11), end, usage: usage), after: .milliseconds(10))
        #expect(!node.engine.harvests(CallID(11)))
        if let replica = node.started.last { node.step(.exited(replica, ReplicaExit(.outOfMemory, "killed"))) }
        let statements = node.notes.compactMap { note -> CallStatement? in
            if case .settled(let statement) = note { statement } else { nil }
        }
        #expect(statements.map(\.call) == (1...11).map { CallID($0) })
        let (first, killed) = (try #require(statements.first), try #require(statements.last))
        #expect(first.prediction == nil && first.peakMillicores == 200 && first.peakMemoryBytes == 40 * Self.mebibyte)
        #expect(killed.prediction != nil && killed.limits.memoryBytes < 100 * Self.mebibyte)
        #expect(killed.peakMemoryBytes == usage?.peakMemoryBytes && killed.killedAtBytes == killed.limits.memoryBytes)
        #expect(statements.dropLast().allSatisfy { $0.killedAtBytes == nil })
        let account = try #require(node.engine.harvester).ledger.totalAccount(.memory, now: node.now)
        #expect(account.kills == 1 && account.killsWhileLending == 1)
        // It needed at least what it was killed at.
        let next = HarvestCall(
            id: CallID(12), function: function, allocation: Resources(millicores: 1000, memoryBytes: 512 * Self.mebibyte),
            features: CallFeatures(inputBytes: 100))
        let prediction = try #require(node.engine.harvester?.predict(next))
        #expect(prediction.peak.memoryBytes > killed.limits.memoryBytes)
        #expect(node.violation == nil)
    }

    @Test("a call for which the CPU is not there waits, although a replica is free, and runs when another ends")
    func heldBack() {
        var node = Node(Resources(millicores: 1000, memoryBytes: 1024 * Self.mebibyte))
        let function = Self.deploy(&node, 0, Resources(millicores: 600, memoryBytes: 64 * Self.mebibyte))
        node.step(.scale(function, replicas: 2))
        Self.startAll(&node)
        node.step(.arrive(CallID(1), function, timeout: nil))
        node.step(.arrive(CallID(2), function, timeout: nil))
        #expect(node.running.count == 1)
        #expect(node.notes.contains { if case .heldBack(CallID(2), _) = $0 { true } else { false } })
        #expect(node.toStart.isEmpty, "another replica would not help")
        node.step(.finished(CallID(1), .succeeded), after: .milliseconds(10))
        #expect(node.running[CallID(2)] != nil)
        node.step(.finished(CallID(2), .succeeded), after: .milliseconds(10))
        #expect(node.engine.footprint.calls == 0)
        #expect(node.violation == nil, "\(node.violation ?? "")")
    }

    @Test(
        "of calls that are held back the first to come goes first, or the first to end, of functions that opt out always the first to come",
        arguments: WaitingOrder.allCases, [false, true])
    func waitingOrder(order: WaitingOrder, optsOut: Bool) {
        var node = Node(Resources(millicores: 1000, memoryBytes: 1024 * Self.mebibyte)) { $0.waitingOrder = order }
        let own = Resources(millicores: 800, memoryBytes: 64 * Self.mebibyte)
        let functions = (0..<3).map { Self.deploy(&node, $0, own, max: 1, optsOut: optsOut) }
        let lasting: [Duration] = [.milliseconds(50), .seconds(2), .milliseconds(100)]
        for (index, function) in functions.enumerated() {
            Self.teach(&node, function, from: UInt64(1 + 100 * index), count: 20, peak: own, lasting: lasting[index])
        }
        for (index, function) in functions.enumerated() {
            node.step(.arrive(CallID(UInt64(1000 + index)), function, timeout: nil, features: CallFeatures(inputBytes: 100)))
        }
        #expect(node.running.keys.sorted() == [CallID(1000)], "there is room for one")
        node.step(.finished(CallID(1000), .succeeded), after: .milliseconds(50))
        // The second came before the third and takes two seconds longer.
        #expect(node.running.keys.sorted() == [CallID(order == .expectedEnd && !optsOut ? 1002 : 1001)])
        #expect(node.violation == nil, "\(node.violation ?? "")")
    }

    @Test(
        "a function whose call ends has no right of its own to what that leaves: its next call takes its turn",
        arguments: WaitingOrder.allCases)
    func noStanding(order: WaitingOrder) {
        var node = Node(Resources(millicores: 1000, memoryBytes: 1024 * Self.mebibyte)) { $0.waitingOrder = order }
        let own = Resources(millicores: 800, memoryBytes: 64 * Self.mebibyte)
        let (long, short) = (Self.deploy(&node, 0, own, max: 1), Self.deploy(&node, 1, own, max: 1))
        Self.teach(&node, long, from: 1, count: 20, peak: own, lasting: .seconds(2))
        Self.teach(&node, short, from: 101, count: 20, peak: own, lasting: .milliseconds(50))
        for (call, function) in [(1000, long), (1001, long), (1002, short), (1003, short)] {
            node.step(.arrive(CallID(UInt64(call)), function, timeout: nil, features: CallFeatures(inputBytes: 100)))
        }
        var ended: [CallID] = []
        while let call = node.running.keys.first {
            #expect(node.running.count == 1, "there is room for one")
            ended.append(call)
            node.step(.finished(call, .succeeded), after: .milliseconds(50))
        }
        // With the end of the first call the others' expected ends are 2 s, 50 ms and 50 ms after they came.
        #expect(ended == (order == .expectedEnd ? [1000, 1002, 1003, 1001] : [1000, 1001, 1002, 1003]).map { CallID($0) })
        #expect(node.violation == nil, "\(node.violation ?? "")")
    }

    @Test("a function whose allocation is larger than the node is refused")
    func neverFits() {
        var node = Node(Resources(millicores: 1000, memoryBytes: 1024 * Self.mebibyte))
        let function = Self.deploy(&node, 0, Resources(millicores: 1500, memoryBytes: 64 * Self.mebibyte))
        let outputs = node.step(.arrive(CallID(1), function, timeout: nil))
        #expect(outputs.contains { if case .refuse(_, .neverFits) = $0 { true } else { false } })
    }

    @Test("the safeguard gives a lender its own back in one step")
    func safeguard() {
        var node = Node(Resources(millicores: 2000, memoryBytes: 2048 * Self.mebibyte))
        let function = Self.deploy(&node, 0, Resources(millicores: 1000, memoryBytes: 512 * Self.mebibyte))
        Self.teach(&node, function, from: 1, count: 20, peak: Resources(millicores: 200, memoryBytes: 40 * Self.mebibyte))
        node.step(.arrive(CallID(50), function, timeout: nil, features: CallFeatures(inputBytes: 100)))
        let limit = node.engine.harvester?.pool.limit(of: CallID(50), .memory) ?? 0
        #expect(limit < 512 * Self.mebibyte)
        guard let replica = node.running[CallID(50)] else {
            Issue.record("the call does not run")
            return
        }
        let outputs = node.step(
            .sampled([ReplicaSample(replica: replica, usage: UsageSample(at: node.now, cpuTime: .zero, memoryBytes: limit - 1024))]))
        let batch = outputs.compactMap { output -> [ReplicaLimit]? in if case .limit(let batch) = output { batch } else { nil } }.joined()
        #expect(batch.contains { $0.replica == replica && $0.kind == .memory && $0.to == 512 * Self.mebibyte })
        #expect(node.violation == nil, "\(node.violation ?? "")")
    }

    private static func memory(_ node: Node, _ call: UInt64) -> Int { node.engine.harvester?.pool.limit(of: CallID(call), .memory) ?? 0 }

    /// What a look at a running call sees.
    private static func look(_ node: inout Node, _ call: UInt64, memory: Int) {
        guard let replica = node.running[CallID(call)] else {
            Issue.record("\(call) does not run")
            return
        }
        node.step(.sampled([ReplicaSample(replica: replica, usage: UsageSample(at: node.now, cpuTime: .zero, memoryBytes: memory))]))
    }

    @Test("what a borrower really uses is not taken from it: the lender has what there is, and the rest when the borrower ends")
    func overdue() {
        let capacity = 384 * Self.mebibyte
        var node = Node(Resources(millicores: 2000, memoryBytes: capacity))
        let lender = Self.deploy(&node, 0, Resources(millicores: 1000, memoryBytes: 256 * Self.mebibyte), max: 1)
        let borrower = Self.deploy(&node, 1, Resources(millicores: 1000, memoryBytes: 96 * Self.mebibyte), max: 1)
        let little = Resources(millicores: 200, memoryBytes: 12 * Self.mebibyte)
        Self.teach(&node, lender, from: 1, count: 12, peak: little)
        Self.teach(&node, borrower, from: 101, count: 12, peak: little)
        node.step(.arrive(CallID(200), borrower, timeout: nil, features: CallFeatures(inputBytes: 100)))
        node.step(.finished(CallID(200), .outOfMemory), after: .milliseconds(100))

        node.step(.arrive(CallID(300), lender, timeout: nil, features: CallFeatures(inputBytes: 100)))
        node.step(.arrive(CallID(301), borrower, timeout: nil, features: CallFeatures(inputBytes: 100)))
        let (left, borrowed) = (Self.memory(node, 300), Self.memory(node, 301))
        #expect(left < 64 * Self.mebibyte)
        #expect(borrowed > 130 * Self.mebibyte, "it ended for want of memory, and has no more than \(borrowed >> 20) MiB")
        Self.look(&node, 301, memory: borrowed - Self.mebibyte)
        Self.look(&node, 300, memory: left - 1024)
        #expect(Self.memory(node, 301) >= borrowed - Self.mebibyte, "it uses that")
        #expect(Self.memory(node, 300) == capacity - Self.memory(node, 301), "all that there is, and no more")
        node.step(.finished(CallID(301), .succeeded), after: .milliseconds(10))
        #expect(Self.memory(node, 300) == 256 * Self.mebibyte)
        #expect(node.violation == nil, "\(node.violation ?? "")")
    }

    @Test(
        "random lives: limits never add up to more than the node has, and nothing is left behind", arguments: 1...60 as ClosedRange<UInt64>)
    func random(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let capacity = Resources(millicores: 4000, memoryBytes: 4096 * Self.mebibyte)
        var node = Node(capacity) { settings in
            settings.admission = seed % 2 == 0 ? .allocation : .predictedDemand
            settings.pool.lendsUnreserved = seed % 3 != 0
        }
        var functions: [FunctionHandle] = []
        for index in 0..<6 {
            let allocation = Resources(
                millicores: Int.random(in: 1...15, using: &random) * 100,
                memoryBytes: Int.random(in: 2...16, using: &random) * 32 * Self.mebibyte)
            functions.append(
                Self.deploy(
                    &node, index, allocation, concurrency: index == 5 ? 3 : 1, max: Int.random(in: 1...4, using: &random)))
        }
        var next: UInt64 = 1
        for _ in 0..<600 {
            Self.randomStep(&node, functions, &next, &random)
            if let violation = node.violation {
                Issue.record("seed \(seed): \(violation)")
                return
            }
        }
        // Everything ends.
        for _ in 0..<2000 where !node.running.isEmpty || !node.toStart.isEmpty || node.engine.view.queuedCalls > 0 {
            Self.startAll(&node)
            node.step(.tick, after: .milliseconds(50))
            if let call = node.running.keys.min() { node.step(.finished(call, .succeeded), after: .milliseconds(1)) }
        }
        #expect(node.violation == nil, "seed \(seed): \(node.violation ?? "")")
        #expect(node.engine.footprint.calls == 0, "seed \(seed)")
        #expect(node.engine.harvester?.pool.footprint.shares == 0, "seed \(seed)")
    }

    @Test(
        "a clock that jumps ahead or back by hours while loans are out breaks no promise, and in the end nobody holds anything",
        arguments: 1...20 as ClosedRange<UInt64>)
    func jumpingClock(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let capacity = Resources(millicores: 4000, memoryBytes: 2048 * Self.mebibyte)
        var node = Node(capacity)
        let functions = (0..<4).map { index in
            Self.deploy(&node, index, Resources(millicores: 500 + 300 * index, memoryBytes: (64 << index) * Self.mebibyte))
        }
        var next: UInt64 = 1
        var lent = 0
        for round in 0..<400 {
            Self.randomStep(&node, functions, &next, &random)
            guard round % 20 == 19 else { continue }
            lent += (node.engine.harvester?.pool.loans(.cpu).count ?? 0) + (node.engine.harvester?.pool.loans(.memory).count ?? 0)
            // As far back as it likes: the engine sees no time pass then.
            node.now = Instant(nanoseconds: Swift.max(0, node.now.nanoseconds + Int64(random.draw(-10...10)) * 3_600_000_000_000))
            node.step(.tick, after: .zero)
            if let call = node.running.keys.min(), let replica = node.running[call] {
                let sample = UsageSample(at: node.now, cpuTime: .zero, memoryBytes: node.limits[replica]?.memoryBytes ?? 0)
                node.step(.sampled([ReplicaSample(replica: replica, usage: sample)]), after: .zero)
            }
            #expect(node.violation == nil && node.engine.harvester?.pool.audit() == [], "seed \(seed), round \(round)")
        }
        #expect(lent > 0, "nothing was ever lent")
        for _ in 0..<2000 where !node.running.isEmpty || !node.toStart.isEmpty || node.engine.view.queuedCalls > 0 {
            Self.startAll(&node)
            node.step(.tick, after: .milliseconds(50))
            if let call = node.running.keys.min() { node.step(.finished(call, .succeeded), after: .milliseconds(1)) }
        }
        #expect(node.violation == nil && node.engine.footprint.calls == 0, "seed \(seed): \(node.violation ?? "calls are left")")
        let pool = node.engine.harvester?.pool
        #expect(pool?.loans(.cpu).isEmpty == true && pool?.loans(.memory).isEmpty == true && pool?.footprint.shares == 0, "seed \(seed)")
        for kind in ResourceKind.allCases {
            let accounts = node.engine.harvester.map { $0.ledger.nodeAccount(kind, now: node.now + .seconds(1_000_000)) }
            #expect(accounts.map { $0.lent.units >= 0 && $0.idle.units >= 0 } == true, "seed \(seed): negative accounts \(kind)")
        }
    }

    private static func randomStep(
        _ node: inout Node, _ functions: [FunctionHandle], _ next: inout UInt64, _ random: inout SeededGenerator
    ) {
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<40:
            let function = functions[Int.random(in: 0..<functions.count, using: &random)]
            node.step(
                .arrive(CallID(next), function, timeout: nil, features: CallFeatures(inputBytes: Int.random(in: 0...1000, using: &random))),
                after: .microseconds(Int64.random(in: 1...5000, using: &random)))
            next += 1
        case 40..<70:
            guard let call = node.running.keys.sorted().randomElement(using: &random) else { return }
            let usage = CallUsage(
                cpuTime: .milliseconds(5), peakMillicores: Int.random(in: 10...1500, using: &random),
                peakMemoryBytes: Int.random(in: 8...600, using: &random) * mebibyte)
            let ends: [CallEnd] = [.succeeded, .succeeded, .failed]
            node.step(
                .finished(call, ends[Int.random(in: 0..<3, using: &random)], usage: usage),
                after: .microseconds(Int64.random(in: 1...50_000, using: &random)))
        case 70..<80:
            startAll(&node)
        case 80..<93:
            guard let replica = node.running.values.sorted().randomElement(using: &random), let limits = node.limits[replica] else {
                return
            }
            node.step(
                .sampled([
                    ReplicaSample(
                        replica: replica,
                        usage: UsageSample(
                            at: node.now, cpuTime: .nanoseconds(node.now.nanoseconds / 2),
                            memoryBytes: Int.random(in: 0...limits.memoryBytes, using: &random)))
                ]))
        case 93..<96:
            guard let replica = node.running.values.sorted().randomElement(using: &random) else { return }
            for call in (node.busy[replica] ?? []).sorted() { node.step(.finished(call, .failed)) }
            let cause: ReplicaExit.Cause = Bool.random(using: &random) ? .outOfMemory : .exited(code: 1)
            node.step(.exited(replica, ReplicaExit(cause, "gone")))
        default:
            let function = functions[Int.random(in: 0..<functions.count, using: &random)]
            node.step(.scale(function, replicas: Int.random(in: 0...3, using: &random)))
        }
    }
}
