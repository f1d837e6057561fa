// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeRedis
import Synchronization

/// The sockets on which functions reach state: one for each function, in which its replicas share.
final class StateDoors: Sendable {
    private struct Doors: Sendable {
        var server: RedisServer?
        /// Open sockets, and those that are being opened, by function.
        var paths: [FunctionID: Task<String, any Error>] = [:]
        var count = 0
    }

    private let doors = Mutex(Doors())

    /// From now on doors can be opened.
    func serve(_ server: RedisServer) { doors.withLock { $0.server = server } }

    /// The path of the function's socket, opened at its first use. What comes in there works in the function's own namespace and no other.
    ///
    /// - Throws: `BrumeError` (`unavailable` before there is a server, `conflict` where the socket cannot be bound).
    func open(for function: FunctionID, in directory: String) async throws -> String {
        let opening = try doors.withLock { doors throws(BrumeError) -> Task<String, any Error> in
            if let known = doors.paths[function] { return known }
            guard let server = doors.server else { throw BrumeError(.unavailable, "State is not served yet.") }
            doors.count += 1
            // A number, because the path of a Unix socket has at most 107 bytes and a function's name may be as long.
            let path = "\(directory)/\(doors.count).sock"
            let opening = Task {
                try await server.open(RedisListener(.unix(path), door: .namespace(Self.namespace(of: function))))
                return path
            }
            doors.paths[function] = opening
            return opening
        }
        do {
            return try await opening.value
        } catch {
            // The next start tries again.
            doors.withLock { $0.paths[function] = nil }
            throw error
        }
    }

    /// Where a function's objects are; also from outside, with `brume state --namespace`.
    static func namespace(of function: FunctionID) -> String { "\(function.namespace)/\(function.name)" }
}
