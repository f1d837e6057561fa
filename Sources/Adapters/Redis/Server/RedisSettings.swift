// SPDX-License-Identifier: Apache-2.0

package import BrumeModel
import Crypto

/// Everything that a Redis server is told when it is made.
package struct RedisSettings: Sendable {
    /// Who may come in over TCP. Empty: everybody, and then only loopback is listened on.
    package var users: [RedisUser]
    /// What `INFO` reports as this node's version.
    package var version: String
    /// The largest single key, element or value, bytes.
    package var valueBytesMax: Int
    /// Connections served at once, all sockets together; a further one is answered with an error and closed.
    package var clientsMax: Int
    /// How long a client may be silent before it is closed; nil for ever, as Redis does.
    package var idleTimeout: Duration?

    package init(
        users: [RedisUser] = [], version: String = "dev", valueBytesMax: Int = RedisSettings.defaultValueBytesMax,
        clientsMax: Int = RedisSettings.defaultClientsMax, idleTimeout: Duration? = nil
    ) {
        self.users = users
        self.version = version
        self.valueBytesMax = valueBytesMax
        self.clientsMax = clientsMax
        self.idleTimeout = idleTimeout
    }

    /// 8 MiB: Redis takes 512, but a value travels to other nodes in frames of 4 MiB and must not keep them from everything else.
    package static let defaultValueBytesMax = 8 << 20
    /// 10,000 as in Redis; an idle client costs about 5 KiB.
    package static let defaultClientsMax = 10_000
    /// Replies that a client has not read, bytes: past it nothing more is read from the client until it reads.
    static let unreadBytesPause = 1 << 20
    /// Messages of channels that a client has not read, bytes: past it the client is closed, since channels do not wait.
    static let unreadBytesMax = 32 << 20
    /// Requests that are executed under one hold of the lock: 1,024 take about a millisecond, and others wait for it meanwhile.
    static let requestsPerRun = 1_024
    /// Commands that wait for EXEC, each bounded by the limits of a request.
    static let queuedMax = 65_536
    /// Bytes of commands that wait for EXEC.
    static let queuedBytesMax = 64 << 20
    /// Keys that one client watches.
    static let watchedMax = 16_384
    /// Channels and patterns of one client.
    static let subscriptionsMax = 16_384
    /// How long a write or a read waits for other nodes before it is answered with an error.
    static let settlementLimit = Duration.seconds(5)

    /// How long the first command in a namespace waits for the namespace to come; past it, it sees what there is.
    static let presenceLimit = Duration.seconds(2)

    /// Checks every bound.
    ///
    /// - Throws: `BrumeError` (`invalid`).
    package func validate() throws(BrumeError) {
        guard clientsMax >= 1 else { throw BrumeError(.invalid, "At least one Redis client must be allowed.") }
        guard (1...(512 << 20)).contains(valueBytesMax) else {
            throw BrumeError(.invalid, "The largest value must be between 1 byte and 512 MiB.")
        }
        let names = users.map(\.name)
        guard Set(names).count == names.count else {
            throw BrumeError(.invalid, "Two Redis users have the same name; give each its own.")
        }
    }
}

/// Where a server listens, and whose state is served there.
package struct RedisListener: Sendable, Hashable {
    /// The socket.
    package enum Address: Sendable, Hashable, CustomStringConvertible {
        /// A path; what was there is replaced if it is a socket nobody listens on.
        case unix(String)
        /// Port 0 takes any free one.
        case tcp(host: String, port: Int)

        package var description: String {
            switch self {
            case .unix(let path): path
            case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
            }
        }
    }

    /// Who comes in.
    package enum Door: Sendable, Hashable {
        /// Whoever reaches the socket works in this namespace and in no other: a sandbox's own socket.
        case namespace(String)
        /// Users say who they are and work in their own namespaces. Without users, everybody works in this namespace.
        case users(unauthenticated: String)
    }

    package var address: Address
    package var door: Door

    package init(_ address: Address, door: Door) {
        self.address = address
        self.door = door
    }
}

/// Somebody who may come in: a name, a password's digest, and what they may do in which namespace.
package struct RedisUser: Sendable {
    package let name: String
    /// SHA-256 of the password, so that neither settings nor memory hold the password itself.
    let digest: SHA256Digest
    package let namespace: String
    package let isReadOnly: Bool
    /// Categories of commands (`read`, `write`, `string`, ...) that are allowed; nil for all.
    package let categories: [String]?

    /// - Parameter passwordSHA256: 64 hexadecimal digits.
    /// - Throws: `BrumeError` (`invalid`) for a name with spaces, a digest that is none, or an unknown category.
    package init(
        name: String, passwordSHA256: String, namespace: String, isReadOnly: Bool = false, categories: [String]? = nil
    ) throws(BrumeError) {
        guard !name.isEmpty, name.utf8.allSatisfy({ $0 > 32 && $0 < 127 }) else {
            throw BrumeError(.invalid, "A Redis user's name must be of visible ASCII characters without spaces.")
        }
        guard let digest = SHA256Digest(hexadecimal: passwordSHA256) else {
            throw BrumeError(
                .invalid, "The password of Redis user '\(name)' must be given as the 64 hexadecimal digits of its SHA-256.")
        }
        for category in categories ?? [] where !AccessRules.categories.contains(category) {
            throw BrumeError(.invalid, "'\(category)' is no category of commands; ACL CAT lists them.")
        }
        self.name = name
        self.digest = digest
        self.namespace = namespace
        self.isReadOnly = isReadOnly
        self.categories = categories
    }

    func accepts(password: ArraySlice<UInt8>) -> Bool { SHA256Digest(of: password) == digest }
}

/// A SHA-256, compared in the same time wherever two differ.
struct SHA256Digest: Sendable, Equatable {
    private let bytes: [UInt8]

    init(of data: some Collection<UInt8>) { bytes = Array(SHA256.hash(data: Array(data))) }

    init?(hexadecimal text: String) {
        let digits = text.utf8.compactMap { Self.value($0) }
        guard digits.count == 64, text.utf8.count == 64 else { return nil }
        bytes = stride(from: 0, to: 64, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }

    private static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    static func == (left: SHA256Digest, right: SHA256Digest) -> Bool {
        guard left.bytes.count == right.bytes.count else { return false }
        var difference: UInt8 = 0
        for index in left.bytes.indices { difference |= left.bytes[index] ^ right.bytes[index] }
        return difference == 0
    }
}
