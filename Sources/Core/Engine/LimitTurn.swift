// SPDX-License-Identifier: Apache-2.0

public import BrumeModel

/// The limits of one step on their way to the kernel, and what becomes of them where it refuses to lower some.
///
/// What is lowered is written first. Where memory stays higher than it should, the engine is told, one refusal after the other, before
/// anything rises; what it answers takes the place of whatever has not been written yet. So limits never add up to more than they did
/// before or may in the end, however many are refused, answers to refusals included.
///
/// ```swift
/// var turn = LimitTurn(batch) { memoryLimits[$0] }
/// while let next = turn.next() {
///     switch next {
///     case .write(let limit): turn.wrote(limit, inForce: write(limit))
///     case .tell(let limit, let held, let batch): turn.answered(limits(of: step(.limitHeld(limit, at: held, batch: batch))))
///     }
/// }
/// ```
public struct LimitTurn: Sendable {
    /// What is to be done next.
    public enum Step: Hashable, Sendable {
        case write(ReplicaLimit)
        /// A ``Input/limitHeld(_:at:batch:)`` with what has not risen yet.
        case tell(ReplicaLimit, at: Int, batch: [ReplicaLimit])
    }

    private struct Refusal: Sendable {
        let limit: ReplicaLimit
        let held: Int
    }

    /// Refusals of one replica that are told in one turn. The books never ask for less than was held once, so that the second comes only
    /// where a replica goes on taking memory meanwhile; a third is left to the next look at it.
    private static let refusalsMax = 2

    /// What stands in the kernel's files, where it is known.
    private var standing: [ReplicaID: Int] = [:]
    private var lowered: [ReplicaLimit] = []
    private var raised: [ReplicaLimit] = []
    private var refusals: [Refusal] = []
    private var told: [ReplicaID: Int] = [:]

    /// - Parameter memory: the limit of memory that stands for a replica; nil where nobody knows.
    public init(_ batch: [ReplicaLimit], memory: (ReplicaID) -> Int?) {
        for limit in batch where limit.kind == .memory {
            if let bytes = memory(limit.replica) { standing[limit.replica] = bytes }
        }
        take(batch)
    }

    /// - Returns: nil when all is written.
    public mutating func next() -> Step? {
        if !lowered.isEmpty { return .write(lowered.removeFirst()) }
        if !refusals.isEmpty {
            let refusal = refusals.removeFirst()
            return .tell(refusal.limit, at: refusal.held, batch: raised)
        }
        return raised.isEmpty ? nil : .write(raised.removeFirst())
    }

    /// A limit was written.
    ///
    /// - Parameter amount: what stands now; nil if the replica is gone.
    public mutating func wrote(_ limit: ReplicaLimit, inForce amount: Int?) {
        guard limit.kind == .memory, let amount else { return }
        standing[limit.replica] = amount
        guard amount > limit.to, told[limit.replica, default: 0] < Self.refusalsMax else { return }
        told[limit.replica, default: 0] += 1
        refusals.append(Refusal(limit: limit, held: amount))
    }

    /// What the engine says to a refusal: it holds instead of what is not written yet.
    public mutating func answered(_ batch: [ReplicaLimit]) {
        for limit in batch {
            lowered.removeAll { $0.replica == limit.replica && $0.kind == limit.kind }
            if let index = raised.firstIndex(where: { $0.replica == limit.replica && $0.kind == limit.kind }) {
                // The books count from what they had planned, the kernel from what it has.
                let from = raised.remove(at: index).from
                take([ReplicaLimit(replica: limit.replica, call: limit.call, kind: limit.kind, from: from, to: limit.to)])
            } else {
                take([limit])
            }
        }
    }

    private mutating func take(_ batch: [ReplicaLimit]) {
        for var limit in batch {
            if limit.kind == .memory, let bytes = standing[limit.replica] {
                limit = ReplicaLimit(replica: limit.replica, call: limit.call, kind: .memory, from: bytes, to: limit.to)
            }
            if limit.to < limit.from { lowered.append(limit) } else { raised.append(limit) }
        }
    }
}
