// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import CBrumeLinux

/// The words that make bubblewrap build one replica's sandbox.
///
/// Options travel in a memory file (`--args`), so that no environment value and no path shows in the host's process list. Host paths are
/// staged by the spawner where it can, because the uid that bubblewrap runs as may not be able to reach them.
struct BubblewrapCommand {
    let spec: FunctionSpec
    let plan: LaunchPlan
    let secrets: [Secret]
    let socketDirectory: String
    /// The function's host uid, or nil where the node is not root and its own is used.
    let hostID: UInt32?
    let seccomp: [UInt8]
    /// What ``SharedEtc`` made.
    let etcDirectory: String

    /// Uid and gid inside.
    static let insideID = 1000
    /// Descriptor numbers as the spawner places them: options first, then the filter, then the files written into the sandbox.
    private static let optionsDescriptor = Int(BRUME_SPAWN_FIRST_FD)
    private static let seccompDescriptor = optionsDescriptor + 1

    private var options: [String] = []
    private var stages: [String] = []
    private var files: [(name: String, bytes: [UInt8])] = []

    init(
        spec: FunctionSpec, plan: LaunchPlan, secrets: [Secret], socketDirectory: String, hostID: UInt32?, seccomp: [UInt8],
        etcDirectory: String
    ) {
        (self.spec, self.plan, self.secrets) = (spec, plan, secrets)
        (self.socketDirectory, self.hostID, self.seccomp, self.etcDirectory) = (socketDirectory, hostID, seccomp, etcDirectory)
    }

    /// - Parameter program: path of bubblewrap.
    func order(program: String) -> SpawnOrder {
        var builder = self
        builder.namespaces()
        builder.root()
        builder.etc()
        builder.devicesAndKernel()
        builder.writable()
        builder.binds()
        builder.putSecrets()
        builder.options += ["--remount-ro", "/"]
        builder.environment()
        builder.options += ["--chdir", plan.workingDirectory]
        var optionBytes: [UInt8] = []
        for option in builder.options {
            optionBytes += option.utf8
            optionBytes.append(0)
        }
        var order = SpawnOrder(arguments: [program, "--args", "\(Self.optionsDescriptor)", "--"] + plan.command)
        order.files = [("options", optionBytes), ("seccomp", seccomp)] + builder.files
        order.stages = builder.stages
        order.flags = UInt32(BRUME_STATUS_PIPE)
        if let hostID { order.drop(to: hostID) }
        return order
    }

    private mutating func namespaces() {
        options += ["--unshare-all", "--unshare-user", "--disable-userns"]
        if spec.network { options.append("--share-net") }
        options += ["--die-with-parent", "--new-session", "--cap-drop", "ALL", "--hostname", SharedEtc.hostname]
        options += ["--uid", "\(Self.insideID)", "--gid", "\(Self.insideID)"]
        options += ["--seccomp", "\(Self.seccompDescriptor)", "--json-status-fd", "\(BRUME_SPAWN_STATUS_FD)"]
    }

    private mutating func root() {
        if let image = plan.imageRoot {
            bind(image, "/", writable: false)
            // Mount points below here have to be made, which the image's root does not allow.
            options += ["--tmpfs", "/opt/brume"]
            return
        }
        options += ["--ro-bind", "/usr", "/usr"]
        for name in ["bin", "sbin", "lib", "lib32", "lib64"] where HostFiles.exists("/\(name)") {
            // Merged systems have links there, older ones directories.
            if let target = HostFiles.resolved("/\(name)"), target.hasPrefix("/usr/") {
                options += ["--symlink", String(target.dropFirst()), "/\(name)"]
            } else {
                options += ["--ro-bind", "/\(name)", "/\(name)"]
            }
        }
        for directory in ["/var/tmp", "/opt", "/srv", "/mnt"] { options += ["--dir", directory] }
    }

    private mutating func etc() {
        if plan.imageRoot == nil { bind(etcDirectory, "/etc", writable: false) }
        guard spec.network else { return }
        for name in ["resolv.conf", "hosts"] { bindIfPresent("/etc/\(name)") }
    }

    private mutating func devicesAndKernel() {
        // Even as another uid than root, nothing under /proc/sys has to be writable: the second line of defence.
        options += ["--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys"]
        options += ["--dev", "/dev"]
        options += [
            "--size", "\(share(SandboxLimits.sharedMemoryShare))", "--perms", "1777", "--tmpfs", "/dev/shm", "--remount-ro", "/dev",
        ]
    }

    private mutating func writable() {
        options += ["--size", "\(share(SandboxLimits.temporaryShare))", "--perms", "1777", "--tmpfs", "/tmp"]
        options +=
            spec.readOnlyRootFilesystem
            ? ["--dir", "/home/app"] : ["--size", "\(share(SandboxLimits.homeShare))", "--perms", "0755", "--tmpfs", "/home/app"]
        // Connecting needs no writable mount, and a writable one would be a way to fill the host's disk.
        bind(socketDirectory, "/run/brume", writable: false)
    }

    /// Pages of these file systems count as the replica's memory, so their sizes leave room for the program.
    private func share(_ part: Int) -> Int { min(SandboxLimits.temporaryBytes, max(4096, spec.limits.memoryBytes / part)) }

    private mutating func binds() {
        for bind in plan.binds { self.bind(bind.host, bind.inside, writable: bind.writable) }
        for path in plan.mountPoints { options += ["--dir", path] }
    }

    private mutating func putSecrets() {
        guard !secrets.isEmpty else { return }
        options += ["--perms", "0755", "--tmpfs", "/var/openfaas/secrets"]
        for secret in secrets { put("/var/openfaas/secrets/\(secret.name)", secret.value) }
        options += ["--remount-ro", "/var/openfaas/secrets"]
    }

    private mutating func environment() {
        options.append("--clearenv")
        for variable in plan.environment { options += ["--setenv", variable.name, variable.value] }
    }

    private mutating func bind(_ host: String, _ inside: String, writable: Bool) {
        var source = host
        if hostID != nil {
            source = "\(BRUME_SPAWN_STAGE)/\(stages.count)"
            stages.append(host)
        }
        options += [writable ? "--bind" : "--ro-bind", source, inside]
    }

    private mutating func bindIfPresent(_ path: String) {
        if HostFiles.exists(path) { options += ["--ro-bind", path, path] }
    }

    private mutating func put(_ path: String, _ bytes: [UInt8]) {
        options += ["--perms", "0444", "--file", "\(Self.seccompDescriptor + 1 + files.count)", path]
        files.append((name: "file", bytes: bytes))
    }

    /// The compiled system call filter of this machine's architecture.
    static func seccompProgram() throws(BrumeError) -> [UInt8] {
        var error = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: 4096) { buffer, count in
            let length = unsafe brume_seccomp_program(buffer.baseAddress, buffer.count)
            (count, error) = (max(0, length), min(0, length))
        }
        if error != 0 { throw HostFiles.failure("build", "the seccomp filter", CInt(-error)) }
        return bytes
    }
}
