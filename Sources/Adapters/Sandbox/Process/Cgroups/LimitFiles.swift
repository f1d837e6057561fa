// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Glibc
import Synchronization

/// The limits of one running replica, changed while it runs: the kernel's files are kept open, so that a change costs microseconds.
///
/// Every write to a CPU quota gives the group a fresh budget, even of the same value: a limit that is rewritten from a loop does not hold.
/// So only changes are written, and the period never changes.
///
/// A lender that works in bursts would be slowed by what it needs on average. So what it leaves of a lowered quota is saved up, as much as
/// one more quota, and never so much that it had more than its own allocation within one period.
///
/// Memory below the allocation is a limit that the kernel does not know. Programs outrun every watcher, and at the kernel's limit they are
/// killed; where v1 lets them be paused instead, that holds for their own page faults only, and system calls fail. So the kernel keeps the
/// allocation, and whoever goes beyond what is left to it is paused by ``holdBack(using:)``.
final class LimitFiles: Sendable {
    /// A throttled replica waits this long at most, and a quota below a core is still exact.
    static let periodMicroseconds = 20_000
    /// What the kernel's smallest quota amounts to.
    static let millicoresMin = CPUQuota.quotaMicrosecondsMin * 1000 / periodMicroseconds
    /// Memory that a limit leaves above what is in use: what a program can take between two looks of the kernel at its books.
    static let memoryMarginBytes = 4 << 20

    private struct State {
        /// In force; memory below the allocation by pausing.
        var limits: Resources
        /// What the kernel's own file says.
        var kernelMemory: Int
        var isPaused = false
        /// What may be saved up, in microseconds.
        var burst = 0
        var cpu: CInt
        var burstFile: CInt
        var memory: CInt
        var freeze: CInt
    }

    /// What the replica has by right.
    let allocation: Resources
    private let cores: Int
    private let isUnified: Bool
    private let group: ReplicaCgroup
    private let hold: MemoryHold
    private let hasQuota: Bool
    private let state: Mutex<State>

    /// Opens the files of a group that has its limits, and gives its CPU limit the period for changing it.
    ///
    /// - Parameters:
    ///   - limits: what it has by right.
    ///   - hold: what becomes of it beyond a lower limit of memory.
    ///   - control: without quotas a limit of CPU is what the books say, and weights alone share the CPU.
    /// - Throws: `BrumeError` where the group is gone or has no such files; its limits are then as they were.
    init(
        _ group: ReplicaCgroup, _ limits: Resources, _ hold: MemoryHold = .pause, _ control: CPUControl = .quota
    ) throws(BrumeError) {
        self.group = group
        self.hold = hold
        hasQuota = control.hasQuota
        allocation = limits
        cores = group.tree.cores
        guard let paths = group.limitPaths else { throw BrumeError(.unsupported, "Without control groups no limit can be changed.") }
        isUnified = paths.isUnified
        let cpu = unsafe open(paths.cpu, O_WRONLY | O_CLOEXEC)
        let burst = unsafe open(paths.burst, O_WRONLY | O_CLOEXEC)
        let memory = unsafe open(paths.memory, O_WRONLY | O_CLOEXEC)
        let freeze = hold == .pause ? (paths.freeze.map { unsafe open($0, O_WRONLY | O_CLOEXEC) } ?? -1) : -1
        state = Mutex(State(limits: limits, kernelMemory: limits.memoryBytes, cpu: cpu, burstFile: burst, memory: memory, freeze: freeze))
        guard cpu >= 0, memory >= 0 else {
            let error = errno
            close()
            throw HostFiles.failure("open the limits of", paths.cpu, error)
        }
        guard hasQuota else { return }
        let before = paths.period.flatMap { HostFiles.number($0) }
        var error: CInt = 0
        if let period = paths.period {
            // The quota of the old period would be out of proportion for a moment: none at all for that moment instead.
            error = Self.write("-1", to: cpu)
            if error == 0 { error = HostFiles.tryWrite("\(Self.periodMicroseconds)", to: period) }
        }
        if error == 0 { error = Self.write(Self.cpuText(limits.millicores, cores, isUnified), to: cpu) }
        guard error == 0 else {
            if let period = paths.period, let before { Self.restore(limits, cores, period: (period, before), to: cpu) }
            close()
            throw HostFiles.failure("write", paths.cpu, error)
        }
    }

    deinit { close() }

    /// What is in force.
    var limits: Resources { state.withLock { $0.limits } }

    /// Whether it is paused for want of memory.
    var isPaused: Bool { state.withLock { $0.isPaused } }

    /// Changes one limit where it differs.
    ///
    /// Memory is never limited below what is in use and a margin.
    /// - Returns: what is in force now; the old limit where the kernel refused the new one or the group is gone.
    func set(_ kind: ResourceKind, to amount: Int) -> Int {
        state.withLock { state in
            guard kind == .cpu else { return setMemory(amount, &state) }
            let millicores = max(amount, Self.millicoresMin)
            guard millicores != state.limits.millicores, state.cpu >= 0 else { return state.limits.millicores }
            guard hasQuota else {
                state.limits.millicores = millicores
                return millicores
            }
            let burst = burst(at: millicores)
            // The kernel takes no burst above its quota: it sinks before the quota and rises after it.
            if burst < state.burst { setBurst(burst, &state) }
            if Self.write(Self.cpuText(millicores, cores, isUnified), to: state.cpu) == 0 { state.limits.millicores = millicores }
            if burst > state.burst { setBurst(burst, &state) }
            return state.limits.millicores
        }
    }

    /// What a replica with this limit may save up, in microseconds.
    private func burst(at millicores: Int) -> Int {
        let lent = min(allocation.millicores, cores * 1000) - millicores
        return max(0, min(millicores, lent)) * Self.periodMicroseconds / 1000
    }

    /// Where the kernel cannot do it, lenders do without.
    private func setBurst(_ microseconds: Int, _ state: inout State) {
        guard state.burstFile >= 0, Self.write("\(microseconds)", to: state.burstFile) == 0 else { return }
        state.burst = microseconds
    }

    private func setMemory(_ amount: Int, _ state: inout State) -> Int {
        var bytes = amount
        // Who cannot be paused does not lend.
        if hold == .pause, state.freeze < 0 { bytes = max(bytes, allocation.memoryBytes) }
        if bytes < state.limits.memoryBytes {
            let floor = (group.memoryInUse ?? state.limits.memoryBytes) + Self.memoryMarginBytes
            bytes = min(state.limits.memoryBytes, max(bytes, floor))
        }
        guard bytes != state.limits.memoryBytes else { return bytes }
        let kernel = hold == .pause ? max(bytes, allocation.memoryBytes) : bytes
        if kernel != state.kernelMemory {
            guard state.memory >= 0, Self.write("\(kernel)", to: state.memory) == 0 else { return state.limits.memoryBytes }
            state.kernelMemory = kernel
        }
        state.limits.memoryBytes = bytes
        if state.isPaused, bytes >= allocation.memoryBytes || (group.memoryInUse ?? 0) < bytes { resume(&state) }
        return bytes
    }

    /// Pauses the replica if it uses all that is left to it of its allocation.
    ///
    /// - Returns: whether it was paused just now.
    func holdBack(using bytes: Int) -> Bool {
        state.withLock { state in
            guard !state.isPaused, state.freeze >= 0, state.limits.memoryBytes < allocation.memoryBytes,
                bytes >= state.limits.memoryBytes, Self.write("1", to: state.freeze) == 0
            else { return false }
            state.isPaused = true
            return true
        }
    }

    /// The replica lends no memory any more: it may use its allocation, and goes on if it was paused.
    func releaseMemory() {
        state.withLock { state in
            if state.isPaused { resume(&state) }
            // Only what the kernel does not hold; else it would have to be written.
            if hold == .pause { state.limits.memoryBytes = max(state.limits.memoryBytes, allocation.memoryBytes) }
        }
    }

    private func resume(_ state: inout State) {
        _ = Self.write("0", to: state.freeze)
        state.isPaused = false
    }

    func close() {
        state.withLock { state in
            if state.isPaused { resume(&state) }
            for file in [state.cpu, state.burstFile, state.memory, state.freeze] where file >= 0 { _ = Glibc.close(file) }
            (state.cpu, state.burstFile, state.memory, state.freeze) = (-1, -1, -1, -1)
        }
    }

    private static func cpuText(_ millicores: Int, _ cores: Int, _ isUnified: Bool) -> String {
        // All that the machine has: no quota, because one of whole cores takes up to a seventh away.
        let quota = millicores >= cores * 1000 ? nil : max(CPUQuota.quotaMicrosecondsMin, periodMicroseconds * millicores / 1000)
        if isUnified { return (quota.map { "\($0)" } ?? "max") + " \(periodMicroseconds)" }
        return "\(quota ?? -1)"
    }

    /// Puts the limit back that the group had, with the period that it had.
    private static func restore(_ limits: Resources, _ cores: Int, period: (path: String, microseconds: Int), to cpu: CInt) {
        let quota = CPUQuota(millicores: limits.millicores, cores: cores)
        _ = write("-1", to: cpu)
        _ = HostFiles.tryWrite("\(period.microseconds)", to: period.path)
        guard let amount = quota.quotaMicroseconds else { return }
        _ = write("\(period.microseconds * amount / quota.periodMicroseconds)", to: cpu)
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
