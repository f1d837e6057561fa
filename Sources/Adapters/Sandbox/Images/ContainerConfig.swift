// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import CBrumeLinux
import FoundationEssentials

/// The `config.json` that makes crun build for an image the same walls that bubblewrap builds for everything else.
struct ContainerConfig {
    let spec: FunctionSpec
    let image: UnpackedImage
    let plan: LaunchPlan
    let socketDirectory: String
    /// Directory with the secrets as files, or nil.
    let secretsDirectory: String?

    /// First host uid of the container; crun is used only where the node is root and can map one.
    let firstHostID: UInt32

    private static let hostIDCount = 65_536

    /// Host paths in the order in which the spawner stages them: the container's users could not reach them by themselves.
    private(set) var stages: [String] = []

    init(
        spec: FunctionSpec, image: UnpackedImage, plan: LaunchPlan, socketDirectory: String, secretsDirectory: String?, firstHostID: UInt32
    ) {
        (self.spec, self.image, self.plan, self.firstHostID) = (spec, image, plan, firstHostID)
        (self.socketDirectory, self.secretsDirectory) = (socketDirectory, secretsDirectory)
        var stages = [image.rootDirectory, socketDirectory] + plan.binds.map(\.host)
        if let secretsDirectory { stages.append(secretsDirectory) }
        self.stages = stages
    }

    private func staged(_ path: String) -> JSONTree {
        .text(stages.firstIndex(of: path).map { "\(BRUME_SPAWN_STAGE)/\($0)" } ?? path)
    }

    func encoded() throws(BrumeError) -> [UInt8] {
        do {
            return Array(try JSONEncoder().encode(tree))
        } catch {
            throw BrumeError(.failed, "The container's configuration cannot be written.", cause: error)
        }
    }

    private var tree: JSONTree {
        .object([
            "ociVersion": .text("1.0.0"),
            "hostname": .text(spec.id.name),
            "root": .object(["path": staged(image.rootDirectory), "readonly": .flag(true)]),
            "process": process,
            "mounts": .list(mounts),
            "linux": linux,
        ])
    }

    private var process: JSONTree {
        let none = JSONTree.list([])
        let limits = [("RLIMIT_NOFILE", SandboxLimits.openFiles), ("RLIMIT_CORE", 0)].map { name, amount in
            JSONTree.object(["type": .text(name), "soft": .number(amount), "hard": .number(amount)])
        }
        return .object([
            "terminal": .flag(false),
            "user": .object(["uid": .number(Int(image.user)), "gid": .number(Int(image.group))]),
            "args": .texts(plan.command),
            "env": .texts(plan.environment.map { "\($0.name)=\($0.value)" }),
            "cwd": .text(plan.workingDirectory),
            "capabilities": .object(["bounding": none, "effective": none, "inheritable": none, "permitted": none, "ambient": none]),
            "rlimits": .list(limits),
            "noNewPrivileges": .flag(true),
            "oomScoreAdj": .number(500),
        ])
    }

    private func mount(_ destination: String, _ type: String, _ source: String, _ options: [String]) -> JSONTree {
        .object(["destination": .text(destination), "type": .text(type), "source": staged(source), "options": .texts(options)])
    }

    private func temporary(_ destination: String, _ part: Int, mode: String) -> JSONTree {
        let size = min(SandboxLimits.temporaryBytes, max(4096, spec.limits.memoryBytes / part))
        return mount(destination, "tmpfs", "tmpfs", ["nosuid", "nodev", "mode=\(mode)", "size=\(size)"])
    }

    private var mounts: [JSONTree] {
        var mounts = [
            mount("/proc", "proc", "proc", ["nosuid", "nodev", "noexec"]),
            mount("/dev", "tmpfs", "tmpfs", ["nosuid", "noexec", "mode=755", "size=64k"]),
            temporary("/dev/shm", SandboxLimits.sharedMemoryShare, mode: "1777"),
            temporary("/tmp", SandboxLimits.temporaryShare, mode: "1777"),
        ]
        // Owned by the image's own user, who may be any.
        if !spec.readOnlyRootFilesystem { mounts.append(temporary("/home/app", SandboxLimits.homeShare, mode: "1777")) }
        mounts.append(mount("/run/brume", "bind", socketDirectory, ["bind", "ro", "nosuid", "nodev"]))
        if let secretsDirectory {
            mounts.append(mount("/var/openfaas/secrets", "bind", secretsDirectory, ["bind", "ro", "nosuid", "nodev", "noexec"]))
        }
        for bind in plan.binds {
            mounts.append(mount(bind.inside, "bind", bind.host, ["rbind", bind.writable ? "rw" : "ro", "nosuid", "nodev"]))
        }
        if spec.network {
            for path in ["/etc/resolv.conf", "/etc/hosts"] where HostFiles.exists(path) {
                mounts.append(mount(path, "bind", HostFiles.resolved(path) ?? path, ["bind", "ro", "nosuid", "nodev", "noexec"]))
            }
        }
        return mounts
    }

    private var linux: JSONTree {
        var namespaces = ["pid", "ipc", "uts", "mount", "user", "cgroup"]
        if !spec.network { namespaces.append("network") }
        let map = JSONTree.list([
            .object(["containerID": .number(0), "hostID": .number(Int(firstHostID)), "size": .number(Self.hostIDCount)])
        ])
        return .object([
            "namespaces": .list(namespaces.map { .object(["type": .text($0)]) }),
            "uidMappings": map,
            "gidMappings": map,
            "maskedPaths": .texts([
                "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/sched_debug", "/proc/scsi",
            ]),
            "readonlyPaths": .texts(["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]),
            "seccomp": Self.seccomp,
        ])
    }

    /// The same refusals as ``BubblewrapCommand/seccompProgram()``, in the runtime's words.
    private static var seccomp: JSONTree {
        let names = unsafe String(cString: brume_seccomp_names()).split(separator: " ").map(String.init)
        // clone with a namespace flag: mount, cgroup, uts, ipc, user, pid, network.
        let flags = [0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000]
        var rules: [JSONTree] = [
            .object(["names": .texts(names), "action": .text("SCMP_ACT_ERRNO"), "errnoRet": .number(1)]),
            .object(["names": .texts(["clone3"]), "action": .text("SCMP_ACT_ERRNO"), "errnoRet": .number(38)]),
        ]
        for flag in flags {
            let test = JSONTree.object([
                "index": .number(0), "value": .number(flag), "valueTwo": .number(flag), "op": .text("SCMP_CMP_MASKED_EQ"),
            ])
            rules.append(
                .object([
                    "names": .texts(["clone"]), "action": .text("SCMP_ACT_ERRNO"), "errnoRet": .number(1), "args": .list([test]),
                ]))
        }
        return .object(["defaultAction": .text("SCMP_ACT_ALLOW"), "syscalls": .list(rules)])
    }
}
