// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Glibc
import Synchronization

/// The limits of one running replica, changed while it runs: the kernel's files are kept open, so that a change costs microseconds.
///
/// Every write to a CPU quota gives the group a fresh budget, even of the same value: a limit that is rewritten from a loop does not hold.
/// So only changes are written, and the period never changes.
final class LimitFiles: Sendable {
    /// A throttled replica waits this long at most, and a quota below a core is still exact.
    static let periodMicroseconds = 20_000
    /// What the kernel's smallest quota amounts to.
    static let millicoresMin = CPUQuota.quotaMicrosecondsMin * 1000 / periodMicroseconds
    /// Memory that a limit leaves above what is in use: what a program can take between two looks of the kernel at its books.
    static let memoryMarginBytes = 4 << 20

    private struct State {
        var limits: Resources
        var cpu: CInt
        var memory: CInt
    }

    private let cores: Int
    private let isUnified: Bool
    private let group: ReplicaCgroup
    private let state: Mutex<State>

    /// Opens the files of a group that has its limits, and gives its CPU limit the period for changing it.
    ///
    /// - Throws: `BrumeError` where the group is gone or has no such files.
    init(_ group: ReplicaCgroup, _ limits: Resources) throws(BrumeError) {
        self.group = group
        cores = group.tree.cores
        guard let paths = group.limitPaths else { throw BrumeError(.unsupported, "Without control groups no limit can be changed.") }
        isUnified = paths.isUnified
        if let period = paths.period {
            // The quota of the old period would be out of proportion for a moment: none at all for that moment instead.
            try HostFiles.write("-1", to: paths.cpu)
            try HostFiles.write("\(Self.periodMicroseconds)", to: period)
        }
        let cpu = unsafe open(paths.cpu, O_WRONLY | O_CLOEXEC)
        let memory = unsafe open(paths.memory, O_WRONLY | O_CLOEXEC)
        state = Mutex(State(limits: limits, cpu: cpu, memory: memory))
        guard cpu >= 0, memory >= 0 else {
            let error = errno
            close()
            throw HostFiles.failure("open the limits of", paths.cpu, error)
        }
        let error = Self.write(Self.cpuText(limits.millicores, cores, isUnified), to: cpu)
        guard error == 0 else {
            close()
            throw HostFiles.failure("write", paths.cpu, error)
        }
    }

    deinit { close() }

    /// What is in force.
    var limits: Resources { state.withLock { $0.limits } }

    /// Changes one limit where it differs.
    ///
    /// Memory is never limited below what is in use and a margin: the kernel would refuse it (v1), or kill (v2).
    /// - Returns: what is in force now; the old limit where the kernel refused the new one or the group is gone.
    func set(_ kind: ResourceKind, to amount: Int) -> Int {
        state.withLock { state in
            if kind == .cpu {
                let millicores = max(amount, Self.millicoresMin)
                if millicores != state.limits.millicores, state.cpu >= 0,
                    Self.write(Self.cpuText(millicores, cores, isUnified), to: state.cpu) == 0
                {
                    state.limits.millicores = millicores
                }
                return state.limits.millicores
            }
            var bytes = amount
            if bytes < state.limits.memoryBytes {
                let floor = (group.memoryInUse ?? state.limits.memoryBytes) + Self.memoryMarginBytes
                bytes = min(state.limits.memoryBytes, max(bytes, floor))
            }
            if bytes != state.limits.memoryBytes, state.memory >= 0, Self.write("\(bytes)", to: state.memory) == 0 {
                state.limits.memoryBytes = bytes
            }
            return state.limits.memoryBytes
        }
    }

    func close() {
        state.withLock { state in
            for file in [state.cpu, state.memory] where file >= 0 { _ = Glibc.close(file) }
            (state.cpu, state.memory) = (-1, -1)
        }
    }

    private static func cpuText(_ millicores: Int, _ cores: Int, _ isUnified: Bool) -> String {
        // All that the machine has: no quota, because one of whole cores takes up to a seventh away.
        let quota = millicores >= cores * 1000 ? nil : max(CPUQuota.quotaMicrosecondsMin, periodMicroseconds * millicores / 1000)
        if isUnified { return (quota.map { "\($0)" } ?? "max") + " \(periodMicroseconds)" }
        return "\(quota ?? -1)"
    }

    /// - Returns: 0 or an errno.
    private static func write(_ text: String, to file: CInt) -> CInt {
        var text = text
        return text.withUTF8 { bytes in
            let written = unsafe pwrite(file, bytes.baseAddress, bytes.count, 0)
            return written == bytes.count ? 0 : errno
        }
    }
}
