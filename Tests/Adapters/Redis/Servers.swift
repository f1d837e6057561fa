// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeState
import Foundation
import Glibc
import Logging

@testable import BrumeRedis

/// A place for sockets, removed afterwards.
struct TemporaryFolder: ~Copyable {
    let path: String

    init() throws {
        path = "/tmp/brume-redis-\(UInt64.random(in: 0 ..< .max))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// Debian's redis-server on a socket of its own, ended with the object.
final class RealRedis {
    static let program = "/usr/bin/redis-server"
    static var isInstalled: Bool { FileManager.default.isExecutableFile(atPath: program) }

    private let folder: TemporaryFolder
    private var process: pid_t = 0
    let socket: String

    init() throws {
        folder = try TemporaryFolder()
        socket = folder.path + "/redis.sock"
        let words = [
            Self.program, "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--dir", folder.path, "--logfile",
            folder.path + "/log",
        ]
        let copies = unsafe words.map { unsafe strdup($0) }
        defer { unsafe copies.forEach { unsafe free($0) } }
        let result = unsafe posix_spawn(&process, Self.program, nil, nil, copies + [nil], environ)
        guard result == 0 else { throw ClientFailure(description: "redis-server cannot be started: \(result)") }
    }

    deinit {
        kill(process, SIGKILL)
        var status: Int32 = 0
        _ = unsafe waitpid(process, &status, 0)
    }

    /// A client, once the server has come up; within ten seconds.
    func client() throws -> RawClient {
        let deadline = Date().addingTimeInterval(10)
        while true {
            do {
                return try RawClient(unix: socket)
            } catch {
                guard Date() < deadline else { throw error }
                usleep(20_000)
            }
        }
    }
}

/// Brume's server on a Unix socket, over a replica of its own.
final class BrumeServer {
    let state: LocalState
    let server: RedisServer
    let socket: String
    private let folder: TemporaryFolder

    private init(_ state: LocalState, _ server: RedisServer, _ folder: consuming TemporaryFolder) {
        self.state = state
        self.server = server
        self.socket = folder.path + "/brume.sock"
        self.folder = folder
    }

    /// Runs a body with a server, and ends the server.
    static func with<Result>(
        settings: RedisSettings = RedisSettings(), state: StateSettings = StateSettings(), namespace: String = "default",
        seed: UInt64 = 1, _ body: (BrumeServer) async throws -> Result
    ) async throws -> Result {
        let local = try LocalState(settings: state, seed: seed)
        var quiet = Logger(label: "redis")
        quiet.logLevel = .warning
        let server = try RedisServer(access: local, settings: settings, listeners: [], logger: quiet)
        let brume = BrumeServer(local, server, try TemporaryFolder())
        do {
            try await server.open(RedisListener(.unix(brume.socket), door: .namespace(namespace)))
            let result = try await body(brume)
            await server.shutDown()
            return result
        } catch {
            await server.shutDown()
            throw error
        }
    }

    func client() throws -> RawClient { try RawClient(unix: socket) }
}
