// SPDX-License-Identifier: Apache-2.0

package import BrumeModel
import CBrumeLinux
import Glibc
package import NIOCore
import Synchronization

/// The real sandbox: processes behind namespaces, control groups and a system call filter, started by the spawner.
package final class LinuxSandbox: SandboxDriver {
    package typealias Payload = ByteBuffer
    package typealias EventSink = @Sendable (SandboxEvent) -> Void
    package typealias ChannelFactory = @Sendable (FunctionSpec, ReplicaID) throws -> any ReplicaChannel

    private struct State {
        var replicas: [ReplicaID: (replica: Replica, life: Task<Void, Never>)] = [:]
        var closing = false
    }

    private let host: Replica.Host
    private let prepareFunction: @Sendable (FunctionSpec, String?) async throws -> Void
    private let watcher: UsageWatcher?
    /// How the memory of calls that lend is guarded; nil where nothing is lent.
    package let memoryGuard: MemoryGuard?
    private let state = Mutex(State())

    /// Makes the directories, clears away what a killed node left, and starts the spawner.
    ///
    /// - Parameters:
    ///   - group: reads the output of all replicas.
    ///   - events: told everything that happens, from several threads, in order for each replica.
    ///   - makeChannel: makes a contract's way to talk to one replica.
    ///   - makeSpare: what waits in a spare sandbox; without it there are none.
    ///   - prepare: makes a function's files ready.
    /// - Throws: `BrumeError` (`unsupported` where a tool or a right is missing).
    package init(
        settings: SandboxSettings, group: any EventLoopGroup, events: @escaping EventSink, makeChannel: @escaping ChannelFactory,
        makeSpare: @escaping @Sendable (SpareKind) -> LaunchPlan? = { _ in nil },
        prepare: @escaping @Sendable (FunctionSpec, String?) async throws -> Void
    ) async throws(BrumeError) {
        var settings = settings
        try HostFiles.makeDirectory(settings.stateDirectory)
        settings.stateDirectory = HostFiles.resolved(settings.stateDirectory) ?? settings.stateDirectory
        guard let spawner = SandboxSettings.helper("brume-spawner", given: settings.spawner) else {
            throw BrumeError(
                .unsupported, "The program brume-spawner is not beside this one; install it there or in ../libexec/brume.")
        }
        let tree = CgroupTree.make(name: settings.groupName)
        _ = await tree.cleanUp()
        try Self.makeDirectories(settings)
        let launchers = try Launchers.make(settings, tree)
        if settings.isolation == .sandbox { try await SharedEtc.make(settings.etcDirectory) }
        let keeper = try await SpawnerKeeper(path: spawner, joinFast: settings.joinFast && tree.isLegacy)
        let can = await keeper.can
        let canAdopt = settings.isolation == .sandbox && can & UInt32(BRUME_CAN_ADOPT) != 0
        host = Replica.Host(
            settings: settings, tree: tree, spawner: keeper, launchers: launchers,
            spares: SparePool(perProfile: canAdopt ? min(settings.spares, SandboxSettings.sparesMax) : 0, plan: makeSpare),
            images: ImageStore(root: "\(settings.stateDirectory)/images"), loops: group,
            events: events, makeChannel: makeChannel)
        prepareFunction = prepare
        guard settings.watchesUse && tree.isUsable else {
            (watcher, memoryGuard) = (nil, nil)
            return
        }
        let pressure = tree.memoryPressure.flatMap { PressureTrigger($0) }
        memoryGuard = MemoryGuard(tree, pressure, settings.memoryHold)
        watcher = try UsageWatcher(pressure: pressure) { events(.used($0)) }
    }

    /// What the watcher of running calls has done so far; nil where it has nothing to do.
    package var watchCounts: WatchCounts? {
        guard var counts = watcher?.counts else { return nil }
        counts.refused = host.refused.total
        return counts
    }

    private static func makeDirectories(_ settings: SandboxSettings) throws(BrumeError) {
        HostFiles.remove("\(settings.stateDirectory)/replicas")
        HostFiles.remove(settings.socketRoot)
        try HostFiles.makeDirectory("\(settings.stateDirectory)/replicas", mode: 0o700)
        // The longest socket path: root, replica, name; the kernel's limit is 107 bytes.
        guard settings.socketRoot.utf8.count <= 60 else {
            throw BrumeError(
                .invalid, "The path of the data directory is too long for sockets in it; choose one of at most 50 characters.")
        }
        try HostFiles.makeDirectory(settings.socketRoot, mode: geteuid() == 0 ? 0o711 : 0o700)
        if settings.stateSocket != nil { try HostFiles.makeDirectory(settings.stateSocketDirectory, mode: 0o700) }
    }

    /// The isolation in force, one sentence.
    package var isolation: String { host.launchers.plain.summary + host.spares.summary }

    /// Spare sandboxes that wait now.
    package var spareCount: Int { host.spares.count }

    /// Waits until the function's next start would find a spare sandbox; false where there will be none. For tests and measurements.
    package func waitForSpare(_ spec: FunctionSpec) async -> Bool { await host.spares.waitForSpare(spec) }

    func spawnerClient() async throws(BrumeError) -> SpawnerClient { try await host.spawner.client() }

    /// Name of the parent control group in every hierarchy.
    package var groupName: String { host.settings.groupName }

    // MARK: SandboxDriver

    package func prepare(_ spec: FunctionSpec, bundle: String?) async throws {
        if case .image(let reference) = spec.package { try await host.images.prepare(reference) }
        try await prepareFunction(spec, bundle)
        host.spares.want(spec, again: true, host)
    }

    package func start(_ replica: ReplicaID, of spec: FunctionSpec, secrets: [Secret]) {
        let made = Replica(replica, spec, secrets, host)
        let refusal: String? = state.withLock { state in
            if state.closing { return "the node is shutting down" }
            if state.replicas[replica] != nil { return "a replica with this number is running" }
            let life = Task { [weak self] in
                await made.run()
                self?.forget(replica)
            }
            state.replicas[replica] = (made, life)
            return nil
        }
        if let refusal { host.events(.exited(replica, ReplicaExit(.startFailed, "The function did not start: \(refusal)."))) }
    }

    private func forget(_ replica: ReplicaID) { state.withLock { _ = $0.replicas.removeValue(forKey: replica) } }

    private func find(_ replica: ReplicaID) -> Replica? { state.withLock { $0.replicas[replica]?.replica } }

    package func invoke(
        _ call: CallID, _ request: CallRequest<ByteBuffer>, on replica: ReplicaID, deadline: Instant, reply: @escaping ReplyHandler
    ) {
        if let found = find(replica), found.invoke(call, request, deadline: deadline, reply: reply) { return }
        let failure = CallFailure(.unsent, "The replica was gone before the call reached it; try again.")
        reply(.failure(failure))
        host.events(.finished(call, on: replica, failure: failure))
    }

    package func cancel(_ call: CallID, on replica: ReplicaID) { find(replica)?.cancel(call) }

    package func stop(_ replica: ReplicaID, grace: Duration) { find(replica)?.stop(grace: grace) }

    package func usage(of replica: ReplicaID) -> ReplicaUsage? { find(replica)?.usage() }

    package func setLimit(_ kind: ResourceKind, to amount: Int, of replica: ReplicaID) -> Int? {
        find(replica)?.setLimit(kind, to: amount)
    }

    package func beginUse(of replica: ReplicaID) {
        guard let watcher, let found = find(replica), let counters = found.counters() else { return }
        watcher.begin(replica, counters) { found.holdBack(using: $0) }
    }

    package func endUse(of replica: ReplicaID) -> CallUsage? {
        let usage = watcher?.end(replica)
        let found = find(replica)
        if let usage, usage.memoryKills > 0 { found?.rememberMemoryKills() }
        found?.releaseMemory()
        return usage
    }

    /// How long replicas may take to end by themselves when the node shuts down.
    private static let shutdownGrace = Duration.seconds(2)

    package func shutdown() async {
        let lives = state.withLock { state in
            state.closing = true
            return state.replicas.values.map { ($0.replica, $0.life) }
        }
        for (replica, _) in lives { replica.stop(grace: Self.shutdownGrace) }
        for (_, life) in lives { await life.value }
        await watcher?.close()
        await host.spares.close()
        await host.spawner.close()
        host.tree.remove()
        HostFiles.remove(host.settings.socketRoot)
        HostFiles.remove("\(host.settings.stateDirectory)/replicas")
    }
}
