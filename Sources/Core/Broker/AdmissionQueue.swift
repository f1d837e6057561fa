// SPDX-License-Identifier: Apache-2.0

public import BrumeModel
import DequeModule

/// Calls that wait for a replica, first come first served, bounded.
///
/// At the bound ``append(_:)`` refuses, and the caller is told to come back: a queue without a bound only hides overload.
public struct AdmissionQueue: Sendable {
    private var calls = Deque<CallID>()
    public let limit: Int

    public init(limit: Int) {
        precondition(limit > 0, "an admission queue needs a positive limit, got \(limit)")
        self.limit = limit
    }

    public var count: Int { calls.count }
    public var isEmpty: Bool { calls.isEmpty }
    public var isFull: Bool { calls.count >= limit }
    public var first: CallID? { calls.first }

    /// Adds at the end. - Returns: false at the limit.
    public mutating func append(_ call: CallID) -> Bool {
        guard !isFull else { return false }
        calls.append(call)
        return true
    }

    /// Puts a call back at the front that had its turn already and was not served by any fault of its own. Never refused: it was admitted.
    public mutating func putBack(_ call: CallID) { calls.prepend(call) }

    public mutating func popFirst() -> CallID? { calls.popFirst() }

    /// Takes a call out that no longer waits (expired, abandoned). Calls with equal time limits expire in order, so it is found near the
    /// front.
    @discardableResult
    public mutating func remove(_ call: CallID) -> Bool {
        guard let index = calls.firstIndex(of: call) else { return false }
        calls.remove(at: index)
        return true
    }

    /// Empties the queue in order.
    public mutating func removeAll() -> [CallID] {
        defer { calls.removeAll() }
        return Array(calls)
    }
}
