// SPDX-License-Identifier: Apache-2.0

import BrumeEngine
import BrumeModel
import BrumeNode
import BrumeSimulator
import NIOCore
import Synchronization
import Testing

/// A wall clock that is moved by hours while a node runs, or between two starts: nothing is lost, ends early, or runs twice.
struct ClockTests {
    /// Time as a schedule sees it: the wall clock can be moved, the node's own clock cannot.
    private struct Days {
        /// 2023-11-15, a Wednesday, 00:00.
        static let midnight = Instant(nanoseconds: 1_700_006_400_000_000_000)
        var wall = midnight
        var now = midnight
        var runs = ScheduleRuns(wall: midnight)
        let functions: [(FunctionID, [CronSchedule])]

        init(_ schedules: String...) throws {
            functions = try schedules.enumerated().map { index, text in
                (try FunctionID(name: "f\(index)"), try CronSchedule.list(parsing: text))
            }
        }

        /// Lets time pass, with a look every half minute; returns the wall times in hours at which the first function ran.
        mutating func pass(hours: Double) -> [Double] {
            var ran: [Double] = []
            for _ in 0..<Int(hours * 120) {
                wall = wall + .seconds(30)
                now = now + .seconds(30)
                if runs.due(functions, wall: wall, now: now).contains(where: { $0 == functions[0].0 }) {
                    ran.append((wall - Self.midnight).inSeconds / 3600)
                }
            }
            return ran
        }

        mutating func jump(hours: Double) { wall = wall + .seconds(Int64(hours * 3600)) }
    }

    @Test("a daily run happens once a day, at its minute")
    func daily() throws {
        var days = try Days("0 12 * * *")
        #expect(days.pass(hours: 72) == [12, 36, 60])
    }

    @Test("after a jump back a minute that was seen is not run again, and the next day is")
    func back() throws {
        var days = try Days("0 12 * * *")
        #expect(days.pass(hours: 14) == [12])
        days.jump(hours: -5)
        #expect(days.pass(hours: 20).isEmpty, "noon came again and ran again")
        #expect(days.pass(hours: 24) == [36])
    }

    @Test("after a jump back by hours a frequent schedule goes on within its own pause", arguments: [-5.0, -5.05, -0.5])
    func backFrequent(_ hours: Double) throws {
        var days = try Days("*/10 * * * *")
        #expect(days.pass(hours: 6).count == 36)
        days.jump(hours: hours)
        let runs = days.pass(hours: 6)
        #expect((35...36).contains(runs.count), "\(runs)")
        for (earlier, later) in zip(runs, runs.dropFirst()) { #expect(abs(later - earlier - 1.0 / 6) < 0.01) }
    }

    @Test("a run whose minute is skipped by a jump ahead is made up for once")
    func ahead() throws {
        var days = try Days("0 12 * * *")
        #expect(days.pass(hours: 10).isEmpty)
        days.jump(hours: 5)
        #expect(days.pass(hours: 20).count == 1)
        var frequent = try Days("*/10 * * * *")
        #expect(frequent.pass(hours: 1).count == 6)
        frequent.jump(hours: 5)
        #expect(frequent.pass(hours: 1).count == 7, "one run stands for all that were skipped")
    }

    @Test("a jump ahead that is taken back runs nothing twice")
    func there() throws {
        var days = try Days("0 12 * * *")
        #expect(days.pass(hours: 10).isEmpty)
        days.jump(hours: 5)
        #expect(days.pass(hours: 0.5).count == 1)
        days.jump(hours: -5)
        #expect(days.pass(hours: 10).isEmpty)
    }

    @Test("a clock that is set for the first time runs nothing")
    func set() throws {
        var days = try Days("0 12 * * *")
        days.jump(hours: 24 * 365 * 20)
        #expect(days.pass(hours: 1).isEmpty)
    }

    // MARK: A running node

    private typealias Bench = NodeServiceTests.Bench

    @Test("a jump while calls, retries and idle replicas wait moves no deadline, no retry and no keep-alive", arguments: [5, -5])
    func running(_ hours: Int64) async throws {
        let wall = Mutex(Instant(nanoseconds: 1_700_000_000_000_000_000))
        try await NodeServiceTests.withNode(wallClock: { wall.withLock { $0 } }) { bench in
            try await bench.deploy("echo")
            try await bench.deploy("never", timeout: .milliseconds(600))
            try await bench.deploy("status500")
            _ = try await bench.call("echo")
            let began = ContinuousClock.now
            async let waiting = bench.call("never", label: "never")
            _ = try await bench.node.enqueue(
                CallRequest(function: try FunctionID(name: "status500"), body: .whole(ByteBuffer(string: "x")), label: "retried"),
                callbackURL: nil)
            wall.withLock { $0 = $0 + .seconds(hours * 3600) }
            #expect(try await bench.call("echo").cold == false, "the idle replica was stopped early")
            guard case .failed(let failure) = try await waiting.result, failure.kind == .timedOut else {
                Issue.record("the call did not end by its deadline")
                return
            }
            #expect(ContinuousClock.now - began >= .milliseconds(600), "the call ended early")
            let buried = try await NodeServiceTests.eventually { try await bench.node.queueStatus().dead == 1 }
            #expect(buried, "the retries did not come")
        }
    }

    @Test("a deadline is told to functions in the time that their clock shows", arguments: [5, -5])
    func told(_ hours: Int64) {
        let wall = Mutex(Instant(nanoseconds: 1_700_000_000_000_000_000))
        let world = NodeWorld(wallClock: { wall.withLock { $0 } }, residentBytes: { 0 }, deliver: { _ in })
        let deadline = world.clock.now + .seconds(60)
        wall.withLock { $0 = $0 + .seconds(hours * 3600) }
        let left = world.wallTime(of: deadline) - wall.withLock { $0 }
        #expect(left > .seconds(55) && left <= .seconds(60))
    }

    @Test("a retry that was put off before the clock went back hours comes within the longest pause")
    func restored() async throws {
        let store = NodeServiceTests.makeStore()
        let function = try FunctionID(name: "echo")
        let now = Instant(nanoseconds: 1_700_000_000_000_000_000)
        try await store.putFunction(
            StoredFunction(spec: FunctionSpec(id: function, contract: .fork(command: ["x"])), created: now, revision: 1))
        try await store.enqueue(
            QueuedCall(
                id: CallID(7), request: CallRequest(function: function, body: .whole(ByteBuffer(string: "x")), label: "late"),
                callbackURL: nil, accepted: now + .seconds(18_000), attempts: 1, notBefore: now + .seconds(18_000)))
        try await NodeServiceTests.withNode(store: store) { bench in
            let ran = try await NodeServiceTests.eventually { bench.driver.state.withLock { $0.invoked == ["late"] } }
            #expect(ran)
        }
    }

    @Test("whoever follows a log sees new lines, also where kept lines lie hours ahead of the clock")
    func followed() async throws {
        try await NodeServiceTests.withNode { bench in
            try await bench.deploy("echo")
            let function = try FunctionID(name: "echo")
            let ahead = Instant(nanoseconds: 1_700_000_000_000_000_000) + .seconds(18_000)
            bench.store.append([LogLine(function: function, instance: "r1", time: ahead, stream: .stdout, text: "from before")])
            let lines = try await bench.node.logs(LogQuery(function: function), follow: true)
            _ = try await bench.call("echo")
            var seen: [String] = []
            for try await line in lines {
                seen.append(line.text)
                if seen.count == 2 { break }
            }
            #expect(seen == ["from before", "echoed"])
        }
    }
}
