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
/// Memory below the allocation is no limit at which the kernel may kill. Programs outrun every watcher, and where v1 lets them be paused
/// at the kernel's limit instead, that holds for their own page faults only, and system calls fail. So that limit stays the allocation.
/// What is left to a lender is where v2 slows it down (`memory.high`), by itself and whoever is late; and whoever is beyond it once all has
/// been tried is paused by ``holdBack(using:)``. Neither goes without the other: the brake makes a program sleep up to two seconds at a
/// time, and no raise wakes it, so that one which waits for its memory has to be paused; a pause comes with a look, and a look may be late.
/// Both work where a program leaves the kernel: one system call may still take what it wants of the allocation.
final class LimitFiles: Sendable {
    /// A throttled replica waits this long at most, and a quota below a core is still exact.
    static let periodMicroseconds = 20_000
    /// What the kernel's smallest quota amounts to.
    static let millicoresMin = CPUQuota.quotaMicrosecondsMin * 1000 / periodMicroseconds
    /// Memory that a limit leaves above what is in use: what a program can take between two looks of the kernel at its books.
    static let memoryMarginBytes = 4 << 20

    private struct State {
        /// In force; memory below the allocation by slowing down and pausing.
        var limits: Resources
        /// What the kernel's own file says.
        var kernelMemory: Int
        /// Where the kernel slows it down; nil: nowhere.
        var brake: Int?
        var isPaused = false
        /// What may be saved up, in microseconds.
        var burst = 0
        var cpu: CInt
        var burstFile: CInt
        var memory: CInt
        /// -1 where the kernel has no such brake.
        var high: CInt
        var freeze: CInt
    }

    /// What the replica has by right.
    let allocation: Resources
    private let cores: Int
    private let isUnified: Bool
    private let group: ReplicaCgroup
    private let hold: MemoryHold
    private let hasQuota: Bool
    private let refused: RefusedWrites
    private let state: Mutex<State>

    /// Opens the files of a group that has its limits, and gives its CPU limit the period for changing it.
    ///
    /// - Parameters:
    ///   - limits: what it has by right.
    ///   - hold: what becomes of it beyond a lower limit of memory.
    ///   - control: without quotas a limit of CPU is what the books say, and weights alone share the CPU.
    ///   - refused: counts what the kernel does not take.
    /// - Throws: `BrumeError` where the group is gone or has no such files; its limits are then as they were.
    init(
        _ group: ReplicaCgroup, _ limits: Resources, _ hold: MemoryHold = .pause, _ control: CPUControl = .quota,
        refused: RefusedWrites = RefusedWrites()
    ) throws(BrumeError) {
        self.group = group
        self.hold = hold
        self.refused = refused
        hasQuota = control.hasQuota
        allocation = limits
        cores = group.tree.cores
        guard let paths = group.limitPaths else { throw BrumeError(.unsupported, "Without control groups no limit can be changed.") }
        isUnified = paths.isUnified
        let cpu = unsafe open(paths.cpu, O_WRONLY | O_CLOEXEC)
        let burst = unsafe open(paths.burst, O_WRONLY | O_CLOEXEC)
        let memory = unsafe open(paths.memory, O_WRONLY | O_CLOEXEC)
        let high = hold == .pause ? (paths.memoryHigh.map { unsafe open($0, O_WRONLY | O_CLOEXEC) } ?? -1) : -1
        let freeze = hold == .pause ? (paths.freeze.map { unsafe open($0, O_WRONLY | O_CLOEXEC) } ?? -1) : -1
        state = Mutex(
            State(
                limits: limits, kernelMemory: limits.memoryBytes, cpu: cpu, burstFile: burst, memory: memory, high: high, freeze: freeze))
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

    /// Beyond which the kernel kills.
    var kernelMemory: Int { state.withLock { $0.kernelMemory } }

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
            if accepts(Self.cpuText(millicores, cores, isUnified), state.cpu) { state.limits.millicores = millicores }
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
        guard state.burstFile >= 0, accepts("\(microseconds)", state.burstFile) else { return }
        state.burst = microseconds
    }

    private func setMemory(_ amount: Int, _ state: inout State) -> Int {
        var bytes = amount
        // Who cannot be held does not lend.
        if hold == .pause, state.freeze < 0, state.high < 0 { bytes = max(bytes, allocation.memoryBytes) }
        let before = state.limits.memoryBytes
        if bytes < before {
            let floor = (group.memoryInUse ?? before) + Self.memoryMarginBytes
            bytes = min(before, max(bytes, floor))
        }
        guard bytes != before else { return bytes }
        let kernel = hold == .pause ? max(bytes, allocation.memoryBytes) : bytes
        if kernel != state.kernelMemory {
            guard state.memory >= 0, accepts("\(kernel)", state.memory) else { return before }
            state.kernelMemory = kernel
        }
        state.limits.memoryBytes = bytes
        // What the kernel does not hold is not lent; a brake that it does not loosen is no limit of ours, and tried again.
        if !fitBrake(&state), bytes < before { state.limits.memoryBytes = min(before, kernel) }
        if state.isPaused { goOn(&state, using: group.memoryInUse) }
        return state.limits.memoryBytes
    }

    /// Has the kernel slow the replica down at what is left of its allocation, if something is lent of it, and nowhere else.
    ///
    /// - Returns: false where it should and does not, or the other way round.
    @discardableResult
    private func fitBrake(_ state: inout State) -> Bool {
        let wanted = hold == .pause && state.limits.memoryBytes < allocation.memoryBytes ? state.limits.memoryBytes : nil
        guard state.high >= 0, wanted != state.brake else { return true }
        guard accepts(wanted.map { "\($0)" } ?? "max", state.high) else { return false }
        state.brake = wanted
        return true
    }

    /// A paused replica goes on if it has its own again, or uses less than is left to it.
    private func goOn(_ state: inout State, using bytes: Int?) {
        guard state.isPaused, state.limits.memoryBytes >= allocation.memoryBytes || (bytes ?? 0) < state.limits.memoryBytes else { return }
        state.isPaused = !accepts("0", state.freeze)
    }

    /// Pauses the replica if it uses all that is left to it of its allocation, and does again what the kernel refused before.
    ///
    /// - Returns: whether it was paused just now.
    func holdBack(using bytes: Int) -> Bool {
        state.withLock { state in
            fitBrake(&state)
            goOn(&state, using: bytes)
            guard !state.isPaused, state.freeze >= 0, state.limits.memoryBytes < allocation.memoryBytes,
                bytes >= state.limits.memoryBytes, accepts("1", state.freeze)
            else { return false }
            state.isPaused = true
            return true
        }
    }

    /// The replica lends no memory any more: it may use its allocation, and goes on if it was paused.
    func releaseMemory() {
        state.withLock { state in
            // Only what the kernel does not hold at once; else its limit would have to be written.
            if hold == .pause { state.limits.memoryBytes = max(state.limits.memoryBytes, allocation.memoryBytes) }
            fitBrake(&state)
            goOn(&state, using: nil)
        }
    }

    func close() {
        state.withLock { state in
            if state.isPaused { _ = Self.write("0", to: state.freeze) }
            if state.brake != nil { _ = Self.write("max", to: state.high) }
            for file in [state.cpu, state.burstFile, state.memory, state.high, state.freeze] where file >= 0 { _ = Glibc.close(file) }
            (state.cpu, state.burstFile, state.memory, state.high, state.freeze) = (-1, -1, -1, -1, -1)
            (state.isPaused, state.brake) = (false, nil)
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

    /// Writes, and counts what the kernel does not take.
    private func accepts(_ text: String, _ file: CInt) -> Bool {
        if Self.write(text, to: file) == 0 { return true }
        refused.add()
        return false
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

/// Writes of limits that the kernel did not take, of all replicas of a node.
final class RefusedWrites: Sendable {
    private let count = Atomic(0)

    /// So many so far.
    var total: Int { count.load(ordering: .relaxed) }

    func add() { count.wrappingAdd(1, ordering: .relaxed) }
}
