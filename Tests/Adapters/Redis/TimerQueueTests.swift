// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Testing

@testable import BrumeRedis

@Suite("Timers of the loop")
struct TimerQueueTests {
    private static func at(_ number: Int) -> Instant { Instant(nanoseconds: Int64(number)) }

    @Test("fire in order, those of one moment as they were added, and none before its time")
    func order() {
        var queue = TimerQueue<String>()
        for (time, name) in [(5, "e"), (1, "a"), (3, "c"), (1, "b"), (3, "d")] { _ = queue.add(at: Self.at(time), name) }
        #expect(queue.next == Self.at(1))
        #expect(queue.popDue(Self.at(0)) == nil)
        var fired: [String] = []
        while let name = queue.popDue(Self.at(3)) { fired.append(name) }
        #expect(fired == ["a", "b", "c", "d"])
        #expect(queue.popDue(Self.at(5)) == "e")
        #expect(queue.next == nil && queue.isEmpty)
    }

    @Test("that were cancelled do not fire, and take no memory for long", arguments: UInt64(1)...5)
    func cancelling(_ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var queue = TimerQueue<Int>()
        var expected: [Int: TimerNumber] = [:]
        for number in 0..<10_000 {
            expected[number] = queue.add(at: Self.at(generator.below(1_000)), number)
            // All but some fifty are cancelled sooner or later.
            while expected.count > 50, let victim = expected.keys.min(by: { $0 % 97 < $1 % 97 }), let timer = expected[victim] {
                queue.cancel(timer)
                // Twice is as good as once.
                queue.cancel(timer)
                expected[victim] = nil
            }
            #expect(queue.entryCount <= 200)
        }
        var fired: Set<Int> = []
        while let number = queue.popDue(Self.at(1_000)) { fired.insert(number) }
        #expect(fired == Set(expected.keys), "seed \(seed)")
    }
}
