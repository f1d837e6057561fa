// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeWorkload
import Foundation
import NIOCore
import Synchronization
import Testing

@testable import BrumeLoad

// One after the other: they measure time, and each wants the machine for itself.
@Suite("Replays against real servers", .serialized)
struct TraceReplayTests {
    private func trace(_ milliseconds: [Int], functions: Int = 2) -> Trace {
        Trace(
            functions: (0..<functions).map { TraceFunction("f\($0)") }, parameterNames: ["seed"],
            calls: milliseconds.enumerated().map { index, offset in
                TraceCall(offset: .milliseconds(offset), function: index % functions, inputSize: 10 * index, parameters: [Double(index)])
            })
    }

    private func plan(
        _ port: Int, _ trace: Trace, timeout: Duration = .seconds(10), connections: Int = 64
    ) -> ReplayPlan {
        ReplayPlan(
            gateway: LoadTarget(endpoint: .tcp(host: "127.0.0.1", port: port)), trace: trace,
            paths: trace.functions.map { "/function/\($0.name)" }, timeout: timeout, connections: connections)
    }

    @Test("calls go out when they are due, each with its own body, and each has a record")
    func played() async throws {
        try await TestServer.run(.echo) { server in
            let trace = trace([0, 100, 100, 250, 400])
            let records = try await TraceReplay(plan(server.port, trace)).run()
            #expect(records.map(\.index) == [0, 1, 2, 3, 4])
            #expect(records.map(\.function) == ["f0", "f1", "f0", "f1", "f0"])
            #expect(records.map(\.inputSize) == [0, 10, 20, 30, 40])
            #expect(records.allSatisfy { $0.succeeded && $0.status == 200 && $0.failure.isEmpty && !$0.timedOut })
            for record in records {
                let late = try #require(record.sent) - record.due
                #expect(late >= .zero && late < .milliseconds(500), "\(record)")
                #expect((record.completion ?? .zero) > late)
            }
            #expect(server.state.seen.requests == 5)
        }
    }

    @Test("a server that stalls is charged with the calls that it delayed, and they go out all the same")
    func openLoop() async throws {
        try await TestServer.run(.stall(from: .milliseconds(50), until: .milliseconds(450))) { server in
            let records = try await TraceReplay(plan(server.port, trace((0..<50).map { 10 * $0 }))).run()
            #expect(records.allSatisfy { $0.succeeded })
            // Due from 80 to 250 ms: long before the stall ends, so that even a busy machine sends them within it.
            for record in records[8...25] {
                #expect((record.sent ?? .seconds(9)) < .milliseconds(430), "\(record)")
                let end = record.due + (record.completion ?? .zero)
                #expect(end > .milliseconds(440), "\(record)")
                #expect((record.completion ?? .zero) > .milliseconds(180), "\(record)")
            }
        }
    }

    @Test("with too few connections calls wait for their turn, and the wait counts")
    func fewConnections() async throws {
        try await TestServer.run(.stall(from: .zero, until: .milliseconds(200))) { server in
            let records = try await TraceReplay(plan(server.port, trace([0, 0, 0, 0, 0, 0]), connections: 2)).run()
            #expect(records.allSatisfy { $0.succeeded })
            #expect(server.state.seen.mostInProgress == 2)
            #expect(records.count { ($0.sent ?? .zero) > .milliseconds(150) } == 4)
            #expect(records.allSatisfy { ($0.completion ?? .zero) > .milliseconds(150) })
        }
    }

    @Test(
        "every way to fail is in the record",
        arguments: [
            (TestServer.Behaviour.close, LoadFailure.closedEarly), (.reset, .connectionReset), (.garbage, .malformedReply),
            (.silence, .timedOut),
        ])
    func failures(behaviour: TestServer.Behaviour, failure: LoadFailure) async throws {
        try await TestServer.run(behaviour) { server in
            let records = try await TraceReplay(plan(server.port, trace([0, 20, 40]), timeout: .milliseconds(200))).run()
            #expect(records.map(\.failure) == Array(repeating: failure.rawValue, count: 3))
            #expect(records.allSatisfy { !$0.succeeded && $0.status == nil && $0.timedOut == (failure == .timedOut) })
        }
    }

    @Test("a status that is no success is a failed call with its status, and the connection is used again")
    func statuses() async throws {
        try await TestServer.run(.statuses([200, 500, 504, 429])) { server in
            let records = try await TraceReplay(plan(server.port, trace([0, 50, 100, 150]))).run()
            #expect(records.map(\.status) == [200, 500, 504, 429])
            #expect(records.map(\.succeeded) == [true, false, false, false])
            #expect(records.map(\.timedOut) == [false, false, true, false])
            #expect(server.state.seen.connections == 1)
        }
    }

    @Test("a server that is not there fails every call and ends")
    func nobodyThere() async throws {
        let port = try await TestServer.unusedPort()
        let records = try await TraceReplay(plan(port, trace([0, 30, 60]))).run()
        #expect(records.map(\.failure) == Array(repeating: LoadFailure.connectionRefused.rawValue, count: 3))
        #expect(records.allSatisfy { $0.sent == nil && $0.completion == nil })
    }

    @Test("connections that the server closes after each answer are opened again")
    func closing() async throws {
        try await TestServer.run(.closeAfterEach) { server in
            let records = try await TraceReplay(plan(server.port, trace((0..<20).map { 10 * $0 }))).run()
            #expect(records.allSatisfy { $0.succeeded }, "\(records.filter { !$0.succeeded })")
            #expect(server.state.seen.connections >= 20)
        }
    }

    @Test("progress is told, and the last of it says that all is over")
    func progress() async throws {
        try await TestServer.run(.echo) { server in
            let told = Mutex<[ReplayProgress]>([])
            let records = try await TraceReplay(plan(server.port, trace((0..<70).map { 10 * $0 }))).run { step in
                told.withLock { $0.append(step) }
            }
            let steps = told.withLock { $0 }
            #expect(records.count == 70)
            #expect(steps.count >= 3)
            #expect(steps.last.map { $0.succeeded == 70 && $0.pending == 0 && $0.due == 70 } == true)
            #expect(zip(steps, steps.dropFirst()).allSatisfy { $0.due <= $1.due && $0.succeeded <= $1.succeeded })
        }
    }

    @Test("a replay that is cancelled ends at once")
    func cancelled() async throws {
        try await TestServer.run(.silence) { server in
            let replay = try TraceReplay(plan(server.port, trace([0, 60_000])))
            let task = Task { try await replay.run() }
            let started = ContinuousClock.now
            while server.state.seen.requests == 0, ContinuousClock.now - started < .seconds(5) { await Task.yield() }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            #expect(ContinuousClock.now - started < .seconds(5))
        }
    }

    @Test("what the node says about a call is taken from the answer's head")
    func fields() {
        let head =
            "HTTP/1.1 200 OK\r\nX-Call-Id: 7f\r\nx-brume-start: cold\r\nX-Brume-Queued-Ms: 1.5\r\nX-Brume-Running-Ms: 20\r\nX-Brume-Starting-Ms: x\r\n\r\n"
        var record = ReplayRecord(index: 0, function: "f", due: .zero)
        record.take(status: 200, head: ResponseFields(ByteBuffer(string: head)))
        #expect(record.requestID == "7f")
        #expect(record.isCold == true)
        #expect(record.queued == .microseconds(1500))
        #expect(record.running == .milliseconds(20))
        #expect(record.starting == nil)
        #expect(record.succeeded)
        record.take(status: 504, head: ResponseFields(ByteBuffer(string: "HTTP/1.1 504 x\r\nX-Brume-Failure: timed-out\r\n\r\n")))
        #expect(record.timedOut && !record.succeeded && record.failure == "timed-out")
    }

    @Test("impossible replays are refused")
    func refused() {
        let long = trace([0, 7 * 3600 * 1000])
        #expect(throws: BrumeError.self) { try TraceReplay(plan(1, long)) }
        #expect(throws: BrumeError.self) { try TraceReplay(plan(1, trace([0]), timeout: .zero)) }
        #expect(throws: BrumeError.self) { try TraceReplay(plan(1, trace([0]), connections: 0)) }
        var elsewhere = plan(1, trace([0]))
        elsewhere.gateway.endpoint = .tcp(host: "192.0.2.1", port: 80)
        #expect(throws: BrumeError.self) { try TraceReplay(elsewhere) }
        var unnamed = plan(1, trace([0]))
        unnamed.paths = ["/function/f0"]
        #expect(throws: BrumeError.self) { try TraceReplay(unnamed) }
    }
}
