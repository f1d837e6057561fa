// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BrumeModel
import FoundationEssentials
import Glibc
import SystemPackage

/// `brume lab cluster`: several nodes on this machine.
struct LabClusterCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cluster",
        abstract: "Start several nodes on this machine that form a cluster, with a network as bad as wanted.",
        discussion: """
            Each node is a process of its own, with its own data, ports and keys on loopback. Delay, jitter, loss and bandwidth hold for \
            each frame between two nodes. Orders are typed, or written to the file 'control' in the lab's folder: \
            status, partition 1,2|3, heal, network delay=50ms, kill 2, start 2, exit.

            --run runs a shell command beside them, with BRUME_NODE_1, BRUME_DATA_1, BRUME_REDIS_1 and so on set, and ends with its \
            exit code; it may write orders to $BRUME_LAB/control. \
            With --redis 7001, redis-cli -p 7001 and redis-cli -p 7002 speak with the first two nodes. \
            Everything that was started is stopped at the end, also when the lab is interrupted or killed.

            Examples:
              brume lab cluster 3
              brume lab cluster 5 --delay 20ms --jitter 5ms --loss 1% --bandwidth 100mbit
              brume lab cluster 3 --run 'brume node list --data-dir $BRUME_DATA_2'
              brume lab cluster 2 --redis 7001
            """)

    /// More nodes than this do nothing but greet each other on one machine.
    private static let countMax = 64

    @Argument(help: ArgumentHelp("How many nodes.", valueName: "number"))
    var count: Int
    @Option(help: ArgumentHelp("Time that each frame takes from node to node, one way.", valueName: "duration"))
    var delay: String?
    @Option(help: ArgumentHelp("Most that chance adds to the delay.", valueName: "duration"))
    var jitter: String?
    @Option(help: ArgumentHelp("Share of frames that are lost, for example 1%.", valueName: "share"))
    var loss: String?
    @Option(help: ArgumentHelp("Bits a second from one node to another, for example 100mbit.", valueName: "bits"))
    var bandwidth: String?
    @Option(
        help: ArgumentHelp(
            "Serve state to Redis clients too: node 1 on this port of loopback, the others on those behind it; 0 takes free ports.",
            valueName: "port"))
    var redis: Int?
    @Option(help: ArgumentHelp("Run a shell command beside the cluster, then stop it.", valueName: "command"))
    var run: String?
    @Option(
        name: .customLong("dir"),
        help: ArgumentHelp("Keep the nodes' data in this folder. Default: a new one that is removed.", valueName: "directory"),
        completion: .directory)
    var directory: String?
    @Option(help: "How the nodes isolate replicas: bubblewrap or none.")
    var isolation = IsolationChoice.bubblewrap

    func run() async throws {
        guard (1...Self.countMax).contains(count) else {
            throw CommandFailure.words("A lab has 1 to \(Self.countMax) nodes, not \(count).")
        }
        guard redis.map({ (0...(65_536 - count)).contains($0) }) ?? true else {
            throw CommandFailure.words("--redis takes 0 to \(65_536 - count), since each node needs a port of its own.")
        }
        let network = try LabNetwork(delay: delay, jitter: jitter, loss: loss, bandwidth: bandwidth)
        let root = try Self.folder(directory)
        defer { if directory == nil { try? FileManager.default.removeItem(atPath: root.string) } }
        let share = Machine.capacity()
        let options = [
            "--spares", "0", "--isolation", isolation.rawValue, "--cpu", "\(max(250, share.millicores / count))m", "--memory",
            "\(share.memoryBytes / count)",
        ]
        let cluster = try LabCluster(count: count, root: root, options: options, redis: redis)
        let command = run
        let code = try await Interruptible.run { try await cluster.run(network, command: command) }
        if code != 0 { throw ExitCode(code) }
    }

    private static func folder(_ named: String?) throws -> FilePath {
        let text = named ?? FileManager.default.temporaryDirectory.path + "/brume-lab-\(getpid())"
        let absolute = text.hasPrefix("/") ? text : FileManager.default.currentDirectoryPath + "/" + text
        let path = FilePath(absolute).lexicallyNormalized()
        do {
            try FileManager.default.createDirectory(
                atPath: path.string, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o711])
        } catch {
            throw CommandFailure.failed("The folder \(path) cannot be made; give one you may write to with --dir.")
        }
        return path
    }
}
