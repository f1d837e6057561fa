// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeWorkload
import Foundation
import Testing

@testable import BrumeLoad

// One after the other: they measure time, and each wants the machine for itself.
@Suite("Load against real servers", .serialized)
struct LoadGeneratorTests {
    private func plan(
        _ server: TestServer, _ pace: LoadPlan.Pace, connections: Int, duration: Duration = .milliseconds(400),
        warmUp: Duration = .zero, timeout: Duration = .seconds(10), threads: Int = 1
    ) -> LoadPlan {
        LoadPlan(
            target: LoadTarget(endpoint: .tcp(host: "127.0.0.1", port: server.port), path: "/function/x"), body: Array("hello".utf8),
            pace: pace, connections: connections, threads: threads, duration: duration, warmUp: warmUp, timeout: timeout)
    }

    /// What holds for every report: each due request ended in exactly one way.
    private func expectBalanced(_ report: LoadReport, _ comment: Comment = "") {
        let otherStatuses = report.statuses.filter { !(200..<300).contains($0.status) }.reduce(0) { $0 + $1.count }
        let failures = report.failures.reduce(0) { $0 + $1.count }
        #expect(report.due == report.succeeded + otherStatuses + failures, "\(comment) \(report)")
        #expect(report.failed == otherStatuses + failures, "\(comment) \(report)")
        #expect(report.latency.count == report.succeeded)
        #expect(report.latency.p50 <= report.latency.p90 && report.latency.p90 <= report.latency.p99)
    }

    @Test("an open loop sends every due request, on one thread or on several", arguments: [1, 3])
    func openLoop(threads: Int) async throws {
        try await TestServer.run(.echo) { server in
            let report = try await LoadGenerator(
                plan(server, .open(.constant(rate: 1000)), connections: 8, duration: .milliseconds(500), threads: threads)
            ).run()
            // Due at 1, 2, ... 499 ms; the one at 500 ms falls on the end of the window.
            #expect(report.due == 499)
            #expect(report.succeeded == 499)
            #expect(server.state.seen.requests == 499)
            #expect(report.offeredRate == 1000)
            expectBalanced(report)
        }
    }

    @Test("latencies from the due time show a stall that latencies from the send time hide")
    func coordinatedOmission() async throws {
        try await TestServer.run(.stall(from: .milliseconds(300), until: .milliseconds(700))) { server in
            let report = try await LoadGenerator(
                plan(server, .open(.constant(rate: 500)), connections: 2, duration: .milliseconds(1500))
            ).run()
            expectBalanced(report)
            #expect(report.failed == 0)
            // 750 requests, 200 of them due during the stall of 400 ms; only 2 were under way in it.
            #expect(report.latency.p99 > 300, "\(report.latency)")
            #expect(report.latency.p90 > 100, "\(report.latency)")
            #expect(report.latencyFromSend.p99 < report.latency.p99 / 3, "\(report.latencyFromSend)")
            #expect(report.latencyFromSend.max > 300, "\(report.latencyFromSend)")
        }
    }

    @Test("a closed loop never has more requests under way than connections", arguments: [1, 7])
    func closedLoop(concurrency: Int) async throws {
        try await TestServer.run(.echo) { server in
            let report = try await LoadGenerator(plan(server, .closed, connections: concurrency)).run()
            let seen = server.state.seen
            #expect(seen.mostInProgress <= concurrency)
            #expect(seen.connections == concurrency)
            #expect(report.due == seen.requests)
            #expect(report.due >= concurrency)
            #expect(report.failed == 0)
            #expect(abs(report.throughput - Double(report.succeeded) / report.seconds) < Double(concurrency + 1) / report.seconds)
            expectBalanced(report)
        }
    }

    @Test("a burst sends one request on each connection, all before the first answer")
    func burst() async throws {
        try await TestServer.run(.barrier(200)) { server in
            let report = try await LoadGenerator(plan(server, .burst, connections: 200, duration: .seconds(20))).run()
            #expect(server.state.seen.requests == 200)
            #expect(server.state.seen.mostInProgress == 200)
            #expect(report.succeeded == 200)
            #expect(report.seconds < 20)
            expectBalanced(report)
        }
    }

    @Test("the warm-up is sent and not counted")
    func warmUp() async throws {
        try await TestServer.run(.echo) { server in
            let report = try await LoadGenerator(
                plan(server, .open(.constant(rate: 1000)), connections: 4, duration: .milliseconds(200), warmUp: .milliseconds(200))
            ).run()
            // Due at 200, 201, ... 399 ms after the beginning.
            #expect(report.due == 200)
            #expect(server.state.seen.requests == 399)
            expectBalanced(report)
        }
    }

    @Test("a server that is not there is counted as refused connections, and the run ends in time", arguments: [true, false])
    func refused(openLoop: Bool) async throws {
        let port = try await TestServer.unusedPort()
        let plan = LoadPlan(
            target: LoadTarget(endpoint: .tcp(host: "127.0.0.1", port: port)), pace: openLoop ? .open(.poisson(rate: 200)) : .closed,
            connections: 4, duration: .milliseconds(300), warmUp: .zero)
        let clock = ContinuousClock()
        let begin = clock.now
        let report = try await LoadGenerator(plan).run()
        #expect(clock.now - begin < .seconds(5))
        #expect(report.succeeded == 0)
        #expect(report.due > 0)
        #expect(report.count(of: .connectionRefused) == report.due)
        expectBalanced(report)
    }

    @Test(
        "each way to break is counted by its name",
        arguments: [
            (TestServer.Behaviour.close, LoadFailure.closedEarly), (.reset, .connectionReset), (.garbage, .malformedReply),
        ])
    func broken(behaviour: TestServer.Behaviour, kind: LoadFailure) async throws {
        try await TestServer.run(behaviour) { server in
            let report = try await LoadGenerator(plan(server, .open(.constant(rate: 200)), connections: 4, duration: .milliseconds(300)))
                .run()
            #expect(report.succeeded == 0)
            #expect(report.count(of: kind) == report.due, "\(report.failures)")
            #expect(report.reconnects > 0)
            expectBalanced(report)
        }
    }

    @Test("statuses other than 2xx are failures, counted one by one, and their latencies do not flatter")
    func statuses() async throws {
        try await TestServer.run(.statuses([200, 503, 201, 429])) { server in
            let report = try await LoadGenerator(plan(server, .open(.constant(rate: 400)), connections: 1, duration: .milliseconds(502)))
                .run()
            #expect(report.due == 200)
            #expect([200, 201, 429, 503].map(report.count(ofStatus:)) == [50, 50, 50, 50])
            #expect(report.succeeded == 100)
            expectBalanced(report)
        }
    }

    @Test("a server that never answers costs one timeout, and every request is accounted for")
    func silence() async throws {
        try await TestServer.run(.silence) { server in
            let clock = ContinuousClock()
            let begin = clock.now
            let report = try await LoadGenerator(
                plan(server, .open(.constant(rate: 100)), connections: 3, duration: .milliseconds(300), timeout: .milliseconds(200))
            ).run()
            #expect(clock.now - begin < .seconds(5))
            #expect(report.count(of: .timedOut) >= 3)
            #expect(report.count(of: .timedOut) + report.count(of: .notSent) == report.due)
            expectBalanced(report)
        }
    }

    @Test("connections that the server closes after an answer are opened again and lose nothing")
    func closeAfterEach() async throws {
        try await TestServer.run(.closeAfterEach) { server in
            let report = try await LoadGenerator(plan(server, .open(.constant(rate: 200)), connections: 4, duration: .milliseconds(500)))
                .run()
            #expect(report.failed == 0, "\(report.failures)")
            #expect(report.reconnects >= report.due - 4)
            expectBalanced(report)
        }
    }

    @Test("a Unix socket is a target like any other")
    func unixSocket() async throws {
        let path = "/tmp/brume-load-\(UInt64.random(in: 0 ... .max)).sock"
        try await TestServer.run(.echo, unixSocket: path) { _ in
            let target = try LoadTarget(parsing: "unix:\(path):/x")
            let report = try await LoadGenerator(
                LoadPlan(target: target, pace: .closed, connections: 2, duration: .milliseconds(200), warmUp: .zero)
            ).run()
            #expect(report.succeeded > 2)
            #expect(report.failed == 0)
        }
        try? FileManager.default.removeItem(atPath: path)
    }

    @Test("a cancelled run ends at once")
    func cancelled() async throws {
        try await TestServer.run(.echo) { server in
            let generator = try LoadGenerator(plan(server, .closed, connections: 2, duration: .seconds(300)))
            let clock = ContinuousClock()
            let begin = clock.now
            let (told, tell) = AsyncStream.makeStream(of: Void.self)
            let run = Task { try await generator.run { _ in tell.yield() } }
            for await _ in told { break }
            run.cancel()
            await #expect(throws: CancellationError.self) { try await run.value }
            #expect(clock.now - begin < .seconds(30))
        }
    }
}
