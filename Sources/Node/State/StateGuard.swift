// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeState
import NIOCore
import Synchronization

/// The replica and what its shell notes about it, behind one lock.
///
/// `@unchecked Sendable`: both variables are touched under `lock` alone.
final class StateGuard: @unchecked Sendable {
    private let lock = Mutex(())
    private var replica: Replica
    private var shell = StateShell()

    init(_ replica: consuming Replica) { self.replica = replica }

    /// Runs `body` under the lock. It must neither wait nor call back.
    @inline(__always)
    func locked<Value, Failure: Error>(_ body: (inout Replica, inout StateShell) throws(Failure) -> Value) throws(Failure) -> Value {
        // Not handed through `withLock`, which would ask that the result be sent away from everything else.
        var result: Result<Value, Failure>?
        lock.withLock { _ in
            do throws(Failure) {
                result = .success(try body(&replica, &shell))
            } catch {
                result = .failure(error)
            }
        }
        guard let result else { preconditionFailure("the lock ran its body") }
        return try result.get()
    }
}

extension StateGuard {
    /// The same for a body that neither answers nor fails.
    @inline(__always)
    func held(_ body: (inout Replica, inout StateShell) -> Void) {
        lock.withLock { _ in body(&replica, &shell) }
    }
}

/// What the shell notes about a replica between two turns.
struct StateShell {
    /// The turn that is on its way.
    var coming = Coming.none
    /// Whether the next turn flushes whatever the time.
    var isUrgent = false
    var lastFlush = Instant.zero
    /// Runs of operations since then, and the time that is to pass until the next one.
    var runs = 0
    var spacing = Duration.zero
    /// Where the last record that was appended lies in the log.
    var lastPosition: UInt64 = 0
    /// Since when outputs wait that may wait for company.
    var outputsSince: Instant?
    /// The turn that looks after timers, and when.
    var timer: (at: Instant, scheduled: Scheduled<Void>)?
    /// Who waits for what, by ticket.
    var waiters: [UInt64: StateWaiter] = [:]
    /// Records up to here are on disk; the replica was told up to there.
    var logged = LoggedNumbers()
    /// Why the log cannot be written at the moment.
    var trouble: StateError?
    /// Whether the end has begun: nothing is put on its way any more.
    var isStopped = false
    var isEnding = false
    var figures = StateShellFigures()
}

/// When the next turn comes that was asked for; timers aside.
enum Coming: Equatable {
    case none
    /// When it is time for a flush, or for what may wait so long.
    case later(Instant)
    case now

    var isNow: Bool { if case .now = self { true } else { false } }

    func isLater(than moment: Instant) -> Bool { if case .later(let at) = self { at > moment } else { false } }

    /// Whether no turn comes by then.
    @inline(__always)
    func isAfter(_ moment: Instant) -> Bool {
        switch self {
        case .none: true
        case .later(let at): moment < at
        case .now: false
        }
    }
}

/// Somebody who waits for a write to settle or for an operation's needs.
struct StateWaiter {
    /// Whether only the log can end the wait.
    var isForLog: Bool
    var began: Instant
    var done: @Sendable (StateError?) -> Void
}

/// Which records of the replica are on disk: all up to a number, and some beyond it that came early.
struct LoggedNumbers {
    /// The last record that was handed to the log.
    var appended: UInt64 = 0
    /// All up to here are on disk.
    private(set) var through: UInt64 = 0
    /// What the replica was told.
    var told: UInt64 = 0
    private var early: Set<UInt64> = []

    mutating func insert(_ number: UInt64) {
        guard number > through else { return }
        early.insert(number)
        while early.remove(through + 1) != nil { through += 1 }
    }

    /// A snapshot holds all up to here.
    mutating func cover(through number: UInt64) {
        guard number > through else { return }
        through = number
        early = early.filter { $0 > number }
        while early.remove(through + 1) != nil { through += 1 }
    }
}

/// What the shell counts.
struct StateShellFigures {
    var turns = 0
    var flushes = 0
    var framesSent = 0
    var bytesSent = 0
    var framesRefused = 0
    var framesReceived = 0
    var bytesReceived = 0
    var recordsAppended = 0
    var recordBytes = 0
    var snapshots = 0
    /// Parts that the last snapshot wrote.
    var snapshotParts = 0
    var settleNanoseconds: Int64 = 0
    var settled = 0
}
