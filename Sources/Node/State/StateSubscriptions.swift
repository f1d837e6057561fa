// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeState
import Synchronization

/// Who wants to hear of changes.
final class StateSubscriptions: Sendable {
    private struct Subscriber: Sendable {
        let filter: @Sendable (StateChange) -> Bool
        let onChange: @Sendable ([StateChange]) -> Void
    }

    private struct Book: Sendable {
        /// In the order of their beginning.
        var list: [(number: UInt64, subscriber: Subscriber)] = []
        var nextNumber: UInt64 = 1
    }

    private let book = Mutex(Book())

    var count: Int { book.withLock { $0.list.count } }

    func add(
        _ filter: @escaping @Sendable (StateChange) -> Bool, _ onChange: @escaping @Sendable ([StateChange]) -> Void
    ) -> StateSubscription {
        book.withLock { book in
            defer { book.nextNumber += 1 }
            book.list.append((book.nextNumber, Subscriber(filter: filter, onChange: onChange)))
            return StateSubscription(number: book.nextNumber)
        }
    }

    /// Answers whether anybody is left.
    func remove(_ subscription: StateSubscription) -> Bool {
        book.withLock { book in
            book.list.removeAll { $0.number == subscription.number }
            return !book.list.isEmpty
        }
    }

    func publish(_ changes: [StateChange]) {
        // Outside the lock: a subscriber may end its subscription when it hears of a change.
        for (_, subscriber) in book.withLock({ $0.list }) {
            let wanted = changes.filter(subscriber.filter)
            if !wanted.isEmpty { subscriber.onChange(wanted) }
        }
    }
}
