// SPDX-License-Identifier: Apache-2.0

package import BrumeModel
package import BrumeState
package import Logging
import ServiceLifecycle

/// Serves state to clients of Redis, on Unix sockets and TCP: one loop of one thread, since the replica is under one lock anyway.
package final class RedisServer: Service {
    private let settings: RedisSettings
    private let logger: Logger
    private let loop: ServerLoop
    private let first: [RedisListener]
    private let onListening: @Sendable (RedisListener.Address) -> Void

    /// - Parameters:
    ///   - listeners: Opened by ``run()``; more can be opened and closed at any time.
    ///   - onListening: Told each address that was bound, with its port.
    /// - Throws: `BrumeError` (`invalid` for settings, `failed` where there is no descriptor or thread left).
    package init(
        access: any StateAccess, settings: RedisSettings, listeners: [RedisListener], logger: Logger,
        onListening: @escaping @Sendable (RedisListener.Address) -> Void = { _ in }
    ) throws(BrumeError) {
        try settings.validate()
        self.settings = settings
        self.logger = logger
        self.first = listeners
        self.onListening = onListening
        loop = try ServerLoop(access: access, settings: settings, logger: logger)
        try loop.start()
    }

    /// Who was not shut down leaves no thread behind either.
    deinit { loop.mail.post(.work { $0.end {} }) }

    /// Serves until the service group shuts down gracefully; then every connection is closed.
    ///
    /// - Throws: `BrumeError` (`conflict` where a port or a path is taken, `invalid` for an address that is none of this machine's).
    package func run() async throws {
        do {
            for listener in first { try await open(listener) }
            try? await gracefulShutdown()
        } catch {
            await shutDown()
            throw error
        }
        await shutDown()
    }

    /// Listens on a further socket; answers with the address that was bound.
    ///
    /// - Throws: `BrumeError`.
    @discardableResult
    package func open(_ listener: RedisListener) async throws(BrumeError) -> RedisListener.Address {
        try checkExposure(listener)
        let socket = try ListeningSocket(listener)
        guard await ask({ $0.add(socket) }) ?? false else {
            socket.close()
            throw BrumeError(.unavailable, "The Redis server has been shut down; start it again.")
        }
        logger.info("listening for Redis clients", metadata: ["address": "\(socket.address)"])
        onListening(socket.address)
        return socket.address
    }

    /// Stops listening on a socket and closes nothing else.
    package func close(_ address: RedisListener.Address) async {
        _ = await ask { $0.remove(address) }
    }

    /// Closes every socket and every connection, and ends the loop.
    package func shutDown() async {
        await withCheckedContinuation { continuation in
            let isPosted = loop.mail.post(.work { $0.end { continuation.resume() } })
            if !isPosted { continuation.resume() }
        }
    }

    /// Has something done on the loop; nil where it has ended.
    private func ask<Answer: Sendable>(_ body: @escaping @Sendable (ServerLoop) -> Answer) async -> Answer? {
        await withCheckedContinuation { continuation in
            let isPosted = loop.mail.post(.work { continuation.resume(returning: body($0)) })
            if !isPosted { continuation.resume(returning: nil) }
        }
    }

    /// Without users, nobody but this machine may come in.
    private func checkExposure(_ listener: RedisListener) throws(BrumeError) {
        guard case .tcp(let host, _) = listener.address, settings.users.isEmpty else { return }
        let isLoopback = host == "localhost" || host == "::1" || host.hasPrefix("127.")
        guard isLoopback else {
            throw BrumeError(
                .invalid,
                "Without users, Redis is served on loopback only; give users and passwords, or listen on 127.0.0.1 instead of \(host).")
        }
    }
}
