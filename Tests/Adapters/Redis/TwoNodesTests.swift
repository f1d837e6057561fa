// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeState
import Synchronization
import Testing

@testable import BrumeRedis

/// What the document promises for use on two nodes at the same time, tried on two nodes.
@Suite("Two nodes come to what the document says", .serialized)
struct TwoNodesTests {
    struct Case: Sendable, CustomTestStringConvertible {
        /// What both know before, what each does while apart, and what is asked once they have met.
        var before = ""
        let one: String
        let other: String
        let question: String
        /// Any of these.
        let answers: [String]

        var testDescription: String { "\(one) | \(other)" }
    }

    static let cases = [
        Case(one: "set k a", other: "set k b", question: "get k", answers: ["\"a\"", "\"b\""]),
        Case(one: "incrby n 3", other: "incr n; decrby n 2", question: "get n", answers: ["\"2\""]),
        Case(before: "set n 10", one: "incr n", other: "incr n; incr n", question: "get n", answers: ["\"13\""]),
        Case(before: "set k x", one: "del k", other: "get k", question: "exists k", answers: [":0"]),
        Case(one: "mset a 1 b 2", other: "mset c 3", question: "mget a b c", answers: ["*[\"1\" \"2\" \"3\"]"]),
        Case(before: "sadd s x y", one: "srem s x", other: "sadd s x", question: "smembers s", answers: ["*[\"x\" \"y\"]"]),
        Case(one: "sadd s a b", other: "sadd s b c", question: "smembers s", answers: ["*[\"a\" \"b\" \"c\"]"]),
        Case(before: "sadd s a", one: "del s", other: "sadd s new", question: "smembers s", answers: ["*[\"new\"]"]),
        Case(one: "hset h f 1", other: "hset h g 2", question: "hmget h f g", answers: ["*[\"1\" \"2\"]"]),
        Case(before: "hset h n 5", one: "hincrby h n 2", other: "hincrby h n 3", question: "hget h n", answers: ["\"10\""]),
        Case(before: "hset h f 1", one: "hdel h f", other: "hset h f 2", question: "hget h f", answers: ["\"2\""]),
        Case(one: "zadd z 1 a", other: "zadd z 2 b", question: "zrange z 0 -1", answers: ["*[\"a\" \"b\"]"]),
        Case(one: "zadd z 1 a", other: "zadd z 2 a", question: "zscore z a", answers: ["\"1\"", "\"2\""]),
        Case(before: "zadd z 1 a", one: "zincrby z 2 a", other: "zincrby z 3 a", question: "zscore z a", answers: ["\"6\""]),
        Case(before: "zadd z 1 a", one: "zrem z a", other: "zincrby z 3 a", question: "exists z", answers: [":1"]),
        Case(
            one: "rpush l a b", other: "rpush l c d", question: "lrange l 0 -1",
            answers: ["*[\"a\" \"b\" \"c\" \"d\"]", "*[\"c\" \"d\" \"a\" \"b\"]"]),
        Case(before: "rpush l x", one: "lpop l", other: "lpop l", question: "exists l", answers: [":0"]),
        Case(before: "rpush l x", one: "lset l 0 a", other: "lset l 0 b", question: "llen l", answers: [":2"]),
        Case(one: "pfadd p a b", other: "pfadd p b c", question: "pfcount p", answers: [":3"]),
        Case(before: "set k v", one: "expire k 100", other: "persist k", question: "exists k", answers: [":1"]),
        Case(one: "multi; incr a; incr b; exec", other: "incr a", question: "mget a b", answers: ["*[\"2\" \"1\"]"]),
        Case(before: "set a 1", one: "rename a b", other: "get a", question: "mget a b", answers: ["*[nil \"1\"]"]),
    ]

    @Test("and to the same", arguments: cases)
    func converge(_ example: Case) async throws {
        try await BrumeServer.with(seed: 1) { one in
            try await BrumeServer.with(seed: 2) { other in
                LocalState.join(one.state, other.state)
                let clients = [try one.client(), try other.client()]
                func run(_ script: String, _ client: RawClient) throws {
                    for line in script.split(separator: ";") { _ = try client.call(words: ConformanceTests.words(String(line))) }
                }
                try run(example.before, clients[0])
                LocalState.exchange(one.state, other.state)
                try run(example.one, clients[0])
                try run(example.other, clients[1])
                LocalState.exchange(one.state, other.state)
                let words = ConformanceTests.words(example.question)
                let command = String(example.question.prefix { $0 != " " })
                let answers = try clients.map { ConformanceTests.normal(command, try $0.call(words: words).reply).description }
                #expect(answers[0] == answers[1])
                #expect(example.answers.contains(answers[0]), "\(answers)")
            }
        }
    }

    @Test("a namespace that no policy keeps here is pulled by the first command in it")
    func pull() async throws {
        var settings = StateSettings()
        settings.standard.interest = .used
        let chosen = settings
        try await BrumeServer.with(state: chosen, seed: 1) { one in
            try await BrumeServer.with(state: chosen, seed: 2) { other in
                LocalState.join(one.state, other.state)
                let writer = try one.client()
                _ = try writer.call("set", "k", "v")
                LocalState.exchange(one.state, other.state)
                other.state.onNeed.withLock { $0 = { [one = one.state, other = other.state] in LocalState.exchange(one, other) } }
                #expect(try other.client().call("get", "k") == .bulk([UInt8(ascii: "v")]))
            }
        }
    }

    @Test("a client hears of changes that another node made")
    func changes() async throws {
        try await BrumeServer.with(seed: 1) { one in
            try await BrumeServer.with(seed: 2) { other in
                LocalState.join(one.state, other.state)
                let listener = try other.client()
                _ = try listener.call("exists", "k")
                _ = try listener.call("subscribe", "__keyspace@0__:k")
                _ = try one.client().call("set", "k", "v")
                LocalState.exchange(one.state, other.state)
                guard case .list(_, let message?) = try listener.reply() else { return }
                #expect(message.last == .bulk(Array("set".utf8)))
            }
        }
    }
}
