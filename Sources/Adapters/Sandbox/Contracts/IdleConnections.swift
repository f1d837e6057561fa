// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// The free connections to one replica, by event loop: a call takes one of its own loop, which saves waking another thread twice.
struct IdleConnections {
    private struct Free {
        let connection: UpstreamConnection
        let since: NIODeadline
    }

    /// One list for each loop that ever had a connection: as many as there are cores.
    private var lists: [(loop: any EventLoop, free: [Free])] = []
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }
    var connections: [UpstreamConnection] { lists.flatMap { $0.free.map(\.connection) } }

    mutating func append(_ connection: UpstreamConnection, since: NIODeadline) {
        count += 1
        let free = Free(connection: connection, since: since)
        if let index = lists.firstIndex(where: { $0.loop === connection.eventLoop }) {
            lists[index].free.append(free)
        } else {
            lists.append((connection.eventLoop, [free]))
        }
    }

    /// The connection of the caller's own loop that was used last, or else one of the loop that has the most.
    mutating func take() -> UpstreamConnection? {
        guard count > 0 else { return nil }
        var chosen = 0
        for index in lists.indices where !lists[index].free.isEmpty {
            if lists[index].loop.inEventLoop {
                chosen = index
                break
            }
            if lists[index].free.count > lists[chosen].free.count { chosen = index }
        }
        count -= 1
        return lists[chosen].free.removeLast().connection
    }

    /// Takes out those that have been free since before `time`.
    mutating func takeStale(before time: NIODeadline) -> [UpstreamConnection] {
        var stale: [UpstreamConnection] = []
        for index in lists.indices {
            // Each list is in order of time, apart from what was free before and is used less.
            while let first = lists[index].free.first, first.since < time {
                stale.append(first.connection)
                lists[index].free.removeFirst()
            }
        }
        count -= stale.count
        return stale
    }

    /// - Returns: whether it was there.
    mutating func remove(_ connection: UpstreamConnection) -> Bool {
        for index in lists.indices {
            guard let place = lists[index].free.firstIndex(where: { $0.connection === connection }) else { continue }
            lists[index].free.remove(at: place)
            count -= 1
            return true
        }
        return false
    }

    mutating func removeAll() { (lists, count) = ([], 0) }
}
