// SPDX-License-Identifier: Apache-2.0

import BrumeEngine
import BrumeModel
import Logging
import NIOCore

/// Performing what the engine decides about lending: limits are written, use is measured and told.
///
/// Unlike other work this is done under the lock: limits must be written in the order of their decisions, and a write takes microseconds.
extension NodeService {
    // MARK: Use

    func beginUse(of replica: ReplicaID, _ books: inout Books) {
        guard isHarvesting else { return }
        books.replicas[replica]?.running += 1
        if books.replicas[replica]?.running == 1 { driver.beginUse(of: replica) }
    }

    /// - Returns: what the replica used, if this was the last of its calls.
    func endUse(of replica: ReplicaID, _ books: inout Books) -> CallUsage? {
        guard isHarvesting, let running = books.replicas[replica]?.running else { return nil }
        books.replicas[replica]?.running = Swift.max(0, running - 1)
        guard running <= 1 else { return nil }
        defer { restoreOwnMemory(of: replica, &books) }
        return driver.endUse(of: replica)
    }

    /// Whoever has no calls lends nothing: it may use its own again (``SandboxDriver/endUse(of:)``).
    private func restoreOwnMemory(of replica: ReplicaID, _ books: inout Books) {
        guard let entry = books.replicas[replica] else { return }
        books.replicas[replica]?.memoryLimit = Swift.max(entry.memoryLimit, entry.ownMemory)
    }

    // MARK: Limits

    /// Writes limits, what shrinks before what grows. Where the kernel refuses to lower some, the engine is told before anything grows, and
    /// what it then says takes the place of what was not written yet.
    func write(_ batch: [ReplicaLimit], _ books: inout Books, _ actions: inout NodeActions) {
        var report = WriteReport(logger)
        defer { report.tell() }
        var turn = LimitTurn(batch) { books.replicas[$0]?.memoryLimit }
        // What else follows from refusals waits for the limits.
        var others: [Output] = []
        let now = clock.now
        while let next = turn.next() {
            switch next {
            case .write(let limit): turn.wrote(limit, inForce: writeLimit(limit, &books, &report))
            case .tell(let limit, let held, let batch):
                var outputs: [Output] = []
                books.engine.step(.limitHeld(limit, at: held, batch: batch), now: now, into: &outputs)
                for output in outputs {
                    if case .limit(let answer) = output { turn.answered(answer) } else { others.append(output) }
                }
            }
        }
        for output in others {
            metrics.count(output)
            translate(output, at: now, &books, &actions)
        }
    }

    /// - Returns: what is in force, or nil if the replica is gone.
    private func writeLimit(_ limit: ReplicaLimit, _ books: inout Books, _ report: inout WriteReport) -> Int? {
        let held = driver.setLimit(limit.kind, to: limit.to, of: limit.replica)
        report.wrote(limit, held ?? limit.to)
        guard let held else { return nil }
        if limit.kind == .memory { books.replicas[limit.replica]?.memoryLimit = held }
        books.harvest.limitWrites += 1
        harvestMetrics?.countLimit(limit.kind)
        return held
    }

    // MARK: What is known of a call

    /// The size of its input, and the numbers in its JSON body that the function's spec names.
    func features(of request: CallRequest<ByteBuffer>, _ names: [String]) -> CallFeatures {
        guard case .whole(let body) = request.body else {
            let told = request.headers.first { $0.name.lowercased() == "content-length" }.flatMap { Int($0.value) }
            return CallFeatures(inputBytes: told ?? 0)
        }
        return CallFeatures(inputBytes: body.readableBytes, parameters: names.isEmpty ? [] : TopLevelNumbers.read(names, in: body))
    }
}

/// What was written and when, for those who measure how fast limits follow decisions: in the log at its finest level, else nowhere.
private struct WriteReport {
    private let logger: Logger
    private let isWanted: Bool
    private let decided: NIODeadline
    private var lines: [(limit: ReplicaLimit, inForce: Int, at: NIODeadline)] = []

    init(_ logger: Logger) {
        self.logger = logger
        isWanted = logger.logLevel <= .trace
        decided = isWanted ? .now() : .uptimeNanoseconds(0)
    }

    mutating func wrote(_ limit: ReplicaLimit, _ inForce: Int) {
        if isWanted { lines.append((limit, inForce, .now())) }
    }

    /// Only after the whole batch: writing to a log takes longer than writing a limit.
    func tell() {
        for line in lines {
            logger.trace(
                "limit written",
                metadata: [
                    "replica": "\(line.limit.replica)", "kind": "\(line.limit.kind.rawValue)", "to": "\(line.inForce)",
                    "uptime-ns": "\(line.at.uptimeNanoseconds)", "took-ns": "\((line.at - decided).nanoseconds)",
                ])
        }
    }
}

extension ReplicaSample {
    init(_ use: ReplicaUse, at time: Instant) {
        self.init(
            replica: use.replica,
            usage: UsageSample(at: time, cpuTime: use.cpuTime, throttledPeriods: use.throttledPeriods, memoryBytes: use.memoryBytes))
    }
}
