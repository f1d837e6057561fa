// SPDX-License-Identifier: Apache-2.0

import BrumeEngine
import BrumeHarvest
package import BrumeModel
import Synchronization

/// What the node remembers: calls that ended and are running, log lines.
extension NodeService {
    package func calls(_ query: CallQuery) async throws -> [CallRecord] {
        try await store.flush()
        let running = unended(query)
        guard running.count < query.limit else { return running }
        var ended = books.withLock { $0.recent.matching(query, node: settings.name) + $0.harvest.unsettled(query) }
        let stored = try await store.calls(query)
        // Those in memory and those on disk took turns; both come newest first, and ids grow with time.
        if ended.isEmpty {
            ended = stored
        } else {
            // What was written in between is in both, and told as it was written.
            let known = Set(stored.map(\.id))
            ended.removeAll { known.contains($0.id) }
            ended += stored
            ended.sort { ($0.id, $0.attempt) > ($1.id, $1.attempt) }
        }
        return running + ended.prefix(query.limit - running.count)
    }

    /// Calls that have been accepted and not ended, newest first: they can be explained while they wait.
    private func unended(_ query: CallQuery) -> [CallRecord] {
        guard query.outcome == nil || query.outcome == .running else { return [] }
        return books.withLock { books in
            var records: [CallRecord] = []
            for (call, entry) in books.calls {
                guard query.function == nil || query.function == entry.function else { continue }
                guard query.label == nil || query.label == entry.label else { continue }
                if let since = query.since, entry.arrived < since { continue }
                var record = CallRecord(
                    id: call, label: entry.label, function: entry.function, node: settings.name, arrived: entry.arrived,
                    timing: timing(of: entry, books.replicas, at: clock.now), outcome: .running, status: 0, cold: entry.cold,
                    replica: entry.replica, asynchronous: entry.isAsynchronous, attempt: entry.attempt,
                    decisions: entry.notes.map(\.sentence))
                record.harvest = books.engine.harvester?.statement(of: call, now: clock.now).map { callHarvest($0, books) }
                records.append(record)
            }
            records.sort { $0.id > $1.id }
            return Array(records.prefix(query.limit))
        }
    }

    package func logs(_ query: LogQuery, follow: Bool) async throws -> AsyncThrowingStream<LogLine, any Error> {
        guard books.withLock({ $0.handles[query.function] }) != nil else {
            throw BrumeError(.notFound, "There is no function '\(query.function)'; see the names with: brume list")
        }
        // Listening begins before the kept lines are read, so that none falls between; what comes twice is told apart below.
        let live = follow ? logs.follow(query) : nil
        try await store.flush()
        let kept = try await store.logs(query)
        let lastRead = clock.now
        // A reader that stops reading loses the oldest of what came since; the kept lines fit twice.
        let (stream, continuation) = AsyncThrowingStream.makeStream(
            of: LogLine.self, bufferingPolicy: .bufferingNewest(Swift.max(20_000, kept.count * 2)))
        for line in kept { continuation.yield(line) }
        guard let live else {
            continuation.finish()
            return stream
        }
        // Not by time alone: lines of an earlier run may lie ahead of a clock that was corrected since.
        let relay = Task { [kept = Set(kept)] in
            for await line in live where line.time > lastRead || !kept.contains(line) { continuation.yield(line) }
            continuation.finish()
        }
        continuation.onTermination = { _ in relay.cancel() }
        return stream
    }
}
