// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import BrumeModel
import BrumeSandbox
import BrumeState
import Logging

/// `brume up`: the whole platform in one process.
struct Up: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run a node: the whole platform in one process, until it is told to stop.",
        discussion: """
            Example:
              brume up --port 8080 --data-dir ./brume-data

            Listens on loopback unless --host says otherwise. Credentials are made at the first start, in DATA-DIR/credentials, \
            and the command line on the same machine finds them by itself. \
            SIGTERM or Ctrl-C lets running calls end, then stops every replica.
            """
    )

    @Option(help: "The address to listen on; 0.0.0.0 for every network interface.")
    var host = "127.0.0.1"
    @Option(help: "The port to listen on; 0 takes any free one.")
    var port = 8080
    @Option(name: .customLong("data-dir"), help: "Where functions, calls, logs and credentials are kept.")
    var dataDirectory = "brume-data"
    @Option(help: "How replicas are isolated: bubblewrap, or none (for development only: functions run as plain processes).")
    var isolation = IsolationChoice.bubblewrap
    @Option(help: "The node's name in records and replies; the host name by default.")
    var name: String?
    @Option(help: "CPU that replicas may reserve altogether, for example 1500m or 4; all cores by default.")
    var cpu: String?
    @Option(help: "Memory that replicas may reserve altogether, for example 2Gi; nine tenths of the machine's by default.")
    var memory: String?
    @Option(help: "Spare sandboxes that wait for each kind of function, so that cold starts are short; 0 for none.")
    var spares = 1
    @Option(
        help: """
            How running calls share the machine: static (each has its limits), weights (CPU without limits, in proportion to the \
            allocations where it is scarce), harvest (they lend each other the CPU and memory that they do not use), harvest-weights \
            (the same, and by weights where CPU is scarce), density (harvest, and as many calls run as their predicted demand has \
            room for), or density-weights (as many as their predicted use has room for, those first that would end first; CPU by \
            weights alone).
            """)
    var sharing = SharingChoice.static
    @Option(
        name: .customLong("sharing-without"),
        help: """
            For experiments only: harvest without the safeguard (calls may be killed then), the profiler, or top-up. May be repeated.
            """)
    var sharingWithout: [SharingPart] = []
    @Option(name: .customLong("body-limit"), help: "Largest request body, for example 64Mi.")
    var bodyLimit = "64Mi"
    @Option(name: .customLong("cors-origin"), help: "An origin that browsers may call from; * for any. May be repeated.")
    var corsOrigins: [String] = []
    @Option(help: ArgumentHelp("Serve state to Redis clients here, like 127.0.0.1:6379.", valueName: "host:port"))
    var redis: String?
    @Option(
        name: .customLong("redis-users"),
        help: ArgumentHelp(
            "Who may use --redis: one user a line, NAME SHA256-OF-PASSWORD NAMESPACE. Without it only this machine may.",
            valueName: "file"), completion: .file())
    var redisUsers: String?
    @Option(
        name: .customLong("state-durability"),
        help: """
            When a write to state is on disk: sync (before it is answered), interval (within 100 ms), or none (memory alone).
            """)
    var stateDurability = DurabilityChoice.interval
    @Option(name: .customLong("log-level"), help: "trace, debug, info, notice, warning, error or critical.")
    var logLevel = "info"

    func run() async throws {
        guard let level = Logger.Level(rawValue: logLevel) else {
            throw CommandFailure.words("'\(logLevel)' is no log level; give trace, debug, info, notice, warning, error or critical.")
        }
        guard (0...SandboxSettings.sparesMax).contains(spares) else {
            throw CommandFailure.words("--spares takes 0 to \(SandboxSettings.sparesMax), not \(spares).")
        }
        var capacity = Machine.capacity()
        if let cpu { capacity.millicores = try Resources.millicores(parsing: cpu) }
        if let memory { capacity.memoryBytes = try Resources.bytes(parsing: memory) }
        var state = StatePlan(durability: stateDurability.durability)
        state.redis = try redis.map { text throws(CommandFailure) in try SocketPlace(parsing: text) }
        if let redisUsers { state.redisUsers = try RedisUserFile.read(redisUsers) }
        let plan = NodePlan(
            host: host, port: port, dataDirectory: dataDirectory, isolation: isolation, name: name ?? Machine.hostName(),
            capacity: capacity, sharing: try SharingPlan(sharing, without: sharingWithout), spares: spares,
            bodyBytesMax: try Resources.bytes(parsing: bodyLimit),
            corsOrigins: corsOrigins,
            logLevel: level, state: state)
        try await Assembly(plan).run()
    }
}

/// What may stand behind `--isolation`.
enum IsolationChoice: String, ExpressibleByArgument, CaseIterable, Sendable {
    case bubblewrap, none
}

/// What may stand behind `--state-durability`.
enum DurabilityChoice: String, ExpressibleByArgument, CaseIterable, Sendable {
    case none, interval, sync

    var durability: StateDurability {
        switch self {
        case .none: .none
        case .interval: .interval
        case .sync: .sync
        }
    }
}
