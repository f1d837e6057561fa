// SPDX-License-Identifier: Apache-2.0

import BrumeEngine
import BrumeModel
import BrumeNode
import BrumeSimulator
import NIOCore
import Synchronization
import Testing

/// The outbox: results reach their callbacks over failures and restarts.
struct CallbackTests {
    private typealias Tests = NodeServiceTests
    private struct Refused: Error {}

    private static func request(_ label: String, function: String = "echo") throws -> CallRequest<ByteBuffer> {
        CallRequest(function: try FunctionID(name: function), body: .whole(ByteBuffer(string: label)), label: label)
    }

    /// A store in which a call ended whose result nobody has taken, as a killed node leaves it.
    private static func storeWithResult(
        url: String = "http://127.0.0.1:1/cb", failedAttempts: Int = 0
    ) async throws -> MemoryStore<ByteBuffer> {
        let store = Tests.makeStore()
        let call = CallID(1)
        try await store.enqueue(QueuedCall(id: call, request: try request("left"), callbackURL: url, accepted: .zero))
        try await store.complete(
            call,
            delivery: StoredDelivery(
                call: call, function: try FunctionID(name: "echo"), url: url, headers: [HeaderField("X-Call-Id", "left")],
                body: ByteBuffer(string: "result"), accepted: .zero, failedAttempts: failedAttempts))
        return store
    }

    /// The platform's lines in a function's log.
    private static func complaints(_ bench: Tests.Bench) async throws -> [String] {
        try await bench.store.logs(LogQuery(function: try FunctionID(name: "echo"))).filter { $0.stream == .platform }.map(\.text)
    }

    @Test("a result that was not delivered when the node died is posted by the next start, whole, and not by the one after")
    func restored() async throws {
        let store = try await Self.storeWithResult()
        try await Tests.withNode(store: store) { bench in
            #expect(try await Tests.eventually { try await store.deliveries().isEmpty })
            let delivery = try #require(bench.delivered.all.withLock { $0.first })
            #expect(String(buffer: delivery.body) == "result")
            #expect(delivery.url == "http://127.0.0.1:1/cb")
            #expect(delivery.headers == [HeaderField("X-Call-Id", "left")])
            #expect(bench.driver.state.withLock { $0.invoked }.isEmpty, "the call itself does not run again")
        }
        try await Tests.withNode(store: store) { bench in
            try await bench.deploy("echo")
            #expect(try await bench.node.enqueue(try Self.request("next"), callbackURL: "http://127.0.0.1:1/cb") == nil)
            #expect(try await Tests.eventually { bench.delivered.all.withLock { !$0.isEmpty } })
            #expect(bench.delivered.all.withLock { $0.map { String(buffer: $0.body) } } == ["next"])
        }
    }

    @Test("where all is well each result is posted once, after its call has left the queue, and nothing stays behind")
    func once() async throws {
        let store = Tests.makeStore()
        let early = Mutex(0)
        try await Tests.withNode(
            store: store,
            receive: { delivery in
                let label = delivery.headers.last { $0.name == "X-Call-Id" }?.value
                let isQueued = try await store.queued().contains { $0.request.label == label }
                let isStored = try await store.deliveries().contains { $0.headers == delivery.headers }
                if isQueued || !isStored { early.withLock { $0 += 1 } }
            },
            { bench in
                try await bench.deploy("echo")
                let labels = (0..<20).map { "call-\($0)" }
                for label in labels {
                    #expect(try await bench.node.enqueue(try Self.request(label), callbackURL: "HTTP://127.0.0.1:1/cb") == nil)
                }
                #expect(try await Tests.eventually { bench.delivered.all.withLock { $0.count } >= 20 })
                #expect(try await Tests.eventually { try await store.deliveries().isEmpty })
                let bodies = bench.delivered.all.withLock { $0.map { String(buffer: $0.body) } }
                #expect(bodies.sorted() == labels.sorted())
                #expect(try await Self.complaints(bench).isEmpty)
            })
        #expect(early.withLock { $0 } == 0, "a post came before the call's end was in the store")
    }

    @Test("a receiver that fails first gets the result again after a pause, and takes it once")
    func failsFirst() async throws {
        let attempts = Mutex(0)
        let store = Tests.makeStore()
        let counted = Mutex<[Int]>([])
        try await Tests.withNode(
            store: store, change: { $0.callbackPause = .milliseconds(5) },
            receive: { _ in
                let kept = try await store.deliveries().map(\.failedAttempts)
                counted.withLock { $0 += kept }
                let attempt = attempts.withLock { attempts in
                    attempts += 1
                    return attempts
                }
                if attempt < 3 { throw Refused() }
            },
            { bench in
                try await bench.deploy("echo")
                #expect(try await bench.node.enqueue(try Self.request("again"), callbackURL: "https://127.0.0.1:1/cb") == nil)
                #expect(try await Tests.eventually { bench.delivered.all.withLock { $0.count } == 1 })
                #expect(try await Tests.eventually { try await store.deliveries().isEmpty })
                #expect(try await Self.complaints(bench).isEmpty)
            })
        #expect(attempts.withLock { $0 } == 3)
        #expect(counted.withLock { $0 } == [0, 1, 2], "the store counts failures, so that they hold over a restart")
    }

    @Test("attempts end, those before a restart included, with a line in the function's log", arguments: [(0, 4), (3, 1)])
    func givenUp(failedBefore: Int, expected: Int) async throws {
        let store = try await Self.storeWithResult(failedAttempts: failedBefore)
        let attempts = Mutex(0)
        try await Tests.withNode(
            store: store, change: { $0.callbackPause = .milliseconds(2) },
            receive: { _ in
                attempts.withLock { $0 += 1 }
                throw Refused()
            },
            { bench in
                #expect(try await Tests.eventually { try await store.deliveries().isEmpty })
                let lines = try await Self.complaints(bench)
                #expect(lines.count == 1)
                #expect(lines.first?.contains("The result of the call left was dropped after 4 attempts") == true)
            })
        #expect(attempts.withLock { $0 } == expected)
    }

    @Test("a node that stops while a receiver is down keeps the result for its next start")
    func stopped() async throws {
        let store = try await Self.storeWithResult()
        let attempts = Mutex(0)
        try await Tests.withNode(
            store: store, change: { $0.callbackPause = .seconds(60) },
            receive: { _ in
                attempts.withLock { $0 += 1 }
                throw Refused()
            },
            { _ in
                let failed = try await Tests.eventually { try await store.deliveries().first?.failedAttempts == 1 }
                #expect(failed)
            })
        #expect(attempts.withLock { $0 } == 1)
        #expect(try await store.deliveries().count == 1)
        try await Tests.withNode(store: store) { bench in
            let arrived = try await Tests.eventually { bench.delivered.all.withLock { $0.count } == 1 }
            #expect(arrived)
        }
    }

    @Test("with one callback under way at a time, all are delivered all the same")
    func bounded() async throws {
        let now = Mutex(0)
        let most = Mutex(0)
        try await Tests.withNode(
            change: { $0.callbacksUnderWayMax = 1 },
            receive: { _ in
                let running = now.withLock { now in
                    now += 1
                    return now
                }
                most.withLock { $0 = max($0, running) }
                await Task.yield()
                now.withLock { $0 -= 1 }
            },
            { bench in
                try await bench.deploy("echo")
                for index in 0..<10 {
                    #expect(try await bench.node.enqueue(try Self.request("\(index)"), callbackURL: "http://127.0.0.1:1/cb") == nil)
                }
                #expect(try await Tests.eventually { bench.delivered.all.withLock { $0.count } == 10 })
            })
        #expect(most.withLock { $0 } == 1)
    }

    @Test(
        "only web addresses are taken as callbacks, and none else is posted to",
        arguments: ["ftp://127.0.0.1/x", "unix:///x", "httpx://y", ""])
    func schemes(url: String) async throws {
        let store = try await Self.storeWithResult(url: url)
        try await Tests.withNode(store: store) { bench in
            #expect(try await Tests.eventually { try await store.deliveries().isEmpty })
            #expect(try await Self.complaints(bench).count == 1)
            try await bench.deploy("echo")
            let error = await #expect(throws: BrumeError.self) {
                try await bench.node.enqueue(try Self.request("new"), callbackURL: url)
            }
            #expect(error?.code == .invalid)
            #expect(try await store.queued().isEmpty)
            #expect(bench.delivered.all.withLock { $0.isEmpty })
        }
    }
}
