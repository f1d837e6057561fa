// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import FoundationEssentials
import Glibc
import Subprocess
import SystemPackage

/// One line of `brume doctor`.
package struct SandboxCheck: Sendable, Hashable {
    package enum State: String, Sendable { case ok, warning, missing }

    package var name: String
    package var state: State
    package var detail: String
    /// The command that mends it, or empty.
    package var remedy: String

    package init(_ name: String, _ state: State, _ detail: String, remedy: String = "") {
        (self.name, self.state, self.detail, self.remedy) = (name, state, detail, remedy)
    }
}

/// Looks at what this machine offers for sandboxes. Changes nothing, except that it makes and removes one empty control group.
package struct SandboxChecks: Sendable {
    private let settings: SandboxSettings

    package init(settings: SandboxSettings) { self.settings = settings }

    /// All checks, in the order in which they matter.
    package func run() async -> [SandboxCheck] {
        let mounts = MountTable.current()
        var checks = [user, program("bubblewrap", "bwrap", needed: true)]
        checks.append(await namespaces())
        checks += groups(mounts)
        if let fast = fastJoining(mounts) { checks.append(fast) }
        checks.append(seccomp)
        checks += [helper("brume-spawner", settings.spawner), helper("brume-agent", settings.agent), spares]
        checks += [
            program("python3", "python3", needed: false, use: "Python handlers"), pip,
            program("nodejs", "node", needed: false, use: "Node handlers"), program("skopeo", "skopeo", needed: false, use: "images"),
            program("umoci", "umoci", needed: false, use: "images"), program("crun", "crun", needed: false, use: "images"),
        ]
        return checks
    }

    private var user: SandboxCheck {
        geteuid() == 0
            ? SandboxCheck("user", .ok, "root: every function gets a host uid of its own")
            : SandboxCheck(
                "user", .warning, "not root: functions share the node's uid, and CPU and memory limits need a delegated control group",
                remedy: "sudo brume up")
    }

    private var spares: SandboxCheck {
        if settings.spares == 0 { return SandboxCheck("spare sandboxes", .warning, "none are kept; every start makes its own", remedy: "") }
        return geteuid() == 0
            ? SandboxCheck("spare sandboxes", .ok, "\(settings.spares) for each kind of function: a cold start takes a third of the time")
            : SandboxCheck("spare sandboxes", .warning, "they need root; every start makes its own", remedy: "sudo brume up")
    }

    private func program(_ package: String, _ name: String, needed: Bool, use: String = "") -> SandboxCheck {
        if let path = HostFiles.program(name) { return SandboxCheck(name, .ok, path) }
        return SandboxCheck(
            name, needed ? .missing : .warning, needed ? "not installed; no sandbox can be made" : "not installed; needed for \(use)",
            remedy: "apt-get install \(package)")
    }

    private func helper(_ name: String, _ given: String?) -> SandboxCheck {
        if let path = SandboxSettings.helper(name, given: given) { return SandboxCheck(name, .ok, path) }
        return SandboxCheck(name, .missing, "not beside this program and not in ../libexec/brume", remedy: "make install")
    }

    /// Makes one sandbox of `/bin/true` as the uid that functions get: the only proof that all of it works together.
    private func namespaces() async -> SandboxCheck {
        guard let bwrap = HostFiles.program("bwrap") else {
            return SandboxCheck("user namespaces", .missing, "cannot be tried without bubblewrap")
        }
        var arguments = [
            "--unshare-all", "--unshare-user", "--disable-userns", "--ro-bind", "/", "/", "--proc", "/proc", "--", "/bin/true",
        ]
        var tool = bwrap
        if geteuid() == 0, let setpriv = HostFiles.program("setpriv") {
            let id = "\(settings.firstHostID)"
            arguments = ["--reuid", id, "--regid", id, "--clear-groups", bwrap] + arguments
            tool = setpriv
        }
        do {
            let result = try await Subprocess.run(
                .path(FilePath(tool)), arguments: Arguments(arguments), output: .discarded, error: .string(limit: 4096))
            if result.terminationStatus.isSuccess { return SandboxCheck("user namespaces", .ok, "a sandbox could be made") }
            let said = result.standardError.split(separator: "\n").last.map(String.init) ?? "no reason given"
            return SandboxCheck("user namespaces", .missing, said, remedy: Self.namespaceRemedy)
        } catch {
            return SandboxCheck("user namespaces", .missing, "\(error)")
        }
    }

    private static var namespaceRemedy: String {
        if HostFiles.number("/proc/sys/kernel/unprivileged_userns_clone") == 0 { return "sysctl -w kernel.unprivileged_userns_clone=1" }
        if HostFiles.number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == 1 {
            return "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
        }
        return "sysctl -w user.max_user_namespaces=15000"
    }

    private func groups(_ mounts: MountTable) -> [SandboxCheck] {
        let tree = CgroupTree.make(name: "brume-check-\(getpid())", mounts: mounts)
        defer { tree.remove() }
        guard tree.isUsable else {
            let remedy = geteuid() == 0 ? "mount -t cgroup2 none /sys/fs/cgroup" : "systemd-run --user -p Delegate=yes brume up"
            return [SandboxCheck("control groups", .warning, "\(tree.summary); CPU and memory limits do not hold", remedy: remedy)]
        }
        let memory = MemoryGuard(tree, tree.memoryPressure.flatMap { PressureTrigger($0) }, .pause)
        return [
            SandboxCheck("control groups", .ok, tree.summary), SandboxCheck("lent memory", memory.mayLend ? .ok : .warning, memory.summary),
        ]
    }

    private func fastJoining(_ mounts: MountTable) -> SandboxCheck? {
        guard mounts.legacy["cpu"] != nil else { return nil }
        let table = HostFiles.read("/proc/self/mountinfo", limit: HostFiles.readBytesMax) ?? ""
        let name = "favordynmods"
        if table.contains("favordynmods") { return SandboxCheck(name, .ok, "on: joining a control group takes 0.1 ms") }
        if geteuid() == 0 && settings.joinFast {
            return SandboxCheck(
                name, .ok, "off; a node switches it on while it runs (a host-wide setting, cheap, undone when the node ends)")
        }
        return SandboxCheck(name, .warning, "off: the first start after a pause takes 6 to 8 ms longer", remedy: "sudo brume up")
    }

    private var seccomp: SandboxCheck {
        let actions = HostFiles.read("/proc/sys/kernel/seccomp/actions_avail") ?? ""
        guard actions.contains("errno"), let program = try? BubblewrapCommand.seccompProgram() else {
            return SandboxCheck("seccomp", .missing, "this kernel has no system call filters; use one with CONFIG_SECCOMP_FILTER")
        }
        return SandboxCheck("seccomp", .ok, "a filter of \(program.count / 8) instructions")
    }

    private var pip: SandboxCheck {
        let found = HostFiles.program("pip3") != nil || HostFiles.exists("/usr/lib/python3/dist-packages/pip")
        return found
            ? SandboxCheck("pip", .ok, "installs the requirements of Python handlers")
            : SandboxCheck("pip", .warning, "not installed; needed for requirements.txt", remedy: "apt-get install python3-pip")
    }
}
