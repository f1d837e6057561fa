// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Synchronization
import Testing

@testable import BrumeSimulator

/// The promises of `SandboxDriver`, kept in virtual time. The conformance suite of the sandbox adapter runs on it as well.
@Suite("Virtual sandboxes")
struct VirtualSandboxTests {
    /// What a driver said, one line each, in order.
    final class Journal: Sendable {
        private let kept = Mutex<[String]>([])
        var lines: [String] { kept.withLock { $0 } }

        func write(_ line: String) { kept.withLock { $0.append(line) } }

        func event(_ event: SandboxEvent) {
            switch event {
            case .started(let replica): write("started \(replica)")
            case .finished(let call, let replica, let failure): write("finished \(call) on \(replica) \(failure?.kind.rawValue ?? "well")")
            case .exited(let replica, let exit): write("exited \(replica) \(exit.cause)")
            case .log(let replica, _, let text): write("log \(replica) \(text)")
            case .used(let uses): write("used \(uses.map(\.replica))")
            }
        }

        func reply(_ call: UInt64) -> VirtualSandbox<Int>.Reply {
            { result in
                switch result {
                case .success(let response): self.write("reply c\(call) \(response.status)")
                case .failure(let failure): self.write("reply c\(call) \(failure.kind.rawValue)")
                }
            }
        }
    }

    static func spec(_ name: String) throws -> FunctionSpec {
        FunctionSpec(id: try FunctionID(name: name), contract: .fork(command: ["cat"]))
    }

    static func driver(immediate: Bool, _ journal: Journal) -> VirtualSandbox<Int> {
        VirtualSandbox(
            immediate: immediate,
            behaviour: { spec in
                let fails = spec.id.name == "broken"
                return VirtualBehaviour(start: fails ? .fails("no such file", after: .milliseconds(5)) : .comesUp(after: .milliseconds(20)))
                {
                    request in
                    switch request.path {
                    case "/crash": .crashes(ReplicaExit(.exited(code: 3), "exit 3"), .exited, after: .milliseconds(1))
                    case "/fail": .fails(CallFailure(.handlerError, "raised"), after: .milliseconds(1))
                    case "/hang": .hangs
                    default: .replies(CallResponse(status: 200, body: request.body), after: .milliseconds(10))
                    }
                }
            }, events: { journal.event($0) })
    }

    static func call(_ driver: VirtualSandbox<Int>, _ number: UInt64, _ path: String, on replica: UInt64, _ journal: Journal) throws {
        let request = CallRequest<Int>(function: try FunctionID(name: "f"), path: path, body: .whole(3), label: "\(number)")
        driver.invoke(CallID(number), request, on: ReplicaID(replica), deadline: .distantFuture, reply: journal.reply(number))
    }

    @Test("time stands still until it is advanced")
    func manualTime() throws {
        let journal = Journal()
        let driver = Self.driver(immediate: false, journal)
        driver.start(ReplicaID(1), of: try Self.spec("f"), secrets: [])
        driver.advance(by: .milliseconds(19))
        #expect(journal.lines.isEmpty)
        driver.advance(by: .milliseconds(1))
        #expect(journal.lines == ["started r1"])
        try Self.call(driver, 1, "/", on: 1, journal)
        driver.advance(by: .milliseconds(9))
        #expect(journal.lines.count == 1)
        driver.advance(by: .milliseconds(1))
        #expect(journal.lines == ["started r1", "reply c1 200", "finished c1 on r1 well"])
    }

    @Test("calls are answered before their replica's exit, each once, whatever ends it")
    func order() throws {
        let journal = Journal()
        let driver = Self.driver(immediate: true, journal)
        driver.start(ReplicaID(1), of: try Self.spec("f"), secrets: [])
        try Self.call(driver, 1, "/hang", on: 1, journal)
        try Self.call(driver, 2, "/fail", on: 1, journal)
        try Self.call(driver, 3, "/crash", on: 1, journal)
        try Self.call(driver, 4, "/", on: 1, journal)
        #expect(
            journal.lines == [
                "started r1", "reply c2 handler-error", "finished c2 on r1 handler-error", "reply c1 exited", "finished c1 on r1 exited",
                "reply c3 exited", "finished c3 on r1 exited", "exited r1 exited(code: 3)", "reply c4 unsent", "finished c4 on r1 unsent",
            ])
    }

    @Test("a start that fails is one exit, a stopped start too")
    func starts() throws {
        let journal = Journal()
        let driver = Self.driver(immediate: false, journal)
        driver.start(ReplicaID(1), of: try Self.spec("broken"), secrets: [])
        driver.start(ReplicaID(2), of: try Self.spec("f"), secrets: [])
        driver.stop(ReplicaID(2), grace: .seconds(1))
        driver.stop(ReplicaID(2), grace: .seconds(1))
        driver.advance(by: .seconds(10))
        #expect(journal.lines == ["exited r2 stopped", "exited r1 startFailed"])
        #expect(driver.usage(of: ReplicaID(1)) == nil)
    }

    @Test("a stopped replica may end its calls within the grace, and is killed after it")
    func grace() throws {
        let journal = Journal()
        let driver = Self.driver(immediate: false, journal)
        for replica in [1, 2] as [UInt64] { driver.start(ReplicaID(replica), of: try Self.spec("f"), secrets: []) }
        driver.advance(by: .milliseconds(20))
        try Self.call(driver, 1, "/", on: 1, journal)
        try Self.call(driver, 2, "/hang", on: 2, journal)
        for replica in [1, 2] as [UInt64] { driver.stop(ReplicaID(replica), grace: .milliseconds(50)) }
        driver.advance(by: .milliseconds(10))
        #expect(journal.lines.suffix(3) == ["reply c1 200", "finished c1 on r1 well", "exited r1 stopped"])
        driver.advance(by: .milliseconds(40))
        #expect(journal.lines.suffix(3) == ["reply c2 stopped", "finished c2 on r2 stopped", "exited r2 stopped"])
    }

    @Test("what is called from within an event is delivered after it")
    func nested() throws {
        let journal = Journal()
        let driver = Mutex<VirtualSandbox<Int>?>(nil)
        let made = VirtualSandbox<Int>(
            immediate: true, behaviour: { _ in VirtualBehaviour { .replies(CallResponse(status: 200, body: $0.body), after: .zero) } },
            events: { event in
                journal.event(event)
                guard case .started(let replica) = event, let driver = driver.withLock({ $0 }) else { return }
                try? Self.call(driver, 1, "/", on: replica.number, journal)
                driver.stop(replica, grace: .seconds(1))
                journal.write("handled")
            })
        driver.withLock { $0 = made }
        made.start(ReplicaID(1), of: try Self.spec("f"), secrets: [])
        #expect(journal.lines == ["started r1", "handled", "reply c1 200", "finished c1 on r1 well", "exited r1 stopped"])
        driver.withLock { $0 = nil }
    }

    @Test("after the shutdown nothing is left and nothing starts")
    func shutdown() async throws {
        let journal = Journal()
        let driver = Self.driver(immediate: true, journal)
        driver.start(ReplicaID(1), of: try Self.spec("f"), secrets: [])
        try Self.call(driver, 1, "/hang", on: 1, journal)
        await driver.shutdown()
        #expect(journal.lines == ["started r1", "reply c1 stopped", "finished c1 on r1 stopped", "exited r1 stopped"])
        driver.start(ReplicaID(2), of: try Self.spec("f"), secrets: [])
        #expect(journal.lines.last == "exited r2 startFailed")
    }
}
