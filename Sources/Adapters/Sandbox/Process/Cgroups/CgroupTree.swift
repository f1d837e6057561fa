// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Glibc

/// Where this node's control groups are, and of which kind: cgroup v2, v1 (with a cgroup2 beside it for killing), or none.
package struct CgroupTree: Sendable {
    enum Kind: Hashable, Sendable {
        /// One directory holds everything.
        case unified(parent: String)
        /// One directory for each controller, and perhaps a cgroup2 directory without controllers.
        case legacy(parents: [String: String], unified: String?)
        case none(reason: String)
    }

    /// Without these there is no sandbox worth its name; `cpuacct` is only for accounts.
    static let controllers = ["cpu", "memory", "pids"]

    let kind: Kind
    let cores: Int

    /// One sentence for `brume doctor`.
    package var summary: String {
        switch kind {
        case .unified: "cgroup v2 with cpu, memory and pids"
        case .legacy(let parents, let unified):
            "cgroup v1 with \(parents.keys.sorted().joined(separator: ", "))" + (unified == nil ? "" : ", cgroup2 beside it for killing")
        case .none(let reason): "no control groups: \(reason)"
        }
    }

    package var isUsable: Bool {
        if case .none = kind { false } else { true }
    }

    /// Whether the groups are of version 1, where joining is slow without `favordynmods`.
    var isLegacy: Bool {
        if case .legacy = kind { true } else { false }
    }

    /// All directories of the parent group, cgroup2 first.
    var parents: [String] {
        switch kind {
        case .unified(let parent): [parent]
        case .legacy(let parents, let unified): (unified.map { [$0] } ?? []) + Set(parents.values).sorted()
        case .none: []
        }
    }

    /// What the kernel tells of the stalls of all replicas for want of memory; only where it is also the kernel that slows them down.
    var memoryPressure: String? {
        if case .unified(let parent) = kind { "\(parent)/memory.pressure" } else { nil }
    }

    /// Finds the best kind that this process may use, and makes the parent group `name` in it.
    static func make(name: String, mounts: MountTable = .current()) -> CgroupTree {
        let cores = max(1, Int(sysconf(CInt(_SC_NPROCESSORS_ONLN))))
        if let parent = makeUnified(name, mounts, cores) { return CgroupTree(kind: .unified(parent: parent), cores: cores) }
        let missing = controllers.filter { mounts.legacy[$0] == nil }
        guard missing.isEmpty else {
            let reason =
                mounts.unified == nil
                ? "no cgroup file system is mounted"
                : "the cgroup2 group of this process does not let it use \(missing.joined(separator: ", "))"
            return CgroupTree(kind: .none(reason: reason), cores: cores)
        }
        var parents: [String: String] = [:]
        for controller in controllers + ["cpuacct"] {
            guard let mount = mounts.legacy[controller] else { continue }
            let path = "\(mount)/\(name)"
            guard HostFiles.tryMakeDirectory(path) == 0 else {
                if controller == "cpuacct" { continue }
                return CgroupTree(kind: .none(reason: "the user of this process may not write to \(mount)"), cores: cores)
            }
            parents[controller] = path
        }
        // Sandboxes together weigh as much as the machine has cores, not as one thread of the host.
        if let cpu = parents["cpu"] { _ = HostFiles.tryWrite("\(1024 * cores)", to: "\(cpu)/cpu.shares") }
        let unified = mounts.unified.map { "\($0)/\(name)" }.flatMap { HostFiles.tryMakeDirectory($0) == 0 ? $0 : nil }
        return CgroupTree(kind: .legacy(parents: parents, unified: unified), cores: cores)
    }

    private static func makeUnified(_ name: String, _ mounts: MountTable, _ cores: Int) -> String? {
        guard let mount = mounts.unified else { return nil }
        let own = HostFiles.read("/proc/self/cgroup")?.split(separator: "\n").first { $0.hasPrefix("0::") }.map { $0.dropFirst(3) } ?? "/"
        let mine = own == "/" ? mount : mount + own
        // A user has only what was delegated to it; root goes to the top, where no service manager takes it down again.
        for base in geteuid() == 0 ? [mount, mine] : [mine] {
            let usable = Set((HostFiles.read("\(base)/cgroup.controllers") ?? "").split(whereSeparator: \.isWhitespace).map(String.init))
            guard usable.isSuperset(of: controllers), enable(in: base, mayMove: base == mine) else { continue }
            let parent = "\(base)/\(name)"
            guard HostFiles.tryMakeDirectory(parent) == 0, enable(in: parent, mayMove: false) else { continue }
            _ = HostFiles.tryWrite("\(min(10_000, 100 * cores))", to: "\(parent)/cpu.weight")
            return parent
        }
        return nil
    }

    /// Lets children of a group use the controllers. A group with processes of its own may not, so they move to a leaf first.
    private static func enable(in group: String, mayMove: Bool) -> Bool {
        let words = controllers.map { "+\($0)" }.joined(separator: " ")
        let error = HostFiles.tryWrite(words, to: "\(group)/cgroup.subtree_control")
        guard error == EBUSY, mayMove else { return error == 0 }
        let leaf = "\(group)/brume-node"
        guard HostFiles.tryMakeDirectory(leaf) == 0 else { return false }
        for pid in (HostFiles.read("\(group)/cgroup.procs", limit: HostFiles.readBytesMax) ?? "").split(separator: "\n") {
            _ = HostFiles.tryWrite(String(pid), to: "\(leaf)/cgroup.procs")
        }
        return HostFiles.tryWrite(words, to: "\(group)/cgroup.subtree_control") == 0
    }

    /// Kills and removes what an earlier node with the same state directory left.
    ///
    /// - Returns: how many groups were left behind.
    func cleanUp() async -> Int {
        var names: Set<String> = []
        for parent in parents {
            names.formUnion(HostFiles.names(in: parent).filter { HostFiles.isDirectory("\(parent)/\($0)") })
        }
        for name in names.sorted() {
            let group = ReplicaCgroup(tree: self, name: name)
            group.kill()
            await group.remove()
        }
        return names.count
    }

    /// Removes the parent group; it must be empty.
    func remove() {
        for parent in parents { HostFiles.removeDirectory(parent) }
    }
}
