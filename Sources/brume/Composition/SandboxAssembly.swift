// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeNode
import BrumeSandbox
import FoundationEssentials
import NIOPosix
import SystemPackage

/// Makes the sandbox driver of a node from its plan.
struct SandboxAssembly {
    let plan: NodePlan
    let directory: NodeDirectory
    let world: NodeWorld
    let stateSockets: StateSockets

    private var stateDirectory: String { directory.path.appending("sandbox").string }
    private var codeRoot: String { directory.path.appending("unpacked").string }

    /// Gives the disk back that functions take which are not deployed any more; call before any is prepared.
    func removeLeftovers(keeping functions: [StoredFunction]) async -> Int {
        await Leftovers(codeRoot: codeRoot, stateDirectory: stateDirectory).remove(keeping: functions.map(\.spec))
    }

    /// - Throws: `BrumeError` (`unsupported`) where the isolation asked for cannot be had on this machine, with the command that mends it.
    func makeDriver(events: @escaping @Sendable (SandboxEvent) -> Void) async throws(BrumeError) -> LinuxSandbox {
        let isolation: SandboxSettings.Isolation = plan.isolation == .none ? .none : .sandbox
        var settings = SandboxSettings(stateDirectory: stateDirectory, isolation: isolation, spares: plan.spares)
        settings.watchesUse = plan.sharing.harvests
        settings.cpuControl = plan.sharing.cpuControl
        settings.memoryHold = plan.sharing.memoryHold
        settings.stateSocket = { [stateSockets] function, directory async throws(BrumeError) in
            try await stateSockets.socket(of: function, in: directory)
        }
        settings.stateSocketLeft = { [stateSockets] function, directory in await stateSockets.left(by: function, in: directory) }
        guard let agent = SandboxSettings.helper("brume-agent", given: settings.agent) else {
            throw BrumeError(.unsupported, "The program brume-agent is not beside this one; install it there or in ../libexec/brume.")
        }
        var contracts = ContractChannels.Settings(
            group: MultiThreadedEventLoopGroup.singleton, codeRoot: codeRoot, agentPath: agent, sharesLoopback: plan.isolation == .none,
            installEnvironment: Self.installEnvironment())
        contracts.offersState = true
        contracts.wallTime = { [world] in world.wallTime(of: $0) }
        let channels = ContractChannels(contracts)
        return try await LinuxSandbox(
            settings: settings, group: MultiThreadedEventLoopGroup.singleton, events: events,
            makeChannel: { try channels.makeChannel(for: $0, replica: $1) }, makeSpare: { channels.makeSpare($0) },
            prepare: { try await channels.prepare($0, bundle: $1) })
    }

    /// What package installers may know of the operator's environment: where to fetch from, and how.
    private static func installEnvironment() -> [String: String] {
        let prefixes = ["PIP_", "NPM_CONFIG_", "npm_config_"]
        let names = ["http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE"]
        return ProcessInfo.processInfo.environment.filter { name, _ in
            names.contains(name) || prefixes.contains { name.hasPrefix($0) }
        }
    }
}
