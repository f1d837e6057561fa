// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc

/// A redis-server of the distribution on a Unix socket of its own, ended with `stop()`.
final class RedisServer {
    let socket: String
    private let directory: String
    private let process = Process()
    private let ended = AsyncStream<Void>.makeStream()

    init() throws {
        directory = FileManager.default.temporaryDirectory.appendingPathComponent("brume-redis-\(UInt32.random(in: 0...UInt32.max))").path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        socket = directory + "/redis.sock"
        process.executableURL = URL(fileURLWithPath: "/usr/bin/redis-server")
        process.arguments = ["--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--dir", directory]
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        process.terminationHandler = { [ended] _ in ended.continuation.finish() }
        try process.run()
    }

    func stop() async {
        // It was started by a thread that takes no signals, and so takes none that can be held off.
        _ = kill(process.processIdentifier, SIGKILL)
        for await _ in ended.stream {}
        try? FileManager.default.removeItem(atPath: directory)
    }
}
