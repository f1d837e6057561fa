// SPDX-License-Identifier: Apache-2.0

/// What faces (Redis, HTTP) get of a node's state: the replica under its lock, and ways to wait without holding it.
public protocol StateAccess: Sendable {
    /// Runs a body under the replica's lock; one run of pipelined commands is one call. The body must not wait.
    func withReplica<Result, Failure: Error>(
        _ body: (inout Replica, StateTime) throws(Failure) -> Result
    ) throws(Failure) -> Result

    /// The same for a body that answers nothing: for what is called so often that generics across modules would be felt.
    func holdReplica(_ body: (inout Replica, StateTime) -> Void)

    /// Calls back once the writes up to the mark have come so far, or with an error once they cannot in time.
    ///
    /// Calls back before it returns where there is nothing to wait for; never while the lock is held.
    func whenSettled(
        _ mark: WriteMark, _ level: Settlement, within limit: Duration, _ done: @escaping @Sendable (StateError?) -> Void)

    /// Calls back once what an operation needs is there, or with an error once it cannot come in time.
    func whenReady(_ need: StateNeed, within limit: Duration, _ done: @escaping @Sendable (StateError?) -> Void)

    /// Calls `onChange` for changes from now on, in order, never under the lock, until ``unsubscribe(_:)``.
    ///
    /// - Parameter filter: chooses the changes; must be fast.
    func subscribe(
        _ filter: @escaping @Sendable (StateChange) -> Bool, _ onChange: @escaping @Sendable ([StateChange]) -> Void
    ) -> StateSubscription

    func unsubscribe(_ subscription: StateSubscription)
}

extension StateAccess {
    public func holdReplica(_ body: (inout Replica, StateTime) -> Void) {
        withReplica { replica, time in body(&replica, time) }
    }
}

/// A subscription to changes.
public struct StateSubscription: Hashable, Sendable {
    public let number: UInt64

    public init(number: UInt64) { self.number = number }
}
