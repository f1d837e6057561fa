// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Synchronization

/// Hands new log lines to those who follow a function's log.
final class LogHub: Sendable {
    /// Lines kept for a follower that reads slowly; beyond that it misses the oldest.
    private static let backlog = 10_000

    private struct Follower {
        let id: Int
        let query: LogQuery
        let continuation: AsyncStream<LogLine>.Continuation
    }

    private struct State {
        var followers: [Follower] = []
        var nextID = 0
    }

    private let state = Mutex(State())

    func publish(_ line: LogLine) {
        state.withLock { state in
            for follower in state.followers where follower.query.matches(line) { follower.continuation.yield(line) }
        }
    }

    /// Lines from now on, until the stream is dropped or the hub is closed.
    func follow(_ query: LogQuery) -> AsyncStream<LogLine> {
        let (stream, continuation) = AsyncStream.makeStream(of: LogLine.self, bufferingPolicy: .bufferingNewest(Self.backlog))
        let id = state.withLock { state in
            state.nextID += 1
            state.followers.append(Follower(id: state.nextID, query: query, continuation: continuation))
            return state.nextID
        }
        continuation.onTermination = { [weak self] _ in self?.state.withLock { $0.followers.removeAll { $0.id == id } } }
        return stream
    }

    /// Ends all followers, so that their connections close when the node stops.
    func close() {
        let followers = state.withLock { state in
            defer { state.followers.removeAll() }
            return state.followers
        }
        for follower in followers { follower.continuation.finish() }
    }
}

extension LogQuery {
    fileprivate func matches(_ line: LogLine) -> Bool {
        line.function == function && (instance == nil || instance == line.instance) && (since.map { line.time >= $0 } ?? true)
    }
}
