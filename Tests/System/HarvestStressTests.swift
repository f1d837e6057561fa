// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Foundation
import NIOCore
import Testing

/// Functions whose memory jumps when nobody expects it, on real control groups.
@Suite("Memory that jumps", .serialized, .timeLimit(.minutes(10)))
struct HarvestStressTests {
    /// A handler that waits, then takes memory in one go, at the full speed of the machine.
    private static let handler = """
        import json, time
        def handle(req):
            args = json.loads(req)
            time.sleep(args['wait'] / 1000)
            if args['way'] == 0: held = b'x' * (args['mib'] << 20)
            else: held = open('/dev/zero', 'rb', buffering=0).read(args['mib'] << 20)
            time.sleep(args['stay'] / 1000)
            return str(len(held) >> 20)
        """

    private static let functions = 4
    private static let ownMiB = 256
    /// Calls of one function between two that jump: oftener, and the safeguard would leave the function alone.
    private static let spacing = 30
    /// Calls at once of one function.
    private static let width = 2

    struct Call: Sendable {
        let function: String
        let body: String
        let mib: Int
    }

    struct Outcome: Sendable {
        var answered = 0
        var outOfMemory = 0
        var other: [String] = []
        /// Limits of memory that were written below the allocation, and to it again while the call ran.
        var lent = 0
        var restored = 0
    }

    /// The calls of one function, in order. Most use next to nothing, so that nearly everything is lent.
    private static func plan(_ function: Int, count: Int, _ generator: inout SeededGenerator) -> [Call] {
        let first = 12 + generator.below(spacing)
        return (0..<count).map { index in
            let jumps = index >= first && (index - first) % spacing == 0
            let mib = jumps ? 60 + generator.below(140) : 1
            let (wait, stay) = (generator.below(jumps ? 20 : 4), jumps ? generator.below(20) : 0)
            return Call(
                function: "jump-\(function)", body: #"{"wait": \#(wait), "mib": \#(mib), "stay": \#(stay), "way": \#(generator.below(2))}"#,
                mib: mib)
        }
    }

    private static func run(_ options: [String], calls: Int, seed: UInt64) async throws -> Outcome {
        var generator = SeededGenerator(seed: seed)
        let plans = (0..<functions).map { plan($0, count: calls / functions, &generator) }
        let memory = "\(functions * width * ownMiB + 256)Mi"
        // The most of the latest five calls is what is expected: the worst profiler there is.
        let node = try await NodeUnderTest(
            options: [
                "--sharing", "harvest", "--sharing-without", "profiler", "--spares", "0", "--cpu", "8", "--memory", memory, "--log-level",
                "trace",
            ] + options)
        let file = node.dataDirectory + "/jump.py"
        try handler.write(toFile: file, atomically: true, encoding: .utf8)
        for function in 0..<functions {
            let deployed = try await node.brume([
                "deploy", "jump-\(function)", "--handler", file, "--memory", "\(ownMiB)Mi", "--cpu", "1", "--min", "\(width)", "--max",
                "\(width)",
            ])
            #expect(deployed.exitCode == 0, "\(deployed.complaint)")
        }
        var outcome = await withTaskGroup(of: Outcome.self) { group in
            for plan in plans {
                for lane in 0..<width {
                    let own = plan.enumerated().filter { $0.offset % width == lane }.map(\.element)
                    group.addTask { await perform(own, on: node) }
                }
            }
            return await group.reduce(into: Outcome()) { sum, part in
                sum.answered += part.answered
                sum.outOfMemory += part.outOfMemory
                sum.other += part.other
            }
        }
        for limit in HarvestTests.memoryLimits(node) {
            if limit < ownMiB << 20 { outcome.lent += 1 } else { outcome.restored += 1 }
        }
        await node.stop()
        return outcome
    }

    private static func perform(_ calls: [Call], on node: NodeUnderTest) async -> Outcome {
        var outcome = Outcome()
        for call in calls {
            guard let answer = try? await node.call(call.function, call.body) else {
                outcome.other.append("no answer")
                continue
            }
            if answer.status == 200, answer.text == "\(call.mib)" {
                outcome.answered += 1
            } else if answer.text.contains("memory limit") {
                outcome.outOfMemory += 1
            } else {
                outcome.other.append("\(answer.status) \(answer.text)")
            }
        }
        return outcome
    }

    /// `BRUME_STRESS_CALLS` asks for another number, and `BRUME_STRESS_SEED` for the same calls again.
    private static func setting<Number: FixedWidthInteger>(_ name: String, _ otherwise: Number) -> Number {
        ProcessInfo.processInfo.environment[name].flatMap { Number($0) } ?? otherwise
    }

    @Test("of thousands of calls whose memory jumps at a random moment, none is killed")
    func guarded() async throws {
        let calls = Self.setting("BRUME_STRESS_CALLS", 2400)
        let seed = Self.setting("BRUME_STRESS_SEED", UInt64.random(in: 0...UInt64.max))
        let outcome = try await Self.run([], calls: calls, seed: seed)
        let jumps = calls / Self.spacing - 2 * Self.functions
        print("stress: seed \(seed), \(calls) calls, lent \(outcome.lent), restored \(outcome.restored), killed \(outcome.outOfMemory)")
        #expect(outcome.outOfMemory == 0, "seed \(seed): \(outcome)")
        #expect(outcome.answered == calls / Self.functions * Self.functions, "seed \(seed): \(outcome.other.prefix(5))")
        // Otherwise nothing was at stake.
        #expect(outcome.lent > calls / 2 && outcome.restored >= jumps / 2, "seed \(seed): \(outcome)")
    }

    @Test("without the safeguard the same calls are killed")
    func unguarded() async throws {
        let seed = Self.setting("BRUME_STRESS_SEED", UInt64.random(in: 0...UInt64.max))
        let outcome = try await Self.run(["--sharing-without", "safeguard"], calls: 320, seed: seed)
        print("stress without a safeguard: seed \(seed), 320 calls, killed \(outcome.outOfMemory)")
        #expect(outcome.outOfMemory > 0, "seed \(seed): \(outcome)")
    }
}
