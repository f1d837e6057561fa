// SPDX-License-Identifier: Apache-2.0

import Logging
import Synchronization

/// What the node tells clients on this machine about where it listens, brought up to date as its doors open.
final class NodeAnnouncement: Sendable {
    private struct Doors {
        var port: Int?
        var redis: String?
    }

    private let directory: NodeDirectory
    private let host: String
    private let isListed: Bool
    private let logger: Logger
    private let doors = Mutex(Doors())

    init(directory: NodeDirectory, host: String, isListed: Bool, logger: Logger) {
        (self.directory, self.host, self.isListed, self.logger) = (directory, host, isListed, logger)
    }

    /// The HTTP front listens.
    func opened(port: Int) { write { $0.port = port } }

    /// Redis clients are served at `HOST:PORT`.
    func opened(redis: String) { write { $0.redis = redis } }

    /// Writes under the lock, so that of two doors that open at once the second one's file holds both. Nothing is told before the front
    /// listens: that the file is there says that the node can be asked.
    private func write(_ change: (inout Doors) -> Void) {
        doors.withLock { doors in
            change(&doors)
            guard let port = doors.port else { return }
            do {
                try directory.announce(host: host, port: port, redis: doors.redis, isListed: isListed)
            } catch {
                logger.warning("node.json not written; clients need --url", metadata: ["error": "\(error)"])
            }
        }
    }
}
