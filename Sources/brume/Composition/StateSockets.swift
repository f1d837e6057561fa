// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeRedis
import Crypto
import Glibc

/// The sockets on which functions find their state: one for each namespace of state, from the first replica of a function in it on.
actor StateSockets {
    /// Names a function's namespace of state; without it, a function has one of its own, called `NAMESPACE/NAME`.
    static let annotation = "dev.brume.state.namespace"

    private let server: RedisServer
    /// By namespace. As many as there are functions, whose number is bounded elsewhere.
    private var opened: [String: Task<Void, any Error>] = [:]

    init(server: RedisServer) { self.server = server }

    static func namespace(of function: FunctionSpec) -> String {
        function.annotations[annotation] ?? "\(function.id.namespace)/\(function.id.name)"
    }

    /// The path of the socket that listens for a function, in a directory that only the node can enter.
    ///
    /// - Throws: `BrumeError` where it cannot be had; the next replica tries again.
    func socket(of function: FunctionSpec, in directory: String) async throws(BrumeError) -> String {
        let namespace = Self.namespace(of: function)
        let path = "\(directory)/\(Self.fileName(namespace))"
        let opening =
            opened[namespace]
            ?? Task { [server] in
                try await server.open(RedisListener(.unix(path), door: .namespace(namespace)))
                // The users of sandboxes are not the node's: connecting takes the right to write.
                guard unsafe chmod(path, 0o666) == 0 else {
                    throw BrumeError(.failed, "The socket of the state of '\(namespace)' cannot be opened to its functions.")
                }
            }
        opened[namespace] = opening
        do {
            try await opening.value
        } catch {
            opened[namespace] = nil
            throw error as? BrumeError ?? BrumeError(.failed, "The state of '\(namespace)' has no socket.", cause: error)
        }
        return path
    }

    /// A name of 32 digits for any namespace: the path of a Unix socket has at most 107 bytes.
    private static func fileName(_ namespace: String) -> String {
        SHA256.hash(data: Array(namespace.utf8)).prefix(16).map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }.joined()
    }
}
