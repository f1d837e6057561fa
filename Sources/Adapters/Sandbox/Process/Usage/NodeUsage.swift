// SPDX-License-Identifier: Apache-2.0

/// What all replicas of a node have used, seen from outside the node: the counters of their common control group.
package struct NodeUsage: Sendable {
    /// One look.
    package struct Look: Sendable {
        /// CPU time since the group was made, also of replicas that are gone.
        package let cpuNanoseconds: Int64
        package let memoryBytes: Int
    }

    private let group: String
    private let mounts = MountTable.current()

    /// - Parameter stateDirectory: the node's ``SandboxSettings/stateDirectory``.
    package init(stateDirectory: String) { group = SandboxSettings(stateDirectory: stateDirectory).groupName }

    /// - Returns: nil where there is no such group, because no node runs or the machine has no control groups.
    package func look() -> Look? {
        if let mount = mounts.unified, let memory = HostFiles.number("\(mount)/\(group)/memory.current"),
            let text = HostFiles.read("\(mount)/\(group)/cpu.stat"),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix("usage_usec ") }),
            let used = Int64(line.dropFirst(11))
        {
            return Look(cpuNanoseconds: used * 1000, memoryBytes: memory)
        }
        guard let accounts = mounts.legacy["cpuacct"], let used = HostFiles.number("\(accounts)/\(group)/cpuacct.usage"),
            let controller = mounts.legacy["memory"], let memory = HostFiles.number("\(controller)/\(group)/memory.usage_in_bytes")
        else { return nil }
        return Look(cpuNanoseconds: Int64(used), memoryBytes: memory)
    }
}
