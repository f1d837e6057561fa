// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import CBrumeLinux
import Glibc
import NIOCore
import Synchronization

/// One replica from its first directory to its last.
final class Replica: Sendable {
    private struct State {
        var channel: (any ReplicaChannel)?
        var cell: Cell?
        var program: SpawnedProgram?
        var ready = false
        var ended = false
        var calls: [CallID: CallTicket] = [:]
        /// Opened when its limits are changed for the first time.
        var limits: LimitFiles?
        var counters: UsageFiles?
        /// Kills at the memory limit that a call has been told of.
        var memoryKillsSeen = 0
    }

    /// What the driver lends every replica.
    struct Host: Sendable {
        let settings: SandboxSettings
        let tree: CgroupTree
        let spawner: SpawnerKeeper
        let launchers: Launchers
        let spares: SparePool
        let images: ImageStore
        let loops: any EventLoopGroup
        let events: @Sendable (SandboxEvent) -> Void
        let makeChannel: @Sendable (FunctionSpec, ReplicaID) throws -> any ReplicaChannel
        let refused = RefusedWrites()
    }

    let id: ReplicaID
    let spec: FunctionSpec
    private let secrets: [Secret]
    private let host: Host
    private let state = Mutex(State())
    private let stopGrace = OneShot<Duration>()
    private let drained = OneShot<Void>()

    init(_ id: ReplicaID, _ spec: FunctionSpec, _ secrets: [Secret], _ host: Host) {
        (self.id, self.spec, self.secrets, self.host) = (id, spec, secrets, host)
    }

    // MARK: What the driver asks

    func stop(grace: Duration) { stopGrace.set(grace) }

    func usage() -> ReplicaUsage? { state.withLock { $0.ended || $0.program == nil ? nil : $0.cell }?.group.usage() }

    /// Changes a limit.
    ///
    /// - Returns: what is in force now, or nil where it cannot be changed.
    func setLimit(_ kind: ResourceKind, to amount: Int) -> Int? {
        limitFiles()?.set(kind, to: amount)
    }

    private func limitFiles() -> LimitFiles? {
        state.withLock { state in
            guard state.ready, !state.ended, let group = state.cell?.group else { return nil }
            if state.limits == nil {
                state.limits = try? LimitFiles(
                    group, spec.limits, host.settings.memoryHold, host.settings.cpuControl, refused: host.refused)
            }
            return state.limits
        }
    }

    /// Its use of memory was looked at, and the limits that follow from that are written: pauses it where it has none left all the same.
    ///
    /// - Returns: whether it was paused just now.
    func holdBack(using bytes: Int) -> Bool {
        guard let limits = state.withLock({ $0.limits }), limits.holdBack(using: bytes) else { return false }
        host.events(
            .log(id, .platform, "Paused: a call that borrowed its memory cannot give it back yet. It goes on as soon as there is memory."))
        return true
    }

    /// It has no calls any more and so lends nothing: it goes on, and may use what is its own.
    func releaseMemory() { state.withLock { $0.limits }?.releaseMemory() }

    /// Its counters, or nil where nothing is counted.
    func counters() -> UsageFiles? {
        state.withLock { state in
            guard state.ready, !state.ended, let group = state.cell?.group else { return nil }
            if state.counters == nil { state.counters = try? UsageFiles(group) }
            return state.counters
        }
    }

    func cancel(_ call: CallID) { state.withLock { $0.calls[call] == nil ? nil : $0.channel }?.cancel(call) }

    /// Begins a call.
    ///
    /// - Returns: whether the replica could take it.
    func invoke(
        _ call: CallID, _ request: CallRequest<ByteBuffer>, deadline: Instant,
        reply: @escaping @Sendable (Result<CallResponse<ByteBuffer>, CallFailure>) -> Void
    ) -> Bool {
        let ticket = CallTicket(call, reply: reply) { [self] failure in
            host.events(.finished(call, on: id, failure: failure))
            forget(call)
        }
        let channel: (any ReplicaChannel)? = state.withLock { state in
            guard state.ready, !state.ended, let channel = state.channel else { return nil }
            state.calls[call] = ticket
            return channel
        }
        guard let channel else { return false }
        channel.invoke(
            call, request, deadline: deadline, reply: { [self] in ticket.reply(explained($0)) }, finished: { ticket.finish($0) })
        return true
    }

    /// Where a process of the replica failed and the replica lives on, only the control group knows whether memory was the reason.
    private func explained(
        _ result: Result<CallResponse<ByteBuffer>, CallFailure>
    ) -> Result<CallResponse<ByteBuffer>, CallFailure> {
        let failure: CallFailure?
        switch result {
        case .failure(let given): failure = given
        case .success(let response): failure = response.failure
        }
        // With several calls at once a shell's exit code may belong to another call than the kill; a signal does not.
        guard let failure, failure.kind == .crashed || (failure.kind == .exited && spec.concurrency == 1) else { return result }
        let kills = state.withLock { $0.cell }?.group.outOfMemoryKills() ?? 0
        let isNew = state.withLock { state in
            defer { state.memoryKillsSeen = kills }
            return kills > state.memoryKillsSeen
        }
        guard isNew else { return result }
        return .failure(CallFailure(.outOfMemory, memoryLimitWords))
    }

    /// What a call is told that was killed for memory.
    private var memoryLimitWords: String {
        let own = Resources.describe(bytes: spec.limits.memoryBytes)
        let inForce = state.withLock { $0.limits }?.kernelMemory ?? spec.limits.memoryBytes
        guard inForce < spec.limits.memoryBytes else {
            return "The function needed more than its memory limit of \(own); raise --memory, or do less in one call."
        }
        return "The function was killed for memory at a lowered limit: all but \(Resources.describe(bytes: (inForce >> 20) << 20)) of its "
            + "memory limit of \(own) was lent, on a node without the safeguard; deploy it with the annotation dev.brume.harvest=cpu, or "
            + "use the safeguard."
    }

    /// A call has ended in which the kernel killed something: a later one that fails by itself is not to be blamed on it.
    func rememberMemoryKills() {
        let kills = state.withLock { $0.cell }?.group.outOfMemoryKills() ?? 0
        state.withLock { $0.memoryKillsSeen = max($0.memoryKillsSeen, kills) }
    }

    private func forget(_ call: CallID) {
        let empty = state.withLock { state in
            state.calls[call] = nil
            return state.ended && state.calls.isEmpty
        }
        if empty { drained.set(()) }
    }

    // MARK: Its life

    /// Starts, watches and clears away; reports all of it. Returns when nothing is left.
    func run() async {
        var ending = ReplicaEnding(
            status: 0, outOfMemoryKills: 0, stopRequested: false, wasReady: false, startError: nil, errors: [], limits: spec.limits)
        do throws(BrumeError) {
            let (process, channel, spare) = try await launch()
            let (program, client) = (process.program, process.client)
            ending.startError = await becomeReady(channel, process)
            spare?.settled.set(())
            if ending.startError == nil && program.exit.value == nil && stopGrace.value == nil {
                ending.wasReady = true
                state.withLock { $0.ready = true }
                // Opening the files takes longer than a limit may take to be written.
                if host.settings.watchesUse { _ = (limitFiles(), counters()) }
                host.events(.started(id))
                host.spares.want(spec, again: false, host)
                await watch(program, client)
            } else {
                client.kill(program)
            }
            ending.status = await program.exit.wait() ?? SpawnerClient.spawnerGone
        } catch {
            ending.startError = error.description
        }
        ending.stopRequested = stopGrace.value != nil
        let cell = state.withLock { $0.cell }
        ending.outOfMemoryKills = cell?.group.outOfMemoryKills() ?? 0
        ending.errors = await cell?.lastWords() ?? []
        await clearAway(ending.exit)
    }

    private func makeChannel() throws(BrumeError) -> any ReplicaChannel {
        do {
            let channel = try host.makeChannel(spec, id)
            state.withLock { $0.channel = channel }
            return channel
        } catch let error as BrumeError {
            throw error
        } catch {
            throw BrumeError(.failed, "The contract cannot be prepared.", cause: error)
        }
    }

    private typealias Launched = (process: RunningProcess, channel: any ReplicaChannel, spare: Spare?)

    /// Brings a program into a sandbox: into a spare one if there is one, else into one made for it.
    private func launch() async throws(BrumeError) -> Launched {
        if let spare = host.spares.take(for: spec) {
            // One that fails after all is no reason to fail the start.
            if let launched = try await launch(in: spare) { return launched }
            spare.settled.set(())
        }
        let client = try await host.spawner.client()
        let channel = try makeChannel()
        let cell = Cell(name: "\(id)", owner: spec.id.description, replica: id, host)
        state.withLock { $0.cell = cell }
        try cell.makeSocketDirectory()
        var plan = try channel.plan(socketDirectory: cell.socketDirectory)
        try await cell.showState(of: spec)
        var image: UnpackedImage?
        if case .image(let reference) = spec.package {
            let found = try host.images.image(of: reference)
            plan = plan.completed(by: found, spec)
            image = found
        }
        cell.openSockets()
        let program = try await cell.launch(spec, plan, image: image, secrets: secrets, by: client)
        return (run(program, in: cell, by: client), channel, nil)
    }

    /// Nil if the spare is of no use after all; nothing of it is left then.
    private func launch(in spare: Spare) async throws(BrumeError) -> Launched? {
        let channel: any ReplicaChannel
        do throws(BrumeError) {
            channel = try makeChannel()
        } catch {
            spare.settled.set(())
            await spare.discard()
            throw error
        }
        do throws(BrumeError) {
            let plan = try channel.plan(socketDirectory: spare.cell.socketDirectory)
            try await spare.cell.showState(of: spec)
            spare.cell.openSockets()
            spare.cell.belong(to: id)
            try await spare.become(plan, secrets: secrets)
        } catch {
            channel.terminated(CallFailure(.startFailed, error.description))
            await spare.discard()
            return nil
        }
        state.withLock { $0.cell = spare.cell }
        return (run(spare.program, in: spare.cell, by: spare.client), channel, spare)
    }

    private func run(_ program: SpawnedProgram, in cell: Cell, by client: SpawnerClient) -> RunningProcess {
        state.withLock { $0.program = program }
        return RunningProcess(
            replica: id, socketDirectory: cell.socketDirectory, client: client, program: program, group: cell.group)
    }

    private enum StartOutcome: Sendable { case ready, gone, late, failed(String) }

    /// Waits for the channel.
    ///
    /// - Returns: why the replica is not ready, or nil if it is, or if its own end says why.
    private func becomeReady(_ channel: any ReplicaChannel, _ process: RunningProcess) async -> String? {
        let (program, client) = (process.program, process.client)
        let limit = host.settings.startTimeout
        return await withTaskGroup(of: StartOutcome.self) { group in
            group.addTask {
                // There is nothing to be ready before the inside exists.
                guard await program.inside.wait() != nil else { return .gone }
                do throws(BrumeError) {
                    try await channel.ready(process)
                    return .ready
                } catch {
                    return .failed(error.description)
                }
            }
            group.addTask {
                _ = await program.exit.wait()
                return .gone
            }
            group.addTask { [stopGrace] in
                _ = await stopGrace.wait()
                return .gone
            }
            group.addTask {
                try? await Task.sleep(for: limit)
                return .late
            }
            let outcome = await group.next() ?? .gone
            if case .ready = outcome {} else { client.kill(program) }
            group.cancelAll()
            return switch outcome {
            case .ready, .gone: nil
            case .late: "it was not ready after \(limit); check that it listens where its contract says"
            case .failed(let reason): reason
            }
        }
    }

    /// Waits for the end, and brings it about when asked.
    private func watch(_ program: SpawnedProgram, _ client: SpawnerClient) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { _ = await program.exit.wait() }
            group.addTask { [stopGrace] in
                guard let grace = await stopGrace.wait() else { return }
                if grace > .zero {
                    client.askToStop(program)
                    try? await Task.sleep(for: grace)
                }
                // Also when this task was cancelled in its sleep: then the program is gone and nothing happens.
                client.kill(program)
                _ = await program.exit.wait()
            }
            await group.next()
            group.cancelAll()
        }
    }

    private func clearAway(_ exit: ReplicaExit) async {
        let failure = ReplicaEnding.failure(for: exit)
        let (channel, cell, idle) = state.withLock { state in
            state.ended = true
            (state.limits, state.counters) = (nil, nil)
            return (state.channel, state.cell, state.calls.isEmpty)
        }
        channel?.terminated(failure)
        if !idle, await drained.wait(atMost: SandboxLimits.drain) == nil {
            for ticket in state.withLock({ Array($0.calls.values) }).sorted(by: { $0.call < $1.call }) { ticket.finish(failure) }
        }
        if let cell, await !cell.clearAway() {
            host.events(
                .log(id, .platform, "A control group of this replica could not be removed; the next start of the node tries again."))
        }
        state.withLock { $0.channel = nil }
        host.events(.exited(id, exit))
    }
}

/// A started replica as its channel sees it.
struct RunningProcess: SandboxProcess {
    let replica: ReplicaID
    let socketDirectory: String
    let client: SpawnerClient
    let program: SpawnedProgram
    let group: ReplicaCgroup

    var memoryKills: Int { group.outOfMemoryKills() }

    func connect(port: Int) async throws(BrumeError) -> CInt { try await client.reach(program, listening: false, port: port) }

    func listen(port: Int) async throws(BrumeError) -> CInt { try await client.reach(program, listening: true, port: port) }
}
