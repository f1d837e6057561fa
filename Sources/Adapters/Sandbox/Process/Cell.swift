// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Glibc
import NIOCore
import Synchronization

/// One sandbox on the host: its directories, its control group, its output and its program, from the first to the last.
///
/// A replica makes one for itself, or takes over the one of a spare.
final class Cell: Sendable {
    private struct State {
        var outputs: [ReplicaOutput] = []
        /// Whose lines the output is; a spare has nothing to say.
        var replica: ReplicaID?
        /// The function that was given the socket of its state.
        var shown: FunctionSpec?
        /// Set from the moment on that something has to be given back to it.
        var launcher: (any Launcher)?
    }

    /// Unique on this node.
    let name: String
    /// Who shares a host uid: all sandboxes of the same owner.
    let owner: String
    let group: ReplicaCgroup
    private let host: Replica.Host
    private let state: Mutex<State>

    init(name: String, owner: String, replica: ReplicaID?, _ host: Replica.Host) {
        (self.name, self.owner, self.host) = (name, owner, host)
        group = ReplicaCgroup(tree: host.tree, name: name)
        state = Mutex(State(replica: replica))
    }

    var socketDirectory: String { "\(host.settings.socketRoot)/\(name)" }
    private var directory: String { "\(host.settings.stateDirectory)/replicas/\(name)" }

    func makeSocketDirectory() throws(BrumeError) { try HostFiles.makeDirectory(socketDirectory) }

    /// Shows the function its state: nothing where the node keeps none.
    func showState(of function: FunctionSpec) async throws(BrumeError) {
        guard let socket = host.settings.stateSocket else { return }
        let path = try await socket(function, host.settings.stateSocketDirectory)
        state.withLock { $0.shown = function }
        let error = HostFiles.link(path, "\(socketDirectory)/\(Inside.stateSocketName)")
        if error != 0 { throw HostFiles.failure("show the function its state at", path, error) }
    }

    /// The sandbox's uid is not the node's: connecting takes the right to write to the socket.
    func openSockets() {
        for name in HostFiles.names(in: socketDirectory) { HostFiles.setMode("\(socketDirectory)/\(name)", 0o666) }
    }

    /// From now on the output is this replica's.
    func belong(to replica: ReplicaID) { state.withLock { $0.replica = replica } }

    /// Makes everything outside the process, then the process.
    func launch(
        _ spec: FunctionSpec, _ plan: LaunchPlan, image: UnpackedImage? = nil, secrets: [Secret] = [], by client: SpawnerClient
    ) async throws(BrumeError) -> SpawnedProgram {
        try group.create(spec.limits, endsTogether: spec.contract.endsTogether, cpu: host.settings.cpuControl)
        let launcher = host.launchers.launcher(for: image)
        state.withLock { $0.launcher = launcher }
        var order = try launcher.order(
            LaunchRequest(
                name: name, owner: owner, spec: spec, plan: plan, image: image, secrets: secrets, socketDirectory: socketDirectory,
                directory: directory))
        order.join(group)

        var pipes: [CInt] = [-1, -1, -1, -1]
        let error = HostFiles.pipes(&pipes)
        defer { for end in [pipes[1], pipes[3]] where end >= 0 { _ = close(end) } }
        for (index, stream) in [LogLine.Stream.stdout, .stderr].enumerated() where pipes[2 * index] >= 0 {
            let output = ReplicaOutput(pipes[2 * index], stream, on: host.loops.next()) { [weak self, events = host.events] stream, text in
                if let replica = self?.state.withLock({ $0.replica }) { events(.log(replica, stream, text)) }
            }
            state.withLock { $0.outputs.append(output) }
        }
        guard error == 0 else { throw HostFiles.failure("make", "the output pipes", error) }
        return try await client.spawn(order, output: pipes[1], errors: pipes[3])
    }

    /// Waits for what a program that is gone has written.
    ///
    /// - Returns: its last lines of standard error.
    func lastWords() async -> [String] {
        let outputs = state.withLock { $0.outputs }
        for output in outputs where await output.finished.wait(atMost: SandboxLimits.lastOutput) == nil { output.close() }
        return outputs.last?.tail ?? []
    }

    /// Ends what is left in it and removes it from the host.
    ///
    /// - Returns: whether nothing is left.
    @discardableResult
    func clearAway() async -> Bool {
        group.kill()
        let isGone = await group.remove()
        HostFiles.remove(socketDirectory)
        HostFiles.remove(directory)
        let launcher = state.withLock { state in
            defer { state.launcher = nil }
            return state.launcher
        }
        launcher?.forget(owner)
        let shown = state.withLock { state in
            defer { state.shown = nil }
            return state.shown
        }
        if let shown { await host.settings.stateSocketLeft?(shown, host.settings.stateSocketDirectory) }
        return isGone
    }
}

extension Contract {
    /// Whether running out of memory ends the whole replica, or (one process for each call) only the process.
    var endsTogether: Bool { if case .fork = self { false } else { true } }
}
