// SPDX-License-Identifier: Apache-2.0

package import BrumeModel
import CBrumeLinux
import Glibc
import NIOCore

/// How sandboxes are made on this node.
package struct SandboxSettings: Sendable {
    /// How functions are kept apart.
    package enum Isolation: String, Sendable, CaseIterable {
        /// Namespaces, seccomp and control groups, by bubblewrap (images by crun).
        case sandbox
        /// Plain processes of the node's own user: for development only, and the node says so on every start.
        case none
    }

    /// The node's own directory for sandboxes, absolute. Everything in it belongs to one running node.
    package var stateDirectory: String
    package var isolation: Isolation
    /// Path of `brume-spawner`, or nil to look beside the running program and in `../libexec/brume`.
    package var spawner: String?
    /// Path of `brume-agent`, found the same way.
    package var agent: String?
    /// First host uid given to functions; one each, from here on. Used only where the node runs as root.
    package var firstHostID: UInt32
    /// How many uids there are.
    package var hostIDCount: UInt32
    /// How long a replica may take from the first step to being ready for a call.
    package var startTimeout: Duration
    /// Whether the node may switch the host's control groups to fast joining while it runs (saves 6 to 8 ms a start on cgroup v1).
    package var joinFast: Bool
    /// Spare sandboxes kept of each profile that functions of this node have; 0 keeps none. Needs root.
    package var spares: Int
    /// Whether the use of running calls is looked at every few milliseconds, and told.
    package var watchesUse = false

    /// Most spares of one profile: each holds memory that is not reserved for it.
    package static let sparesMax = 16

    package init(
        stateDirectory: String, isolation: Isolation = .sandbox, spawner: String? = nil, agent: String? = nil,
        firstHostID: UInt32 = 200_000, hostIDCount: UInt32 = 10_000, startTimeout: Duration = .seconds(10), joinFast: Bool = true,
        spares: Int = 1
    ) {
        self.stateDirectory = stateDirectory
        self.isolation = isolation
        self.spawner = spawner
        self.agent = agent
        self.firstHostID = firstHostID
        self.hostIDCount = hostIDCount
        self.startTimeout = startTimeout
        self.joinFast = joinFast
        self.spares = spares
    }

    /// Gives a function the Unix socket on which it finds its state; nil where there is no state.
    package var stateSocket: StateSocket?

    /// Hears that a sandbox is gone that was given such a socket; called once for each time that ``stateSocket`` returned.
    package var stateSocketLeft: (@Sendable (_ function: FunctionSpec, _ directory: String) async -> Void)?

    /// Returns the path of a socket in `directory` that listens for this function, the same for all its replicas.
    ///
    /// Each sandbox gets a hard link to it, so that a function's sockets are one listener however many replicas it has.
    package typealias StateSocket = @Sendable (_ function: FunctionSpec, _ directory: String) async throws(BrumeError) -> String

    /// What holds the CPU of replicas to their allocations.
    package var cpuControl = CPUControl.quotaAndWeight
    /// What holds the memory of replicas that lend.
    package var memoryHold = MemoryHold.pause

    /// The native helper of this name: the given path, else beside the running program, else in `../libexec/brume`.
    package static func helper(_ name: String, given: String?) -> String? {
        if let given { return HostFiles.isExecutable(given) ? given : nil }
        guard let program = HostFiles.resolved("/proc/self/exe"), let slash = program.lastIndex(of: "/") else { return nil }
        let folder = program[..<slash]
        return ["\(folder)/\(name)", "\(folder)/../libexec/brume/\(name)"].first(where: HostFiles.isExecutable)
    }

    /// Sixteen hexadecimal digits that stand for the state directory in names that the whole host shares.
    var hash: String {
        // FNV-1a, 64 bits: stable over runs and versions, which the cleaning after a crash relies on.
        let value = stateDirectory.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    /// Name of the parent control group of all replicas.
    var groupName: String { "brume-\(hash)" }

    /// The `/etc` of all sandboxes.
    var etcDirectory: String { "\(stateDirectory)/etc" }

    /// Where the replicas' sockets are: short, because the path of a Unix socket has at most 107 bytes.
    var socketRoot: String {
        geteuid() == 0 && HostFiles.isDirectory("/run") && HostFiles.isWritable("/run")
            ? "/run/brume-\(hash)" : "\(stateDirectory)/run"
    }

    /// Where the listening sockets of functions' state are: beside the replicas' own, because a hard link cannot leave its file system.
    var stateSocketDirectory: String { "\(socketRoot)/state" }
}

/// What becomes of a program that lends memory and then wants more than is left to it.
package enum MemoryHold: Hashable, Sendable {
    /// It is paused until it has more again. The kernel's limit stays at its allocation, so that it is never killed below that.
    case pause
    /// It is killed: the kernel's limit is lowered to what is left to it. Only to show what the safeguard is good for.
    case kill
}

/// What holds the CPU of a replica to its allocation.
package enum CPUControl: Hashable, Sendable {
    /// Never more than its limit; where replicas want more than the machine has, all count alike.
    case quota
    /// What nobody else wants, and under contention a part in proportion to its allocation; no limit at all.
    case weight
    /// Never more than its limit, and under contention a part in proportion to its allocation.
    case quotaAndWeight

    var hasQuota: Bool { self != .weight }
    var hasWeight: Bool { self != .quota }
}

/// Limits of the sandbox that need no setting, each with its reason.
enum SandboxLimits {
    /// Processes and threads of one replica: enough for a pool of workers, too few for a fork bomb to be felt.
    static let processes = 256
    /// Where no control group counts them: processes of the node's whole user, so it has to leave room for a desktop.
    static let processesOfUser = 4096
    /// Open files of one process.
    static let openFiles = 4096
    /// Longest log line; a longer one is cut into several.
    static let lineBytes = 16 << 10
    /// Log lines a replica may write a second, and how many it may save up: more than a person or a disk can follow.
    static let linesPerSecond = 1000
    static let linesSaved = 2000
    /// Bytes read from one stream of a replica in one period; past it the writer waits, so that endless output costs the node little.
    static let outputBytesPerPeriod = 1 << 20
    static let outputPeriod = TimeAmount.milliseconds(100)
    /// Lines of standard error repeated in the message of a failed start.
    static let failureLines = 8
    /// Largest private `/tmp`, `/home/app` and `/dev/shm`, each also at most this part of the memory limit, to which their pages count.
    static let temporaryBytes = 1 << 30
    static let temporaryShare = 2
    static let homeShare = 8
    static let sharedMemoryShare = 8
    /// How long a killed replica may take to leave its control groups before the exit is reported all the same.
    static let emptyMilliseconds = 5000
    /// How long a channel may take to give up the calls of a replica that is gone.
    static let drain = Duration.seconds(2)
    /// How long the last output of a replica that is gone is waited for.
    static let lastOutput = Duration.seconds(1)
    /// Secrets of one function: each takes a descriptor of the 128 that one packet carries.
    static let secrets = 96
}
