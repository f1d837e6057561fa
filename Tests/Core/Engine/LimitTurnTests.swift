// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Testing

@testable import BrumeEngine

/// In which order limits are written, and what is asked when.
@Suite("Limits on their way to the kernel")
struct LimitTurnTests {
    private static func limit(_ replica: UInt64, _ from: Int, _ to: Int, _ kind: ResourceKind = .memory) -> ReplicaLimit {
        ReplicaLimit(replica: ReplicaID(replica), call: CallID(replica), kind: kind, from: from, to: to)
    }

    /// Writes all that comes; refuses to go below `floors`, and answers refusals with what `answer` says.
    private static func run(
        _ batch: [ReplicaLimit], standing: [UInt64: Int], floors: [UInt64: Int] = [:],
        answer: (ReplicaLimit, Int, [ReplicaLimit]) -> [ReplicaLimit] = { _, _, _ in [] }
    ) -> (events: [String], standing: [UInt64: Int], most: Int) {
        var standing = standing
        var events: [String] = []
        var most = 0
        var turn = LimitTurn(batch) { standing[$0.number] }
        while let next = turn.next() {
            guard events.count < 100 else { break }
            switch next {
            case .write(let limit):
                let held = limit.kind == .memory ? max(limit.to, min(floors[limit.replica.number] ?? 0, limit.from)) : limit.to
                if limit.kind == .memory { standing[limit.replica.number] = held }
                most = max(most, standing.values.reduce(0, +))
                events.append("\(limit.replica.number):\(limit.from)>\(held)")
                turn.wrote(limit, inForce: held)
            case .tell(let limit, let held, let batch):
                events.append("tell \(limit.replica.number) at \(held), \(batch.map { "\($0.replica.number):\($0.from)>\($0.to)" })")
                turn.answered(answer(limit, held, batch))
            }
        }
        return (events, standing, most)
    }

    @Test("without refusals what is lowered is written first, then what rises, each once")
    func plain() {
        let run = Self.run([Self.limit(1, 10, 30), Self.limit(2, 30, 10), Self.limit(3, 30, 20)], standing: [1: 10, 2: 30, 3: 30])
        #expect(run.events == ["2:30>10", "3:30>20", "1:10>30"])
    }

    @Test("of two refusals the second is told before anything rises, with what the answer to the first has left of it")
    func twoRefusals() {
        let run = Self.run(
            [Self.limit(1, 50, 20), Self.limit(2, 50, 20), Self.limit(3, 10, 70)], standing: [1: 50, 2: 50, 3: 10],
            floors: [1: 40, 2: 30]
        ) { limit, held, batch in
            // The books give what is held to its holder, and the rest to the third.
            let planned: Int = batch.first(where: { $0.replica.number == 3 })?.to ?? 0
            return [Self.limit(limit.replica.number, limit.to, held), Self.limit(3, planned, planned - (held - limit.to))]
        }
        #expect(
            run.events == [
                "1:50>40", "2:50>30", "tell 1 at 40, [\"3:10>70\"]", "tell 2 at 30, [\"1:40>40\", \"3:10>50\"]", "1:40>40", "2:30>30",
                "3:10>40",
            ])
        #expect(run.standing == [1: 40, 2: 30, 3: 40])
        #expect(run.most == 110)
    }

    @Test("where an answer lowers what has not risen, it is never raised; where that is refused too, it is told too")
    func loweredInstead() {
        let run = Self.run(
            [Self.limit(1, 50, 20), Self.limit(2, 40, 70)], standing: [1: 50, 2: 40], floors: [1: 50, 2: 35]
        ) { limit, held, _ in
            limit.replica.number == 1 ? [Self.limit(1, 20, 50), Self.limit(2, 70, 30)] : [Self.limit(2, 30, 35)]
        }
        #expect(run.events.starts(with: ["1:50>50", "tell 1 at 50, [\"2:40>70\"]", "2:40>35", "tell 2 at 35, [\"1:50>50\"]"]), "\(run)")
        #expect(run.most == 90 && run.standing == [1: 50, 2: 35])
    }

    @Test("a limit of a call that begins counts from what stands for its replica, not from nothing")
    func beginning() {
        let run = Self.run([Self.limit(1, 50, 30), Self.limit(2, 0, 20)], standing: [1: 50, 2: 60], floors: [1: 50])
        #expect(run.events.starts(with: ["1:50>50", "2:60>20"]), "it is lowered, before anybody is asked: \(run.events)")
    }

    @Test("a kernel that gives other answers each time is asked so often and no more")
    func endless() {
        var height = 1000
        var turn = LimitTurn([Self.limit(1, 1000, 0)]) { _ in height }
        var asked = 0
        while let next = turn.next() {
            switch next {
            case .write(let limit):
                height -= 1
                turn.wrote(limit, inForce: height)
            case .tell:
                asked += 1
                turn.answered([Self.limit(1, 0, 0)])
            }
        }
        #expect(asked == 2 && height == 997)
    }

    @Test("a replica that is gone is refused nothing")
    func gone() {
        var turn = LimitTurn([Self.limit(1, 50, 20)]) { _ in nil }
        #expect(turn.next() == .write(Self.limit(1, 50, 20)))
        turn.wrote(Self.limit(1, 50, 20), inForce: nil)
        #expect(turn.next() == nil)
    }
}
