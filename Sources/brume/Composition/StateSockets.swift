// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeNode
import BrumeRedis
import Crypto
import Glibc

/// The sockets on which functions find their state: one for each namespace of state, while any sandbox shows it to a function.
actor StateSockets {
    private struct Door {
        var opening: Task<Void, any Error>
        /// Sandboxes that have it.
        var users = 0
    }

    private let server: RedisServer
    /// By namespace. As many as there are functions that run, whose number is bounded elsewhere.
    private var opened: [String: Door] = [:]
    /// Those that are being closed: a path is bound anew only after that.
    private var closing: [String: Task<Void, Never>] = [:]

    init(server: RedisServer) { self.server = server }

    /// The path of the socket that listens for a function, in a directory that only the node can enter. It stays open until
    /// ``left(by:in:)`` was called as often as this returned.
    ///
    /// - Throws: `BrumeError` where it cannot be had; the next replica tries again.
    func socket(of function: FunctionSpec, in directory: String) async throws(BrumeError) -> String {
        let namespace = FunctionState.namespace(of: function)
        let path = Self.path(namespace, directory)
        var door = opened[namespace] ?? Door(opening: open(namespace, path))
        door.users += 1
        opened[namespace] = door
        do {
            try await door.opening.value
        } catch {
            // Everybody who waited for it fails alike; whoever came after the first of them has begun anew.
            if opened[namespace]?.opening == door.opening { opened[namespace] = nil }
            throw error as? BrumeError ?? BrumeError(.failed, "The state of '\(namespace)' has no socket.", cause: error)
        }
        return path
    }

    private func open(_ namespace: String, _ path: String) -> Task<Void, any Error> {
        let before = closing[namespace]
        return Task { [server] in
            await before?.value
            try await server.open(RedisListener(.unix(path), door: .namespace(namespace)))
            // The users of sandboxes are not the node's: connecting takes the right to write.
            guard unsafe chmod(path, 0o666) == 0 else {
                throw BrumeError(.failed, "The socket of the state of '\(namespace)' cannot be opened to its functions.")
            }
        }
    }

    /// A sandbox of the function is gone; the last one closes the door.
    func left(by function: FunctionSpec, in directory: String) async {
        let namespace = FunctionState.namespace(of: function)
        guard var door = opened[namespace] else { return }
        door.users -= 1
        opened[namespace] = door.users > 0 ? door : nil
        guard door.users <= 0 else { return }
        let path = Self.path(namespace, directory)
        let task = Task { [server] in
            await server.close(.unix(path))
            _ = unsafe unlink(path)
        }
        closing[namespace] = task
        await task.value
        if closing[namespace] == task { closing[namespace] = nil }
    }

    private static func path(_ namespace: String, _ directory: String) -> String { "\(directory)/\(fileName(namespace))" }

    /// A name of 32 digits for any namespace: the path of a Unix socket has at most 107 bytes.
    private static func fileName(_ namespace: String) -> String {
        SHA256.hash(data: Array(namespace.utf8)).prefix(16).map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }.joined()
    }
}
