// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import BrumeMembership
import BrumeModel
import BrumeSandbox
import BrumeState
import FoundationEssentials
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

            Several nodes: the first gets a link, the others join it.
              brume up --link 0.0.0.0:7700          at the first node, then: brume node token
              brume up --join 10.0.0.5:7700 --token TOKEN

            A node that is a member goes back into its cluster by itself when it starts again.
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
            room for), or density-weights (as many as their predicted use has room for; CPU by weights alone). The last four let calls \
            that would end first begin first.
            """)
    var sharing = SharingChoice.static
    @Option(
        name: .customLong("sharing-without"),
        help: """
            For experiments only: harvest without the safeguard (calls may be killed then), the profiler, or top-up. May be repeated.
            """)
    var sharingWithout: [SharingPart] = []
    @OptionGroup var safeguard: SafeguardOptions
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
    @OptionGroup var state: NamespaceOptions
    @Option(name: .customLong("log-level"), help: "trace, debug, info, notice, warning, error or critical.")
    var logLevel = "info"

    @Option(
        help: ArgumentHelp(
            """
            Where the link to other nodes listens. Off unless it is given, was given before, or the node joins: then on port 7700, \
            or on any free port of loopback if the member to join is there. 'off' starts a member alone.
            """, valueName: "host:port"))
    var link: String?
    @Option(
        help: ArgumentHelp("Where other nodes reach the link, if not where it listens (behind NAT).", valueName: "host:port"))
    var advertise: String?
    @Option(help: ArgumentHelp("Join the cluster of the node whose link listens there.", valueName: "host:port"))
    var join: String?
    @Option(help: "The token that lets the node join, from 'brume node token'; better in BRUME_TOKEN.")
    var token: String?
    @Option(help: "Where the node stands, edge or cloud: state may be kept at one of them. Edge unless it was said before.")
    var tier: TierChoice?
    @Option(
        name: .customLong("label"),
        help: ArgumentHelp(
            "What the other nodes know of this one, for example zone=lyon. May be repeated.",
            valueName: "key=value"))
    var labels: [String] = []
    @Flag(help: "Stay out of the machine's list of nodes: commands then find the node by --data-dir or --url only.")
    var unlisted = false
    /// A node of `brume lab cluster`: its network can be made bad, and it ends with the lab that holds its standard input.
    @Flag(name: .customLong("lab"), help: .hidden)
    var isOfLab = false

    func run() async throws {
        guard let level = Logger.Level(rawValue: logLevel) else {
            throw CommandFailure.words("'\(logLevel)' is no log level; give trace, debug, info, notice, warning, error or critical.")
        }
        guard (0...SandboxSettings.sparesMax).contains(spares) else {
            throw CommandFailure.words("--spares takes 0 to \(SandboxSettings.sparesMax), not \(spares).")
        }
        let capacity = try Machine.capacity(cpu: cpu, memory: memory)
        if let cpu, capacity.millicores > Machine.coreCount * 1000 {
            Console.standard.note(
                "This machine has \(Wording.count(Machine.coreCount, "core")): what --cpu \(cpu) promises beyond that, calls share.")
        }
        var state = try state.plan()
        state.redis = try redis.map { text throws(CommandFailure) in try SocketPlace(parsing: text) }
        if let redisUsers { state.redisUsers = try RedisUserFile.read(redisUsers) }
        let plan = NodePlan(
            host: host, port: port, dataDirectory: dataDirectory, isolation: isolation, name: name ?? Machine.hostName(),
            cluster: try clusterPlan(), isListed: !unlisted, capacity: capacity,
            sharing: try SharingPlan(sharing, without: sharingWithout, safeguard: safeguard.settings()), spares: spares,
            bodyBytesMax: try Resources.bytes(parsing: bodyLimit),
            corsOrigins: corsOrigins,
            logLevel: level, state: state)
        if isOfLab { try await LabLife.follow() }
        try await Assembly(plan).run()
    }

    private func clusterPlan() throws -> ClusterPlan {
        var plan = ClusterPlan()
        switch link {
        case nil: plan.link = .unsaid
        case "off": plan.link = .off
        case let text?:
            let place = try ClusterPlan.place(text, option: "--link", allowsZero: true)
            plan.link = .at(host: place.host, port: place.port)
        }
        if let advertise {
            _ = try ClusterPlan.place(advertise, option: "--advertise")
            plan.advertised = advertise
        }
        if let join { _ = try ClusterPlan.place(join, option: "--join") }
        if plan.link == .off, join != nil { throw CommandFailure.words("--join needs a link; leave --link off out.") }
        if token != nil, join == nil {
            throw CommandFailure.words("--token is for joining; give a member's link with --join HOST:PORT too.")
        }
        plan.join = join
        plan.token = token ?? ProcessInfo.processInfo.environment["BRUME_TOKEN"]
        plan.labels = try labels.map { text throws(CommandFailure) in try ClusterPlan.label(text) }
        if tier != nil, plan.labels.contains(where: { $0.key == ClusterPlan.tierLabel }) {
            throw CommandFailure.words("--tier and --label \(ClusterPlan.tierLabel)=... say the same thing; leave one of them out.")
        }
        plan.tier = tier?.rawValue
        plan.emulatesNetwork = isOfLab
        return plan
    }
}

/// What may stand behind `--isolation`.
enum IsolationChoice: String, ExpressibleByArgument, CaseIterable, Sendable {
    case bubblewrap, none
}

/// What may stand behind `--tier`.
enum TierChoice: String, ExpressibleByArgument, CaseIterable, Sendable {
    case edge, cloud
}
