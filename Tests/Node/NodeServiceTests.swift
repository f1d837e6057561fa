// SPDX-License-Identifier: Apache-2.0

import BrumeBroker
import BrumeEngine
import BrumeModel
import BrumeNode
import BrumeSimulator
import Logging
import NIOCore
import ServiceLifecycle
import Synchronization
import Testing

/// The shell round the engine, with a scripted driver and a store in memory.
struct NodeServiceTests {
    typealias TestNode = NodeService<ScriptedDriver, MemoryStore<ByteBuffer>>

    /// What a test looks at.
    struct Bench: Sendable {
        let node: TestNode
        let driver: ScriptedDriver
        let store: MemoryStore<ByteBuffer>
        let delivered: Delivered

        func call(
            _ name: String, _ body: String = "hi", label: String = "label", timeout: Duration? = nil
        ) async throws -> CallReply<ByteBuffer> {
            let request = CallRequest(
                function: try FunctionID(name: name), body: .whole(ByteBuffer(string: body)), label: label, timeout: timeout)
            let call = Mutex<CallID?>(nil)
            return await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let id = node.call(request) { continuation.resume(returning: $0) }
                    call.withLock { $0 = id }
                    if Task.isCancelled { node.abandon(id) }
                }
            } onCancel: {
                if let id = call.withLock({ $0 }) { node.abandon(id) }
            }
        }

        func deploy(_ name: String, scale: Scale = Scale(), timeout: Duration = .seconds(5), secrets: [String] = []) async throws {
            var spec = FunctionSpec(
                id: try FunctionID(name: name), contract: .fork(command: ["x"]), timeout: timeout, scale: scale, secrets: secrets)
            spec.annotations["dev.brume.prewarm"] = "false"
            try await node.deploy(spec, mode: .create)
        }
    }

    final class Delivered: Sendable {
        let all = Mutex<[CallbackDelivery]>([])
    }

    /// Runs a node for the time of a test; `receive` may refuse a callback by throwing.
    static func withNode(
        store: MemoryStore<ByteBuffer> = makeStore(), change: (inout NodeSettings) -> Void = { _ in },
        receive: @escaping @Sendable (CallbackDelivery) async throws -> Void = { _ in },
        wallClock: @escaping @Sendable () -> Instant = { Instant(nanoseconds: 1_700_000_000_000_000_000) },
        _ body: @Sendable (Bench) async throws -> Void
    ) async throws {
        let delivered = Delivered()
        var settings = NodeSettings(
            name: "n1", version: "test", engine: EngineSettings(capacity: Resources(millicores: 8000, memoryBytes: 8 << 30)))
        settings.shutdownGrace = .milliseconds(200)
        settings.engine.asynchronousBackoff = .init(base: .milliseconds(5), ceiling: .milliseconds(20))
        settings.engine.startBackoff = .init(base: .milliseconds(5), ceiling: .seconds(5))
        change(&settings)
        let holder = Mutex<ScriptedDriver?>(nil)
        let epoch = try await store.beginEpoch()
        let node = await TestNode(
            settings: settings,
            world: NodeWorld(
                wallClock: wallClock, residentBytes: { 1 },
                deliver: { delivery in
                    try await receive(delivery)
                    delivered.all.withLock { $0.append(delivery) }
                }),
            store: store, epoch: epoch, logger: Logger(label: "test")
        ) { events in
            let driver = ScriptedDriver(events: events)
            holder.withLock { $0 = driver }
            return driver
        }
        let driver = try #require(holder.withLock { $0 })
        try await node.restore()
        try await withThrowingTaskGroup(of: Void.self) { group in
            let services = ServiceGroup(services: [node], logger: Logger(label: "test"))
            group.addTask { try await services.run() }
            let result: Result<Void, any Error>
            do {
                result = .success(try await body(Bench(node: node, driver: driver, store: store, delivered: delivered)))
            } catch {
                result = .failure(error)
            }
            await services.triggerGracefulShutdown()
            try await group.waitForAll()
            try result.get()
        }
    }

    static func makeStore() -> MemoryStore<ByteBuffer> {
        MemoryStore { buffer in "digest-\(buffer.readableBytes)" }
    }

    static func eventually(_ condition: () async throws -> Bool) async throws -> Bool {
        for _ in 0..<400 {
            if try await condition() { return true }
            try await Task.sleep(for: .milliseconds(5))
        }
        return false
    }

    @Test("every recent call can be explained, at any rate: what is not written to disk stays in memory for a while")
    func recentCalls() async throws {
        try await Self.withNode {
            $0.recordsPerSecondMax = 0
            $0.recentCallsMax = 5
        } _: { bench in
            try await bench.deploy("echo")
            try await bench.deploy("other")
            // The first is cold and therefore written; the others are not.
            for number in 0..<8 { _ = try await bench.call("echo", label: "c\(number)") }
            _ = try await bench.call("other", label: "o")
            #expect(try await bench.store.calls(CallQuery()).map(\.label) == ["o", "c0"])
            func labels(_ query: CallQuery) async throws -> [String] { try await bench.node.calls(query).map(\.label) }
            #expect(try await labels(CallQuery()) == ["o", "c7", "c6", "c5", "c4", "c3", "c0"])
            #expect(try await labels(CallQuery(limit: 2)) == ["o", "c7"])
            #expect(try await labels(CallQuery(label: "c5")) == ["c5"])
            #expect(try await labels(CallQuery(label: "c2")).isEmpty, "only the newest are kept")
            #expect(try await labels(CallQuery(function: try FunctionID(name: "other"))) == ["o"])
            #expect(try await labels(CallQuery(outcome: .failed)).isEmpty)
            let explained = try #require(try await bench.node.calls(CallQuery(label: "c7")).first)
            #expect(explained.outcome == .succeeded && explained.status == 200 && !explained.cold && explained.node == "n1")
        }
    }

    @Test("a call is answered, told as cold, then warm, and recorded with its timing")
    func answered() async throws {
        try await Self.withNode { bench in
            try await bench.deploy("echo")
            let first = try await bench.call("echo", "one", label: "a")
            guard case .answered(let response) = first.result, case .whole(let body) = response.body else {
                Issue.record("\(first)")
                return
            }
            #expect(String(buffer: body) == "one")
            #expect(first.cold)
            #expect(try await bench.call("echo", "two", label: "b").cold == false)
            let records = try await bench.node.calls(CallQuery())
            #expect(records.map(\.label) == ["b", "a"])
            #expect(records[1].decisions.contains { $0.contains("queued") })
            #expect(records.allSatisfy { $0.node == "n1" && $0.outcome == .succeeded && $0.status == 200 })
        }
    }

    @Test("an unknown function is refused and the refusal is recorded")
    func unknown() async throws {
        try await Self.withNode { bench in
            guard case .refused(.unknownFunction) = try await bench.call("nobody").result else {
                Issue.record("not refused")
                return
            }
            #expect(try await bench.node.calls(CallQuery()).first?.status == 404)
        }
    }

    @Test("past its deadline a call fails with timed-out and the replica is told to give up")
    func deadline() async throws {
        try await Self.withNode { bench in
            try await bench.deploy("never")
            guard case .failed(let failure) = try await bench.call("never", timeout: .milliseconds(50)).result else {
                Issue.record("not failed")
                return
            }
            #expect(failure.kind == .timedOut)
            #expect(failure.message.contains("raise"))
            #expect(try await Self.eventually { bench.driver.state.withLock { $0.cancelled.count } == 1 })
            #expect(try await Self.eventually { await bench.node.status().runningCalls == 0 })
        }
    }

    @Test("a caller who goes away abandons the call")
    func abandoned() async throws {
        try await Self.withNode { bench in
            try await bench.deploy("never")
            let caller = Task { try await bench.call("never") }
            #expect(try await Self.eventually { await bench.node.status().runningCalls == 1 })
            caller.cancel()
            guard case .failed(let failure) = try await caller.value.result else {
                Issue.record("not failed")
                return
            }
            #expect(failure.kind == .abandoned)
            #expect(try await Self.eventually { await bench.node.status().runningCalls == 0 })
            #expect(try await bench.node.calls(CallQuery()).first?.outcome == .abandoned)
        }
    }

    @Test("a call that never reached its replica is sent to another and says so")
    func resent() async throws {
        try await Self.withNode { bench in
            try await bench.deploy("gone")
            let reply = try await bench.call("gone", "again")
            guard case .answered = reply.result else {
                Issue.record("\(reply)")
                return
            }
            #expect(try await bench.node.calls(CallQuery()).first?.decisions.contains { $0.contains("gone before") } == true)
        }
    }

    @Test("a function that does not start fails its calls with the reason, and shows it in its status")
    func broken() async throws {
        try await Self.withNode { bench in
            // Three starts with their pauses take about two seconds, on a busy machine more than the usual limit of these tests.
            try await bench.deploy("broken", timeout: .seconds(60))
            guard case .failed(let failure) = try await bench.call("broken").result else {
                Issue.record("not failed")
                return
            }
            #expect(failure.kind == .startFailed)
            #expect(failure.message == "The program is missing.")
            #expect(try await bench.node.function(FunctionID(name: "broken"))?.problem == "The program is missing.")
        }
    }

    @Test(
        "an asynchronous call is delivered to its callback with status, name, duration and id, streamed bodies too",
        arguments: ["echo", "streams"])
    func callback(_ name: String) async throws {
        try await Self.withNode { bench in
            try await bench.deploy(name)
            let request = CallRequest<ByteBuffer>(
                function: try FunctionID(name: name), body: .whole(ByteBuffer(string: "one two three")), label: "async-1")
            #expect(try await bench.node.enqueue(request, callbackURL: "http://127.0.0.1:1/cb") == nil)
            #expect(try await Self.eventually { bench.delivered.all.withLock { $0.count } == 1 })
            let delivery = try #require(bench.delivered.all.withLock { $0.first })
            #expect(String(buffer: delivery.body) == "one two three")
            let headers = Dictionary(delivery.headers.map { ($0.name, $0.value) }) { $1 }
            #expect(headers["X-Call-Id"] == "async-1")
            #expect(headers["X-Function-Status"] == "200")
            #expect(headers["X-Function-Name"] == "\(name).openfaas-fn")
            #expect(headers["X-Duration-Seconds"] != nil)
            #expect(try await bench.store.queued().isEmpty)
        }
    }

    @Test("a failing asynchronous call is tried three times, becomes a dead letter, and runs again when redriven")
    func deadLetter() async throws {
        try await Self.withNode { bench in
            try await bench.deploy("status500")
            let request = CallRequest<ByteBuffer>(
                function: try FunctionID(name: "status500"), body: .whole(ByteBuffer()), label: "d")
            #expect(try await bench.node.enqueue(request, callbackURL: nil) == nil)
            #expect(try await Self.eventually { try await bench.node.deadLetters(limit: 10).count == 1 })
            #expect(bench.driver.state.withLock { $0.invoked } == ["d", "d", "d"])
            #expect(try await bench.node.deadLetters(limit: 10)[0].attempts == 3)
            #expect(try await bench.node.redrive(nil) == 1)
            #expect(try await Self.eventually { bench.driver.state.withLock { $0.invoked.count } == 6 })
            #expect(try await Self.eventually { try await bench.node.deadLetters(limit: 10).count == 1 })
        }
    }

    @Test("what was queued when a node died runs on the next start; what was complete does not")
    func restored() async throws {
        let store = Self.makeStore()
        try await Self.withNode(store: store) { bench in try await bench.deploy("echo") }
        for (number, label) in [(1 as UInt64, "left"), (2, "done")] {
            try await store.enqueue(
                QueuedCall(
                    id: CallID(number),
                    request: CallRequest(function: try FunctionID(name: "echo"), body: .whole(ByteBuffer(string: label)), label: label),
                    callbackURL: nil, accepted: .zero))
        }
        try await store.complete(CallID(2), delivery: nil)
        try await Self.withNode(store: store) { bench in
            let emptied = try await Self.eventually { try await bench.store.queued().isEmpty }
            #expect(emptied)
            #expect(bench.driver.state.withLock { $0.invoked } == ["left"])
        }
    }

    @Test("a deployment that cannot work is refused and changes nothing")
    func badDeployments() async throws {
        try await Self.withNode { bench in
            await #expect(throws: BrumeError.self) { try await bench.deploy("unpreparable") }
            await #expect(throws: BrumeError.self) { try await bench.deploy("echo", secrets: ["missing"]) }
            await #expect(throws: BrumeError.self) { try await bench.deploy("echo", scale: Scale(min: 3, max: 2)) }
            let spec = FunctionSpec(id: try FunctionID(name: "absent"), contract: .fork(command: ["x"]))
            await #expect(throws: BrumeError.self) { try await bench.node.deploy(spec, mode: .update) }
            var cron = FunctionSpec(id: try FunctionID(name: "cron"), contract: .fork(command: ["x"]))
            cron.annotations = ["topic": "cron-function", "schedule": "every now and then"]
            await #expect(throws: BrumeError.self) { try await bench.node.deploy(cron, mode: .create) }
            #expect(await bench.node.functions(namespace: nil).isEmpty)
        }
    }

    @Test("a secret reaches the replica, cannot be removed while it is used, and can afterwards")
    func secrets() async throws {
        try await Self.withNode { bench in
            let secret = Secret(name: "token", namespace: FunctionID.defaultNamespace, value: [1, 2, 3])
            try await bench.node.putSecret(secret, mustExist: false)
            await #expect(throws: BrumeError.self) { try await bench.node.putSecret(secret, mustExist: false) }
            try await bench.deploy("echo", secrets: ["token"])
            _ = try await bench.call("echo")
            #expect(bench.driver.state.withLock { $0.secrets } == [secret])
            await #expect(throws: BrumeError.self) {
                try await bench.node.removeSecret(name: "token", namespace: FunctionID.defaultNamespace)
            }
            try await bench.node.remove(try FunctionID(name: "echo"))
            try await bench.node.removeSecret(name: "token", namespace: FunctionID.defaultNamespace)
            #expect(try await bench.node.secretNames(namespace: FunctionID.defaultNamespace).isEmpty)
        }
    }

    @Test("followed logs bring what was kept and what comes")
    func followedLogs() async throws {
        try await Self.withNode { bench in
            try await bench.deploy("echo")
            _ = try await bench.call("echo")
            let lines = try await bench.node.logs(LogQuery(function: try FunctionID(name: "echo")), follow: true)
            _ = try await bench.call("echo")
            var texts: [String] = []
            for try await line in lines {
                texts.append(line.text)
                if texts.count == 2 { break }
            }
            #expect(texts == ["echoed", "echoed"])
        }
    }

    @Test("scaling by hand stops and starts replicas; a call undoes zero")
    func scaling() async throws {
        try await Self.withNode { bench in
            try await bench.deploy("echo")
            let id = try FunctionID(name: "echo")
            try await bench.node.scale(id, to: 3)
            #expect(try await Self.eventually { await bench.node.function(id)?.availableReplicas == 3 })
            #expect(await bench.node.function(id)?.memoryBytes == 3 << 20)
            try await bench.node.scale(id, to: 0)
            #expect(try await Self.eventually { await bench.node.function(id)?.replicas == 0 })
            #expect(try await bench.call("echo").cold)
        }
    }
}
