// SPDX-License-Identifier: Apache-2.0

package import BrumeModel
package import BrumeState
package import Hummingbird
import HummingbirdCore
package import Logging
package import NIOCore
import ServiceLifecycle

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// The HTTP front of a node: the OpenFaaS API, the native routes and the functions themselves, on one port.
package struct Gateway<Node: NodeOperations>: Service where Node.Payload == ByteBuffer {
    private let settings: GatewaySettings
    private let front: FunctionFront<Node>
    private let state: StateRoutes
    private let renderMetrics: @Sendable () -> String
    private let onListening: @Sendable (_ host: String, _ port: Int) async -> Void
    private let logger: Logger

    /// - Parameters:
    ///   - state: The node's objects, or nil where it keeps none.
    ///   - stateFigures: What `/v1/state` tells beside the objects.
    ///   - renderMetrics: The text that `/metrics` answers with.
    ///   - onListening: Called once, with the address and the port that were bound.
    package init(
        node: Node, settings: GatewaySettings, state: (any StateAccess)? = nil,
        stateFigures: @escaping @Sendable () -> [(name: String, value: Double)] = { [] }, renderMetrics: @escaping @Sendable () -> String,
        logger: Logger, onListening: @escaping @Sendable (_ host: String, _ port: Int) async -> Void = { _, _ in }
    ) {
        self.settings = settings
        self.front = FunctionFront(node: node, settings: settings, metrics: GatewayMetrics(), clock: GatewayClock())
        self.state = StateRoutes(access: state, figures: stateFigures)
        self.renderMetrics = renderMetrics
        self.onListening = onListening
        self.logger = logger
    }

    /// The Hummingbird application, for a service group or for a test.
    package func application() throws -> Application<GatewayResponder> {
        let router = Router(context: GatewayContext.self)
        for route in try routes() { router.add(route) }
        let responder = GatewayResponder(
            router: router.buildResponder(), credentials: settings.credentials, cors: front.cors)
        let onListening = onListening
        let host = settings.host
        return Application(
            responder: responder,
            server: HTTPServerBuilder { [front] responder in GatewayChannel(front: front, responder: responder) },
            configuration: ApplicationConfiguration(
                address: .hostname(settings.host, port: settings.port), backlog: GatewaySettings.backlog,
                availableConnectionsDelegate: MaximumAvailableConnections(settings.connectionsMax)),
            onServerRunning: { channel in
                await onListening(channel.localAddress?.ipAddress ?? host, channel.localAddress?.port ?? 0)
            },
            logger: logger)
    }

    /// Serves until the service group shuts down gracefully: then no new request is taken, and those that run are finished.
    ///
    /// - Throws: `BrumeError` (`conflict` where the port is taken, `permission` where it may not be bound, `invalid` for bad settings).
    package func run() async throws {
        try settings.validate()
        do {
            try await application().run()
        } catch let error as IOError {
            throw bindError(error)
        } catch let error where error is SocketAddressError || error is SocketAddressError.UnknownHost {
            throw BrumeError(
                .invalid, "The address '\(settings.host)' cannot be listened on; give one of this machine's, or 0.0.0.0 for all.",
                cause: error)
        }
    }

    private func bindError(_ error: IOError) -> BrumeError {
        switch error.errnoCode {
        case EADDRINUSE:
            BrumeError(
                .conflict,
                "Port \(settings.port) on \(settings.host) is in use; stop the program that holds it, or choose another with --port.",
                cause: error)
        case EACCES, EPERM:
            BrumeError(
                .permission,
                "Port \(settings.port) may not be bound by this user; choose one above 1023 with --port, or run as root.", cause: error)
        case EADDRNOTAVAIL:
            BrumeError(
                .invalid, "The address '\(settings.host)' does not belong to this machine; give one that does, or 0.0.0.0 for all.",
                cause: error)
        default: BrumeError(.failed, "The gateway's socket failed.", cause: error)
        }
    }

    /// Every path that the router serves; `/function/*` is served before the router.
    func routes() throws -> [Route] {
        let functions = FunctionRoutes(front: front)
        let storage = StorageRoutes(node: front.node)
        let system = SystemRoutes(front: front, renderMetrics: renderMetrics)
        let native = NativeRoutes(node: front.node)
        return functions.routes + storage.routes + system.routes + native.routes + state.routes
    }
}
