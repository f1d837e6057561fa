// SPDX-License-Identifier: Apache-2.0

public import BrumeModel

/// Who lends: a running call, or the node what no call has reserved.
public enum Lender: Hashable, Sendable, Comparable {
    case node
    case call(CallID)

    public static func < (left: Lender, right: Lender) -> Bool {
        switch (left, right) {
        case (.node, .call): true
        case (.call(let left), .call(let right)): left < right
        case (_, .node): false
        }
    }
}

extension Lender: CustomStringConvertible {
    public var description: String {
        switch self {
        case .node: "node"
        case .call(let call): "\(call)"
        }
    }
}

/// Why a loan ended.
public enum ReturnCause: String, Hashable, Sendable, CaseIterable {
    case borrowerEnded = "the borrower ended"
    case borrowerNeedsLess = "the borrower needs less"
    case lenderEnded = "the lender ended"
    case safeguard = "the lender came near its limit"
    case reestimated = "the lender needs more than was expected"
    case reserved = "an arriving call reserved it"
    case preempted = "a call below its own allocation needed it"
    case shrinkRefused = "the limit could not be lowered"
}

/// One movement in the books: what ledgers, explanations and tests are made of.
public enum PoolMovement: Hashable, Sendable {
    case entered(CallID, FunctionHandle)
    case left(CallID)
    /// The lender does without the amount from now on; it lies idle in the pool.
    case offered(Lender, ResourceKind, Int)
    /// The lender has an idle amount back.
    case withdrawn(Lender, ResourceKind, Int)
    /// An idle amount of the lender went to the borrower.
    case lent(Lender, CallID, ResourceKind, Int, until: Instant)
    /// A loan, or a part of one, lies idle in the pool again.
    case returned(Lender, CallID, ResourceKind, Int, until: Instant, ReturnCause)
    /// The safeguard gave the call its own allocation back.
    case safeguarded(CallID, ResourceKind)
}

/// What an operation on the pool leads to.
public struct HarvestEffects: Hashable, Sendable {
    /// To perform in this order: whatever shrinks comes before whatever grows, so that the limits never add up to more than there is.
    public var changes: [LimitChange] = []
    /// In the order in which they happened.
    public var movements: [PoolMovement] = []

    public init() {}

    public mutating func removeAll() {
        changes.removeAll(keepingCapacity: true)
        movements.removeAll(keepingCapacity: true)
    }
}
