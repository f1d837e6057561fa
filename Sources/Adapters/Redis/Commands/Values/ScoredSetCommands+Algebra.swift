// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeState

extension ScoredSetCommands {
    static func zunion(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try combine(.union, "zunion", &turn, &replica)
    }

    static func zinter(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try combine(.intersection, "zinter", &turn, &replica)
    }

    static func zdiff(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try combine(.difference, "zdiff", &turn, &replica)
    }

    static func zunionstore(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try combine(.union, "zunionstore", isStored: true, &turn, &replica)
    }

    static func zinterstore(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try combine(.intersection, "zinterstore", isStored: true, &turn, &replica)
    }

    static func zdiffstore(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        try combine(.difference, "zdiffstore", isStored: true, &turn, &replica)
    }

    static func zintercard(_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) {
        var algebra = Algebra(operation: .intersection, command: "zintercard")
        algebra.isCount = true
        guard let entries = try algebra.run(&turn, replica, countAt: 1) else { return }
        turn.reply.integer(min(entries.count, algebra.limit))
    }

    private static func combine(
        _ operation: SetCommands.Operation, _ command: String, isStored: Bool = false, _ turn: inout Turn, _ replica: inout Replica
    ) throws(StateError) {
        var algebra = Algebra(operation: operation, command: command)
        algebra.isStored = isStored
        guard let entries = try algebra.run(&turn, replica, countAt: isStored ? 2 : 1) else { return }
        if isStored { return try store(entries, &turn, &replica) }
        write(entries, withScores: algebra.withScores, isNested: algebra.withScores && turn.reply.isThree, &turn)
    }

    /// Union, intersection and difference of sorted sets, and of sets whose members score 1.
    struct Algebra {
        enum Aggregate { case sum, least, greatest }

        let operation: SetCommands.Operation
        let command: String
        var isStored = false
        var isCount = false
        private(set) var withScores = false
        private(set) var limit = Int.max
        private var weights: [Double] = []
        private var aggregate = Aggregate.sum

        init(operation: SetCommands.Operation, command: String) {
            self.operation = operation
            self.command = command
        }

        /// The entries in order of score and member; nil where the question is wrong and that was written.
        mutating func run(
            _ turn: inout Turn, _ replica: borrowing Replica, countAt place: Int
        ) throws(StateError) -> [ScoredMember]? {
            guard let count = turn.integer(place) else {
                turn.reply.notAnInteger()
                return nil
            }
            guard count >= 1 else {
                turn.reply.error("ERR at least 1 input key is needed for '\(command)' command")
                return nil
            }
            guard count <= Int64(turn.count - place - 1) else {
                turn.reply.syntaxError()
                return nil
            }
            var sources: [[ScoredMember]] = []
            for index in (place + 1)...(place + Int(count)) {
                sources.append(try Self.source(try turn.key(index), turn, replica))
            }
            weights = Array(repeating: 1, count: Int(count))
            guard readOptions(&turn, from: place + 1 + Int(count)) else { return nil }
            return combine(sources).sorted { ($0.score, $0.member) < ($1.score, $1.member) }
        }

        private static func source(
            _ key: ObjectKey, _ turn: borrowing Turn, _ replica: borrowing Replica
        ) throws(StateError) -> [ScoredMember] {
            if replica.kind(of: key, turn.time) == .set {
                return try replica.setMembers(key, turn.time).map { ScoredMember(member: $0, score: 1) }
            }
            return try replica.scoreAll(key, turn.time)
        }

        private mutating func readOptions(_ turn: inout Turn, from start: Int) -> Bool {
            var index = start
            while index < turn.count {
                let allowsWeights = operation != .difference && !isCount
                if allowsWeights, turn.word(index, is: "WEIGHTS"), index + weights.count < turn.count {
                    for place in weights.indices {
                        guard let weight = turn.double(index + 1 + place) else {
                            turn.reply.error("ERR weight value is not a float")
                            return false
                        }
                        weights[place] = weight
                    }
                    index += weights.count + 1
                } else if allowsWeights, turn.word(index, is: "AGGREGATE"), index + 1 < turn.count,
                    let chosen = Self.aggregate(turn, index + 1)
                {
                    aggregate = chosen
                    index += 2
                } else if !isStored, !isCount, turn.word(index, is: "WITHSCORES") {
                    withScores = true
                    index += 1
                } else if isCount, turn.word(index, is: "LIMIT"), index + 1 < turn.count {
                    guard let given = turn.integer(index + 1), given >= 0 else {
                        turn.reply.error("ERR LIMIT can't be negative")
                        return false
                    }
                    limit = given == 0 ? .max : Int(given)
                    index += 2
                } else {
                    turn.reply.syntaxError()
                    return false
                }
            }
            return true
        }

        private static func aggregate(_ turn: borrowing Turn, _ index: Int) -> Aggregate? {
            if turn.word(index, is: "SUM") { return .sum }
            if turn.word(index, is: "MIN") { return .least }
            return turn.word(index, is: "MAX") ? .greatest : nil
        }

        private func combine(_ sources: [[ScoredMember]]) -> [ScoredMember] {
            if operation == .difference {
                let others = Set(sources.dropFirst().joined().map(\.member))
                return (sources.first ?? []).filter { !others.contains($0.member) }
            }
            var sums: [Bytes: (score: Double, count: Int)] = [:]
            for (index, source) in sources.enumerated() {
                for entry in source {
                    let product = weights[index] * entry.score
                    let score = product.isNaN ? 0 : product
                    if let known = sums[entry.member] {
                        sums[entry.member] = (joined(known.score, score), known.count + 1)
                    } else {
                        sums[entry.member] = (score, 1)
                    }
                }
            }
            let needed = operation == .intersection ? sources.count : 1
            return sums.compactMap { $0.value.count >= needed ? ScoredMember(member: $0.key, score: $0.value.score) : nil }
        }

        private func joined(_ left: Double, _ right: Double) -> Double {
            switch aggregate {
            case .sum:
                let sum = left + right
                // Infinity and its opposite are nothing together.
                return sum.isNaN ? 0 : sum
            case .least: return min(left, right)
            case .greatest: return max(left, right)
            }
        }
    }
}
