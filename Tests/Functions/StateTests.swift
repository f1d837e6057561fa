// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import BrumeFunctions

/// The handles against a real Redis server, which defines what their commands answer. Sessions are tested with a node.
@Suite("State of functions, in Swift", .serialized, .timeLimit(.minutes(1)))
struct StateTests {
    private func with(_ body: (State) async throws -> Void) async throws {
        let server = try RedisServer()
        do {
            let state = try await connected(server)
            try await body(state)
            state.close()
        } catch {
            await server.stop()
            throw error
        }
        await server.stop()
    }

    /// The server's socket is there a moment after its process.
    private func connected(_ server: RedisServer) async throws -> State {
        for _ in 0..<100 {
            if let state = try? await State.connect(url: "unix://\(server.socket)") { return state }
            try await Task.sleep(for: .milliseconds(50))
        }
        return try await State.connect(url: "unix://\(server.socket)")
    }

    private struct Settings: Codable, Equatable { var colour: String, size: Int? }

    @Test("a counter adds, begins anew, and refuses an object of another kind")
    func counter() async throws {
        try await with { state in
            let visits = state.counter("visits")
            #expect(try await visits.value() == 0)
            #expect(try await visits.add() == 1)
            #expect(try await visits.add(-5) == -4)
            try await visits.set(7)
            #expect(try await visits.value() == 7)
            try await state.set("words").insert("a")
            let refused = await #expect(throws: StateFailure.self) { try await state.counter("words").add() }
            #expect(refused?.code == "WRONGTYPE")
        }
    }

    @Test("sets, maps, registers, lists, scores and counts of distinct texts")
    func kinds() async throws {
        try await with { state in
            let numbers = state.set("numbers", of: Int.self)
            #expect(try await numbers.insert(3))
            #expect(try await !numbers.insert(3))
            #expect(try await numbers.contains(3))
            #expect(try await numbers.elements() == [3])
            #expect(try await numbers.remove(3))
            #expect(try await numbers.count() == 0)

            let user = state.map("user")
            try await user.set("name", to: "Änn")
            #expect(try await user.add(2, to: "visits") == 2)
            #expect(try await user.value(of: "nothing") == nil)
            #expect(try await user.all() == ["name": "Änn", "visits": "2"])
            #expect(try await user.remove("name"))
            #expect(try await user.count() == 1)

            let settings = state.register("settings", of: Settings.self)
            #expect(try await settings.value() == nil)
            try await settings.set(Settings(colour: "red", size: nil))
            #expect(try await settings.value() == Settings(colour: "red", size: nil))
            let wrong = await #expect(throws: StateFailure.self) { try await state.register("settings", of: [Int].self).value() }
            #expect(wrong?.code == "VALUE")

            let log = state.list("log")
            #expect(try await log.append("a", "b", "c") == 3)
            #expect(try await log.elements() == ["a", "b", "c"])
            #expect(try await log.elements(1..<2) == ["b"])
            #expect(try await log.elements(1..<1) == [])
            #expect(try await log.popFirst() == "a")
            #expect(try await log.popLast() == "c")
            #expect(try await log.count() == 1)

            let board = state.scores("board")
            try await board.set("ann", to: 1.5)
            #expect(try await board.add(3, to: "bob") == 3)
            #expect(try await board.top(5).map(\.element) == ["bob", "ann"])
            #expect(try await board.score(of: "ann") == 1.5)
            #expect(try await board.remove("ann"))
            #expect(try await board.count() == 1)

            let seen = state.distinct("seen")
            for number in 0..<200 { try await seen.add("visitor \(number)") }
            #expect(abs(try await seen.count() - 200) <= 8)
        }
    }

    @Test("a batch takes effect together, and says what its operations answered")
    func batch() async throws {
        try await with { state in
            let replies = try await state.atomically { batch in
                batch.increment("a", by: 2)
                batch.insert("x", into: "s")
                batch.append("line", to: "l")
            }
            #expect(replies == [.integer(2), .integer(1), .integer(1)])
            await #expect(throws: StateFailure.self) {
                try await state.atomically { batch in
                    batch.increment("a")
                    batch.increment("s")
                }
            }
            #expect(try await state.atomically { _ in }.isEmpty)
        }
    }

    @Test("objects end and are deleted")
    func ends() async throws {
        try await with { state in
            try await state.counter("a").add()
            #expect(try await state.expire("a", after: .seconds(60)))
            #expect(try await !state.expire("b", after: .seconds(60)))
            #expect(try await state.exists("a"))
            #expect(try await state.delete("a", "b") == 1)
        }
    }

    @Test("changes are told as they come")
    func changes() async throws {
        try await with { state in
            try await state.run([["CONFIG", "SET", "notify-keyspace-events", "KEA"]])
            let changes = try await state.changes("a*")
            try await state.counter("b").add()
            try await state.counter("ab").add()
            var heard = changes.makeAsyncIterator()
            #expect(try await heard.next() == State.Change(event: "incrby", name: "ab"))
        }
    }

    @Test("many tasks share one connection, and each gets its own replies")
    func concurrent() async throws {
        try await with { state in
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<500 {
                    group.addTask {
                        try await state.map("m").set("\(number)", to: "value \(number)")
                        return try await state.map("m").value(of: "\(number)") == "value \(number)"
                    }
                }
                for try await isRight in group { #expect(isRight) }
            }
        }
    }

    @Test("a server that goes away ends the wait with CLOSED, and what comes after it too")
    func closed() async throws {
        let server = try RedisServer()
        let state = try await connected(server)
        await server.stop()
        for _ in 0..<2 {
            let failure = await #expect(throws: StateFailure.self) { try await state.counter("a").add() }
            #expect(failure?.code == "CLOSED")
        }
    }

    @Test(
        "where there is no state, the error says so",
        arguments: ["unix:///nowhere/state.sock", "redis://127.0.0.1:1", "http://x", "redis://h:x"])
    func absent(url: String) async throws {
        let failure = await #expect(throws: StateFailure.self) { _ = try await State.connect(url: url) }
        #expect(failure?.code == "NOSTATE")
    }
}
