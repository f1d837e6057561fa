// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// Tells from what is known at the end of a replica how it ended.
struct ReplicaEnding: Sendable {
    /// As `waitpid` reports it.
    var status: Int32
    var outOfMemoryKills: Int
    var stopRequested: Bool
    /// Whether it had taken its first call, or could have.
    var wasReady: Bool
    /// What went wrong on the way to being ready, where the process is not to blame.
    var startError: String?
    /// The last lines of standard error.
    var errors: [String]
    var limits: Resources

    var exit: ReplicaExit {
        if stopRequested { return ReplicaExit(.stopped, "The replica was stopped.") }
        let memory = "it needed more than its memory limit of \(Resources.describe(bytes: limits.memoryBytes)); raise --memory"
        if !wasReady {
            let reason = outOfMemoryKills > 0 ? memory : startError ?? "it \(words) before it was ready"
            let said = errors.isEmpty ? "" : " Its last words: \(errors.joined(separator: " | "))"
            let end = reason.hasSuffix(".") ? "" : "."
            return ReplicaExit(.startFailed, "The function did not start: \(reason)\(end)\(said)")
        }
        if outOfMemoryKills > 0 && status != 0 { return ReplicaExit(.outOfMemory, "The function ran out of memory: \(memory).") }
        if let signal { return ReplicaExit(.signalled(number: signal), "The function's process was ended by signal \(signal).") }
        return ReplicaExit(.exited(code: code), "The function's process ended by itself with exit code \(code).")
    }

    /// What a call that was running is told.
    static func failure(for exit: ReplicaExit) -> CallFailure {
        let kind: CallFailure.Kind =
            switch exit.cause {
            case .stopped: .stopped
            case .exited: .exited
            case .signalled: .crashed
            case .outOfMemory: .outOfMemory
            case .startFailed: .startFailed
            }
        return CallFailure(kind, exit.message)
    }

    private var words: String { signal.map { "was ended by signal \($0)" } ?? "ended with exit code \(code)" }

    private var code: Int { Int(status >> 8) & 0xff }

    /// The signal: the process's own, or the one that bubblewrap, like a shell, reports as 128 more.
    private var signal: Int? {
        let own = Int(status & 0x7f)
        if own != 0 { return own }
        return (129...192).contains(code) ? code - 128 : nil
    }
}
