// SPDX-License-Identifier: Apache-2.0

import BrumeModel
public import BrumeSimulator

/// The machines and the calls of the paper's testbeds.
public enum TestbedPlans {
    /// Container starts of the paper's platform (figure 15).
    static let containerStart = Duration.milliseconds(900)...Duration.milliseconds(3200)
    /// Starts at once: the paper names no bound, and docker has none.
    static let containerStartsMax = 1000
    private static let gigabyte = 1_000_000_000

    /// How functions' calls relate to what is known of them.
    public enum Mix: String, Sendable, CaseIterable {
        case related = "size-related"
        case hybrid
        case unrelated

        func relation(_ function: Int) -> TestbedFunction.Relation {
            switch self {
            case .related: .related
            // Every second one.
            case .hybrid: function.isMultiple(of: 2) ? .related : .unrelated
            case .unrelated: .unrelated
            }
        }
    }

    /// One worker with 72 cores and 72 GB, 165 calls.
    public static func single(
        seed: UInt64, calls: Int = 165, allocations: UserAllocations = .mixed, mix: Mix = .related, span: Duration = .seconds(60)
    ) -> ReplayPlan {
        var chance = SeededGenerator(seed: seed)
        var order = (0..<calls).map { $0 % TestbedFunction.all.count }
        order.shuffle(using: &chance)
        let offsets = order.map { _ in chance.below(Int(span.wholeNanoseconds)) }.sorted()
        let drawn = zip(offsets, order).map { offset, index -> VirtualCall in
            let function = TestbedFunction.all[index]
            let multiple = Double(chance.draw(function.multiples))
            let other = Double(chance.draw(function.multiples))
            let told = mix.relation(index) == .related ? multiple : other
            return VirtualCall(offset: .nanoseconds(Int64(offset)), function: index, work: function.work(multiple, told: told, &chance))
        }
        var plan = ReplayPlan(
            functions: allocations.functions, calls: drawn, capacity: Resources(millicores: 72_000, memoryBytes: 72 * gigabyte))
        likeThePaper(&plan)
        plan.experience = Experience.piloted(seed: seed) { mix.relation($0) }
        return plan
    }

    /// Four workers with 32 cores and 32 GB; each function so often in one minute, at the moments of the repository's rule.
    ///
    /// Sizes are drawn: with the repository's fixed ones the baseline's P99 at 120 calls a minute would be
    /// 31 s instead of the paper's 76 s.
    public static func multi(callsPerFunction count: Int, seed: UInt64) -> ReplayPlan {
        var chance = SeededGenerator(seed: seed)
        var calls: [VirtualCall] = []
        for turn in 0..<count {
            for (index, function) in TestbedFunction.all.enumerated() {
                calls.append(
                    VirtualCall(
                        offset: .seconds(60 / count * turn), function: index,
                        work: function.work(Double(chance.draw(function.multiples)), &chance)))
            }
        }
        var plan = ReplayPlan(
            functions: UserAllocations.mixed.functions, calls: calls, capacity: Resources(millicores: 32_000, memoryBytes: 32 * gigabyte))
        likeThePaper(&plan)
        plan.nodes = 4
        plan.schedulers = 1
        plan.experience = Experience.piloted(seed: seed)
        return plan
    }

    /// Workers with 24 cores and 24 GB, and calls that all come at once.
    public static func scaling(nodes: Int, schedulers: Int, calls count: Int, seed: UInt64) -> ReplayPlan {
        var chance = SeededGenerator(seed: seed)
        let calls = (0..<count).map { number -> VirtualCall in
            let function = TestbedFunction.all[number % TestbedFunction.all.count]
            return VirtualCall(
                offset: .zero, function: number % TestbedFunction.all.count,
                work: function.work(Double(chance.draw(function.multiples)), &chance))
        }
        var plan = ReplayPlan(
            functions: UserAllocations.mixed.functions, calls: calls, capacity: Resources(millicores: 24_000, memoryBytes: 24 * gigabyte))
        likeThePaper(&plan)
        plan.nodes = nodes
        plan.schedulers = schedulers
        plan.experience = Experience.piloted(seed: seed)
        return plan
    }

    private static func likeThePaper(_ plan: inout ReplayPlan) {
        plan.start = containerStart
        plan.keepAlive = .zero
        plan.concurrentStarts = containerStartsMax
    }
}
