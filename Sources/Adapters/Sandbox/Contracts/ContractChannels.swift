// SPDX-License-Identifier: Apache-2.0

package import BrumeModel
package import NIOCore

/// Makes, for each contract, the files that a function needs on this node and the channel that speaks to a replica of it.
package struct ContractChannels: Sendable {
    package struct Settings: Sendable {
        /// Serves the connections of every replica.
        package var group: any EventLoopGroup
        /// Directory of unpacked code; its content can be made again from the bundles.
        package var codeRoot: String
        /// Host path of the `brume-agent` program.
        package var agentPath: String
        /// Set where sandboxes share the host's loopback (no isolation), so that ports must be chosen free.
        package var sharesLoopback: Bool
        package var limits: ContractLimits
        /// Environment of the installers (proxy, index and certificate settings of the operator); nothing else reaches them.
        package var installEnvironment: [String: String]
        /// Who installers and compilers run as when the node is root: code in a package must not run as root.
        package var installUser: UInt32
        /// A time of the node's clock on the wall clock, which is the one that functions see.
        package var wallTime: @Sendable (Instant) -> Instant = { $0 }
        /// Whether functions find a socket to state in their sandbox, and its address in `REDIS_URL`.
        package var offersState = false
        /// Lines about a function that no replica wrote (what an installer said).
        package var log: @Sendable (FunctionID, String) -> Void

        package init(
            group: any EventLoopGroup, codeRoot: String, agentPath: String, sharesLoopback: Bool = false,
            limits: ContractLimits = ContractLimits(), installEnvironment: [String: String] = [:], installUser: UInt32 = 65_534,
            log: @escaping @Sendable (FunctionID, String) -> Void = { _, _ in }
        ) {
            self.group = group
            self.codeRoot = codeRoot
            self.agentPath = agentPath
            self.sharesLoopback = sharesLoopback
            self.limits = limits
            self.installEnvironment = installEnvironment
            self.installUser = installUser
            self.log = log
        }

        /// Event loops that serve connections.
        var loopCount: Int { group.makeIterator().reduce(0) { count, _ in count + 1 } }
    }

    package let settings: Settings

    package init(_ settings: Settings) { self.settings = settings }

    /// The channel for one replica that is about to start; `prepare` must have succeeded for this spec.
    ///
    /// - Throws: `BrumeError` where the contract and the package do not fit together.
    package func makeChannel(for spec: FunctionSpec, replica: ReplicaID) throws(BrumeError) -> any ReplicaChannel {
        let settings = settings
        func upstream(
            _ kind: UpstreamChannel.Kind, plan: @escaping @Sendable () throws(BrumeError) -> LaunchPlan
        ) -> UpstreamChannel {
            UpstreamChannel(
                kind: kind, capacity: spec.concurrency, loopCount: settings.loopCount, group: settings.group, limits: settings.limits,
                plan: plan)
        }
        switch spec.contract {
        case .fork(let command):
            return upstream(.workers(ends: true)) { () throws(BrumeError) in
                LaunchPlanner(settings: settings, spec: spec, replica: replica).fork(command)
            }
        case .handler(let language, let file):
            return upstream(.workers(ends: false)) { () throws(BrumeError) in
                try LaunchPlanner(settings: settings, spec: spec, replica: replica).handler(language, file: file)
            }
        case .http(let command, let port):
            var port = port
            if settings.sharesLoopback || spec.network {
                // Two replicas cannot both have the same port of the host.
                let free = try HostSocket.listenLoopback()
                HostSocket.close(free.handle)
                port = free.port
            }
            return upstream(.server(port: port)) { [port] () throws(BrumeError) in
                LaunchPlanner(settings: settings, spec: spec, replica: replica).http(command, port: port)
            }
        case .lambda(let executable):
            return try LambdaChannel(
                spec: spec, group: settings.group, limits: settings.limits, sharesLoopback: settings.sharesLoopback || spec.network,
                wallTime: settings.wallTime
            ) { port in
                LaunchPlanner(settings: settings, spec: spec, replica: replica).lambda(executable, port: port)
            }
        }
    }

    /// What waits in a spare sandbox of this kind, or nil where it cannot be had yet.
    package func makeSpare(_ kind: SpareKind) -> LaunchPlan? { LaunchPlanner.spare(kind, settings) }

    /// Makes a function's files ready on this node; see `SandboxDriver.prepare`. Idempotent, and safe against being cut off.
    package func prepare(_ spec: FunctionSpec, bundle: String?) async throws {
        try await Preparation(settings: settings, spec: spec).run(bundle: bundle)
    }
}
