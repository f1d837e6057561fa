// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeState
import Testing

@testable import BrumeRedis

/// The same requests to Redis 7.0 and to Brume, reply by reply and byte by byte.
@Suite("Replies are those of Redis 7.0", .enabled(if: RealRedis.isInstalled, "redis-server is not installed"), .serialized)
struct ConformanceTests {
    /// Commands whose replies have no promised order.
    static let unordered: Set<String> = [
        "smembers", "sunion", "sinter", "sdiff", "hkeys", "hvals", "keys", "sscan", "scan", "spop",
    ]
    static let unorderedPairs: Set<String> = ["hgetall", "hscan"]

    /// The same reply, whatever order its elements came in where none is promised.
    static func normal(_ command: String, _ reply: RedisReply) -> RedisReply {
        if unorderedPairs.contains(command) {
            if case .list(let kind, let items?) = reply, command == "hscan", items.count == 2 {
                return .list(kind, [items[0], items[1].sortedPairs])
            }
            return reply.sortedPairs
        }
        return unordered.contains(command) ? reply.sorted : reply
    }

    static func words(_ line: String) -> [[UInt8]] {
        let bytes = Array(line.utf8)
        var words = InlineWords(input: bytes, from: 0, to: bytes.count)
        guard words.split() else { return [] }
        return words.ranges.map { Array(words.text[$0.start..<$0.end]) }
    }

    /// Differences between the two, in the order of the lines.
    static func differences(_ script: String, _ redis: RawClient, _ brume: RawClient) throws -> [String] {
        var found: [String] = []
        for line in script.split(separator: "\n") {
            let words = words(String(line))
            guard let first = words.first else { continue }
            let command = String(decoding: first, as: UTF8.self).lowercased()
            let expected = try redis.call(words: words)
            let actual = try brume.call(words: words)
            let isSame =
                unordered.contains(command) || unorderedPairs.contains(command)
                ? normal(command, expected.reply) == normal(command, actual.reply) : expected.raw == actual.raw
            if !isSame { found.append("\(line)\n    redis: \(expected.reply)\n    brume: \(actual.reply)") }
        }
        return found
    }

    @Test("in RESP2 and RESP3, for every script", arguments: ConformanceScripts.all)
    func scripts(_ script: ConformanceScript) async throws {
        let redis = try RealRedis()
        try await BrumeServer.with { server in
            for version in [2, 3] {
                let real = try redis.client()
                let ours = try server.client()
                for client in [real, ours] {
                    _ = try client.call("hello", "\(version)")
                    _ = try client.call("flushall")
                }
                let differences = try Self.differences(script.text, real, ours)
                #expect(differences.isEmpty, "RESP\(version): \n\(differences.joined(separator: "\n"))")
            }
        }
    }

    @Test("of COMMAND INFO, for every command of both")
    func table() async throws {
        let redis = try RealRedis()
        try await BrumeServer.with { server in
            let real = try redis.client()
            let ours = try server.client()
            for command in CommandTable.all.commands where !command.name.hasPrefix("brume.") {
                let expected = try real.call("command", "info", command.name)
                let actual = try ours.call("command", "info", command.name)
                guard case .list(_, let left?) = expected, case .list(_, let first?) = left[0], case .list(_, let right?) = actual,
                    case .list(_, let second?) = right[0]
                else {
                    Issue.record("\(command.name) is not described")
                    continue
                }
                #expect(Array(first.prefix(7)) == Array(second.prefix(7)), "\(command.name)")
            }
        }
    }

    @Test("that names no command of Redis as unknown: each is served, or refused by its name")
    func names() async throws {
        let redis = try RealRedis()
        guard case .list(_, let names?) = try redis.client().call("command", "list") else {
            Issue.record("Redis does not list its commands")
            return
        }
        for case .bulk(let bytes?) in names {
            let name = String(decoding: bytes, as: UTF8.self)
            guard !name.contains("|") else { continue }
            #expect(CommandTable.all.command(name) != nil || CommandTable.foreign.contains(name), "\(name)")
        }
    }
}
