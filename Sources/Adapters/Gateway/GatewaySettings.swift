// SPDX-License-Identifier: Apache-2.0

package import BrumeModel
import Crypto

/// Everything that a gateway is told when it is made.
package struct GatewaySettings: Sendable {
    /// The address to listen on.
    package var host: String
    /// The port to listen on; 0 takes any free one.
    package var port: Int
    /// What `/system/*` and `/v1/*` ask for; nil leaves them open.
    package var credentials: Credentials?
    /// The largest request body, bytes; a larger one is answered with 413.
    package var bodyBytesMax: Int
    /// Web origins that may read replies: exact origins, or `*` for all. Empty: none.
    package var corsOrigins: [String]
    /// Connections served at once; further ones wait in the kernel's queue.
    package var connectionsMax: Int
    /// How long a connection may be silent between two requests before it is closed.
    package var idleTimeout: Duration
    /// What `/system/info` reports.
    package var version: String
    package var commit: String

    package init(
        host: String = "127.0.0.1", port: Int = 8080, credentials: Credentials? = nil,
        bodyBytesMax: Int = GatewaySettings.defaultBodyBytesMax, corsOrigins: [String] = [],
        connectionsMax: Int = GatewaySettings.defaultConnectionsMax, idleTimeout: Duration = .seconds(180),
        version: String = "dev", commit: String = ""
    ) {
        self.host = host
        self.port = port
        self.credentials = credentials
        self.bodyBytesMax = bodyBytesMax
        self.corsOrigins = corsOrigins
        self.connectionsMax = connectionsMax
        self.idleTimeout = idleTimeout
        self.version = version
        self.commit = commit
    }

    /// 64 MiB: a large photograph or a small model fits, and sixteen such uploads at once do not end an edge box.
    package static let defaultBodyBytesMax = 64 << 20
    /// 8192: an idle connection costs about 20 KiB, so that this many fit into 160 MiB.
    package static let defaultConnectionsMax = 8192
    /// Connections that the kernel keeps until they are accepted; a burst beyond it would have to wait for a retransmission.
    static let backlog = 4096
    /// 1 MiB: no JSON body of the management API comes near it.
    package static let documentBytesMax = 1 << 20

    /// Checks every bound.
    ///
    /// - Throws: `BrumeError` (`invalid`).
    package func validate() throws(BrumeError) {
        guard (0...65_535).contains(port) else {
            throw BrumeError(.invalid, "The port \(port) is not valid; give one between 1 and 65535, or 0 for any free one.")
        }
        guard connectionsMax >= 1 else { throw BrumeError(.invalid, "At least one connection must be allowed.") }
        guard bodyBytesMax >= 1 else { throw BrumeError(.invalid, "The body limit must be at least one byte.") }
        guard idleTimeout >= .seconds(1) else { throw BrumeError(.invalid, "The idle timeout must be at least one second.") }
    }
}

/// A user and a password, held as digests so that comparing takes the same time for every guess.
package struct Credentials: Sendable {
    private let user: SHA256.Digest
    private let password: SHA256.Digest

    package init(user: String, password: String) {
        self.user = SHA256.hash(data: Array(user.utf8))
        self.password = SHA256.hash(data: Array(password.utf8))
    }

    /// Whether both agree. Digests are compared in constant time, and both are compared always.
    package func accept(user: some Sequence<UInt8>, password: some Sequence<UInt8>) -> Bool {
        let sameUser = SHA256.hash(data: Array(user)) == self.user
        let samePassword = SHA256.hash(data: Array(password)) == self.password
        return sameUser && samePassword
    }
}
