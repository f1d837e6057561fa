// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import BrumeEngine
import BrumeGateway
import BrumeHarvest
import BrumeLink
import BrumeModel
import BrumeNode
import BrumeRedis
import BrumeSandbox
import BrumeStore
import BrumeTelemetry
import Glibc
import Logging
import Metrics
import NIOCore
import NIOPosix
import ServiceLifecycle
import SystemPackage
import UnixSignals

/// What `brume up` was told.
struct NodePlan: Sendable {
    var host: String
    var port: Int
    var dataDirectory: String
    var isolation: IsolationChoice
    var name: String
    var cluster = ClusterPlan()
    /// Whether the machine's list of nodes leads to this one.
    var isListed = true
    var capacity: Resources
    var sharing: SharingPlan
    var spares: Int
    var bodyBytesMax: Int
    var corsOrigins: [String]
    var logLevel: Logger.Level
    var state = StatePlan()
}

extension NodePlan {
    fileprivate var engineSettings: EngineSettings {
        var engine = EngineSettings(capacity: capacity)
        engine.harvest = sharing.harvesterSettings(capacity: capacity)
        return engine
    }

    fileprivate var nodeSettings: NodeSettings {
        var settings = NodeSettings(name: name, version: Version.current, engine: engineSettings)
        settings.machine = Machine.resources
        return settings
    }
}

/// Puts a node together: the one place that knows every concrete part.
struct Assembly {
    private let plan: NodePlan
    private let console = Console.standard

    init(_ plan: NodePlan) { self.plan = plan }

    /// Runs the node until it is told to stop.
    func run() async throws {
        // The other half of the cores is the functions'. On two cores one loop also serves more calls than two: nothing changes threads.
        NIOSingletons.groupLoopCountSuggestion = max(1, Machine.coreCount / 2)
        let registry = bootstrap()
        let logger = Logger(label: "brume")
        let directory = try NodeDirectory(making: plan.dataDirectory)
        let login = try directory.credentials()
        let store = try SQLiteStore(directory: directory.path.string, settings: StoreSettings(version: Version.current))
        let epoch = try await store.beginEpoch()

        let callbacks = CallbackClient(client: .shared)
        var world = NodeWorld(
            wallClock: Machine.wallClock, residentBytes: Machine.residentBytes, deliver: { try await callbacks.deliver($0) })
        let identity = try NodeIdentity.load(directory: directory.path.string)
        // One thread for state and the link: what passes between nodes changes threads nowhere, and neither calls wait behind it nor it
        // behind calls.
        let peerLoop = MultiThreadedEventLoopGroup(numberOfThreads: 1).next()
        let cluster = try ClusterAssembly(plan.cluster, name: plan.name, directory: directory, clock: world.clock, loop: peerLoop)
        let parts = try await cluster.make(identity: identity)
        let stateAssembly = StateAssembly(plan: plan.state, directory: directory, node: identity.id, labels: cluster.labels, loop: peerLoop)
        let state = try await stateAssembly.makeService()
        if let parts { StateAssembly.connect(state, to: parts) }
        world.functions = FunctionInterest(state).observer
        let announcement = NodeAnnouncement(directory: directory, host: plan.host, isListed: plan.isListed, logger: logger)
        let redis = try stateAssembly.makeRedis(state) { announce($0, in: announcement) }
        let sandbox = SandboxAssembly(plan: plan, directory: directory, world: world, stateSockets: StateSockets(server: redis))
        let node = try await NodeService(
            settings: plan.nodeSettings,
            world: world, store: store, epoch: epoch, logger: Logger(label: "brume.node"), makeDriver: sandbox.makeDriver)
        warn(logger)
        let removed = await sandbox.removeLeftovers(keeping: try await store.functions())
        if removed > 0 { logger.info("unpacked code of former functions removed", metadata: ["packages": "\(removed)"]) }
        try await node.restore()

        let (storeMetrics, linkMetrics) = (StoreMetrics(), parts.map { _ in LinkMetrics() })
        let watchMetrics = node.driver.memoryGuard.map { WatchMetrics($0) }
        let gateway = Gateway(
            node: node,
            settings: GatewaySettings(
                host: plan.host, port: plan.port, credentials: BrumeGateway.Credentials(user: login.user, password: login.password),
                bodyBytesMax: plan.bodyBytesMax, corsOrigins: plan.corsOrigins, version: Version.current),
            state: state, stateFigures: { state.report().figures + (parts.map { LinkMetrics.figures($0.link.statistics) } ?? []) },
            cluster: NodeCluster(id: identity.id, name: plan.name, labels: cluster.labels, parts: parts, started: .now),
            renderMetrics: {
                node.publishMetrics()
                state.publishMetrics()
                if let parts { linkMetrics?.publish(parts.link.statistics) }
                storeMetrics.publish(store.dropped)
                if let counts = node.driver.watchCounts { watchMetrics?.publish(counts) }
                return String(decoding: registry.render(), as: UTF8.self)
            },
            logger: Logger(label: "brume.gateway"),
            onListening: { _, port in
                announcement.opened(port: port)
                await welcome(port: port, directory: directory, isolation: node.driver.isolation, parts)
            })
        defer { directory.withdraw() }
        parts?.cluster.start(seeds: parts?.seeds ?? [])
        // Ended in the opposite order: what may still write to state ends before it, state tells the others what they lack, then the
        // node says goodbye, then the link ends.
        let drain: [any Service] =
            parts.map { [NodeDrain($0, state: state, close: { node.close($0) }, openCalls: { node.openCalls })] } ?? []
        let all: [any Service] = (parts?.services ?? []) + [state, redis, node, gateway] + drain
        let services = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: all.map { .init(service: $0, successTerminationBehavior: .gracefullyShutdownGroup) },
                gracefulShutdownSignals: [.sigterm, .sigint], logger: Logger(label: "brume.services")))
        try await services.run()
        try await store.close()
    }

    /// Says what does not hold on this machine.
    private func warn(_ logger: Logger) {
        if plan.isolation == .none { logger.warning("functions run without isolation, for development only (--isolation none)") }
        if let missing = LimitCheck.missing() {
            logger.warning("CPU and memory limits do not hold (\(missing)); see what to do with: brume doctor")
        }
    }

    /// Figures and log lines go their way from here on.
    private func bootstrap() -> PrometheusRegistry {
        let registry = NodeRegistry.make()
        MetricsSystem.bootstrap(registry)
        LoggingSystem.bootstrap { [level = plan.logLevel] label in
            var handler = BrumeLogHandler(label: label)
            handler.logLevel = level
            return handler
        }
        return registry
    }

    /// The sockets of functions are nobody's to type.
    private func announce(_ address: RedisListener.Address, in announcement: NodeAnnouncement) {
        guard case .tcp(_, _) = address else { return }
        announcement.opened(redis: "\(address)")
        console.note("  redis      \(address)")
    }

    private func welcome(port: Int, directory: NodeDirectory, isolation: String, _ parts: ClusterAssembly.Parts?) async {
        let style = console.errorStyle
        let host = plan.host == "0.0.0.0" ? "127.0.0.1" : plan.host
        console.note(style.good("brume \(Version.current) listens on http://\(host):\(port)"))
        console.note("  data       \(directory.path)")
        console.note("  isolation  \(isolation)")
        if let parts, let port = await parts.link.port {
            let address = parts.profile.address
            console.note("  link       \(address.isEmpty ? "port \(port)" : address), node \(parts.cluster.id)")
        }
        console.note(style.faint("  next       brume deploy hello --command 'cat' && echo hi | brume invoke hello"))
    }
}
