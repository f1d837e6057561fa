// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import CBrumeLinux
import Dispatch
import Glibc

/// The control group of one replica: its limits, its counters, its end.
struct ReplicaCgroup: Sendable {
    let tree: CgroupTree
    let name: String

    /// The cgroup2 directory, where there is one.
    var unified: String? {
        switch tree.kind {
        case .unified(let parent): "\(parent)/\(name)"
        case .legacy(_, let unified): unified.map { "\($0)/\(name)" }
        case .none: nil
        }
    }

    private func legacy(_ controller: String) -> String? {
        guard case .legacy(let parents, _) = tree.kind else { return nil }
        return parents[controller].map { "\($0)/\(name)" }
    }

    /// Every directory of the group, cgroup2 first.
    var directories: [String] { tree.parents.map { "\($0)/\(name)" } }

    /// Makes the group with its limits.
    ///
    /// - Parameters:
    ///   - endsTogether: whether running out of memory ends the whole replica, or (one process per call) only the process.
    ///   - cpu: what holds its CPU to its allocation. The weight is written here once: it does not change with limits.
    /// - Throws: `BrumeError` where the kernel refuses; nothing is left then.
    func create(_ limits: Resources, endsTogether: Bool, cpu: CPUControl = .quotaAndWeight) throws(BrumeError) {
        do throws(BrumeError) {
            for directory in directories {
                let error = HostFiles.tryMakeDirectory(directory)
                if error != 0 { throw HostFiles.failure("make the control group", directory, error) }
            }
            try writeLimits(limits, endsTogether, cpu)
        } catch {
            for directory in directories { HostFiles.removeDirectory(directory) }
            throw error
        }
    }

    private func writeLimits(_ limits: Resources, _ endsTogether: Bool, _ cpu: CPUControl) throws(BrumeError) {
        // All that the machine has is no quota.
        let quota = CPUQuota(millicores: cpu.hasQuota ? limits.millicores : .max, cores: tree.cores)
        switch tree.kind {
        case .none: return
        case .unified(let parent):
            let group = "\(parent)/\(name)"
            try HostFiles.write("\(limits.memoryBytes)", to: "\(group)/memory.max")
            // Without swap a limit is a limit, and an out-of-memory kill comes at once instead of after minutes of thrashing.
            _ = HostFiles.tryWrite("0", to: "\(group)/memory.swap.max")
            _ = HostFiles.tryWrite(endsTogether ? "1" : "0", to: "\(group)/memory.oom.group")
            try HostFiles.write("\(SandboxLimits.processes)", to: "\(group)/pids.max")
            let amount = quota.quotaMicroseconds.map { "\($0)" } ?? "max"
            try HostFiles.write("\(amount) \(quota.periodMicroseconds)", to: "\(group)/cpu.max")
            if cpu.hasWeight { try Self.write(weight: CPUWeight(millicores: limits.millicores).unified, to: "\(group)/cpu.weight", cpu) }
        case .legacy:
            if let memory = legacy("memory") {
                try HostFiles.write("\(limits.memoryBytes)", to: "\(memory)/memory.limit_in_bytes")
                _ = HostFiles.tryWrite("0", to: "\(memory)/memory.swappiness")
            }
            if let pids = legacy("pids") { try HostFiles.write("\(SandboxLimits.processes)", to: "\(pids)/pids.max") }
            if let group = legacy("cpu") {
                try HostFiles.write("\(quota.periodMicroseconds)", to: "\(group)/cpu.cfs_period_us")
                if let amount = quota.quotaMicroseconds { try HostFiles.write("\(amount)", to: "\(group)/cpu.cfs_quota_us") }
                if cpu.hasWeight { try Self.write(weight: CPUWeight(millicores: limits.millicores).legacy, to: "\(group)/cpu.shares", cpu) }
            }
        }
    }

    /// Beside a quota a weight is a courtesy; without one it is all that holds a replica.
    private static func write(weight: Int, to path: String, _ cpu: CPUControl) throws(BrumeError) {
        if cpu.hasQuota { _ = HostFiles.tryWrite("\(weight)", to: path) } else { try HostFiles.write("\(weight)", to: path) }
    }

    /// Where limits are changed and use is read while the group lives; nil without control groups.
    struct LimitPaths {
        let isUnified: Bool
        let cpu: String
        /// What a group may save up of its quota; missing before Linux 5.14.
        let burst: String
        /// Only v1 has the period in a file of its own.
        let period: String?
        let memory: String
        /// Where the kernel slows a group down that uses more, without killing; only v2 has it.
        let memoryHigh: String?
        /// Words and numbers, of which `high` counts how often it came that far; tells of each change. Only v2 has it.
        let memoryEvents: String?
        let cpuUsage: String
        /// Words and numbers, of which `nr_throttled` counts.
        let throttling: String
        let memoryUsage: String
        /// Highest use so far; v1 begins anew when 0 is written to it.
        let memoryPeak: String
        /// Words and numbers, of which `oom_kill` counts processes that the kernel killed for memory.
        let memoryKills: String
        /// Pauses all processes of the group and lets them go on; nil without a cgroup2.
        let freeze: String?
    }

    var limitPaths: LimitPaths? {
        switch tree.kind {
        case .none: return nil
        case .unified(let parent):
            let group = "\(parent)/\(name)"
            return LimitPaths(
                isUnified: true,
                cpu: "\(group)/cpu.max", burst: "\(group)/cpu.max.burst", period: nil, memory: "\(group)/memory.max",
                memoryHigh: "\(group)/memory.high", memoryEvents: "\(group)/memory.events",
                cpuUsage: "\(group)/cpu.stat",
                throttling: "\(group)/cpu.stat",
                memoryUsage: "\(group)/memory.current", memoryPeak: "\(group)/memory.peak",
                memoryKills: "\(group)/memory.events", freeze: "\(group)/cgroup.freeze")
        case .legacy:
            guard let cpu = legacy("cpu"), let memory = legacy("memory"), let account = legacy("cpuacct") else { return nil }
            return LimitPaths(
                isUnified: false, cpu: "\(cpu)/cpu.cfs_quota_us", burst: "\(cpu)/cpu.cfs_burst_us", period: "\(cpu)/cpu.cfs_period_us",
                memory: "\(memory)/memory.limit_in_bytes", memoryHigh: nil, memoryEvents: nil, cpuUsage: "\(account)/cpuacct.usage",
                throttling: "\(cpu)/cpu.stat",
                memoryUsage: "\(memory)/memory.usage_in_bytes", memoryPeak: "\(memory)/memory.max_usage_in_bytes",
                memoryKills: "\(memory)/memory.oom_control", freeze: unified.map { "\($0)/cgroup.freeze" })
        }
    }

    /// Bytes in use now, or nil where nothing is counted or the group is gone.
    var memoryInUse: Int? { limitPaths.flatMap { HostFiles.number($0.memoryUsage) } }

    /// How many processes of the group the kernel killed for memory.
    func outOfMemoryKills() -> Int {
        switch tree.kind {
        case .none: 0
        case .unified: field("oom_kill", in: "\(directories[0])/memory.events") ?? 0
        case .legacy: legacy("memory").flatMap { field("oom_kill", in: "\($0)/memory.oom_control") } ?? 0
        }
    }

    /// Use so far, or nil where nothing is counted or the group is gone.
    func usage() -> ReplicaUsage? {
        switch tree.kind {
        case .none: return nil
        case .unified:
            let group = directories[0]
            guard let micros = field("usage_usec", in: "\(group)/cpu.stat"), let memory = HostFiles.number("\(group)/memory.current") else {
                return nil
            }
            let peak = HostFiles.number("\(group)/memory.peak") ?? memory
            return ReplicaUsage(cpuTime: .microseconds(micros), memoryBytes: memory, memoryPeakBytes: peak)
        case .legacy:
            guard let group = legacy("memory"), let memory = HostFiles.number("\(group)/memory.usage_in_bytes") else { return nil }
            let nanoseconds = legacy("cpuacct").flatMap { HostFiles.number("\($0)/cpuacct.usage") }
            let peak = HostFiles.number("\(group)/memory.max_usage_in_bytes") ?? memory
            return ReplicaUsage(cpuTime: .nanoseconds(nanoseconds ?? 0), memoryBytes: memory, memoryPeakBytes: peak)
        }
    }

    /// The number behind a word in a file of `word number` lines.
    private func field(_ word: String, in path: String) -> Int? {
        guard let text = HostFiles.read(path) else { return nil }
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: " ")
            if parts.count == 2, parts[0] == word { return Int(parts[1]) }
        }
        return nil
    }

    /// Kills every process in the group.
    func kill() {
        if let unified, HostFiles.tryWrite("1", to: "\(unified)/cgroup.kill") == 0 { return }
        // Without cgroup.kill a process may fork while the list is read; pids.max ends that race within a few rounds.
        for _ in 0..<Self.killRounds {
            let pids = directories.first.flatMap { HostFiles.read("\($0)/cgroup.procs", limit: HostFiles.readBytesMax) } ?? ""
            let living = pids.split(separator: "\n").compactMap { pid_t($0) }.filter { $0 > 1 && $0 != getpid() }
            if living.isEmpty { return }
            for pid in living { _ = Glibc.kill(pid, SIGKILL) }
        }
    }

    private static let killRounds = 64
    /// Between two tries to remove a v1 group whose last process is still leaving; there is no event for that without a cgroup2 beside it.
    private static let removeInterval = Duration.milliseconds(2)

    /// Removes the group when its last process has left it.
    ///
    /// - Returns: whether nothing is left.
    @discardableResult
    func remove() async -> Bool {
        var left = directories.filter { !HostFiles.removeDirectory($0) }
        if left.isEmpty { return true }
        if let unified, left.contains(unified) { await waitUntilEmpty(unified) }
        let tries = SandboxLimits.emptyMilliseconds / 2
        for _ in 0..<tries where !left.isEmpty {
            left = left.filter { !HostFiles.removeDirectory($0) }
            if !left.isEmpty { try? await Task.sleep(for: Self.removeInterval) }
        }
        return left.isEmpty
    }

    /// Leaves the pool's thread free while the kernel is asked to tell.
    private func waitUntilEmpty(_ group: String) async {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async {
                _ = unsafe brume_wait_unpopulated(group, CInt(SandboxLimits.emptyMilliseconds))
                continuation.resume()
            }
        }
    }
}
