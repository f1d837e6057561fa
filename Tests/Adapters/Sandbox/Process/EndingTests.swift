// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Glibc
import Testing

@testable import BrumeSandbox

@Suite("Replicas end as told and leave nothing", .serialized, .timeLimit(.minutes(2)))
struct EndingTests {
    @Test(
        "the way a replica ended is told apart",
        arguments: [
            ("import os; os._exit(3)", ReplicaExit.Cause.exited(code: 3), CallFailure.Kind.exited),
            ("import os; os._exit(0)", .exited(code: 0), .exited),
            ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", .signalled(number: 11), .crashed),
            ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", .signalled(number: 9), .crashed),
        ])
    func causes(program: String, cause: ReplicaExit.Cause, kind: CallFailure.Kind) async throws {
        try await ProcessBench.with { bench in
            let replica = try await bench.start(try ProcessBench.spec())
            let failure = await #expect(throws: CallFailure.self) { try await bench.run(program, on: replica) }
            #expect(failure?.kind == kind)
            #expect(await bench.recorder.exit(of: replica).cause == cause)
        }
    }

    @Test("a program that fails at once is a failed start with its last words")
    func failedStart() async throws {
        let channel: @Sendable (FunctionSpec) -> LineChannel = { _ in
            LineChannel(command: ["/bin/sh", "-c", "echo no such luck >&2; exit 7"])
        }
        try await ProcessBench.with(channel: channel) { bench in
            let replica = try await bench.begin(try ProcessBench.spec())
            let exit = await bench.recorder.exit(of: replica)
            #expect(exit.cause == .startFailed)
            #expect(exit.message.contains("exit code 7") && exit.message.contains("no such luck"), "\(exit.message)")
        }
    }

    @Test("a program that is not there is a failed start that names it")
    func missingProgram() async throws {
        try await ProcessBench.with(channel: { _ in LineChannel(command: ["/usr/bin/no-such-program"]) }) { bench in
            let exit = await bench.recorder.exit(of: try await bench.begin(try ProcessBench.spec()))
            #expect(exit.cause == .startFailed && exit.message.contains("no-such-program"), "\(exit.message)")
        }
    }

    @Test("a program that is never ready is given up after the start timeout")
    func startTimeout() async throws {
        try await ProcessBench.with(startTimeout: .milliseconds(300), channel: { _ in LineChannel(command: ["/bin/sleep", "600"]) }) {
            bench in
            let exit = await bench.recorder.exit(of: try await bench.begin(try ProcessBench.spec()))
            #expect(exit.cause == .startFailed && exit.message.contains("not ready"), "\(exit.message)")
        }
    }

    @Test("stopping during the start ends it")
    func stopWhileStarting() async throws {
        try await ProcessBench.with(channel: { _ in LineChannel(command: ["/bin/sleep", "600"]) }) { bench in
            let replica = try await bench.begin(try ProcessBench.spec())
            #expect(await bench.stop(replica, grace: .seconds(60)).cause == .stopped)
        }
    }

    @Test("a program that is asked may end by itself within the grace")
    func graceful() async throws {
        try await ProcessBench.with { bench in
            let replica = try await bench.start(try ProcessBench.spec())
            _ = try await bench.run(
                "import signal, os\ndef bye(*a):\n  os.write(1, b'goodbye\\n'); os._exit(0)\nsignal.signal(signal.SIGTERM, bye)",
                on: replica)
            let began = ContinuousClock.now
            #expect(await bench.stop(replica, grace: .seconds(30)).cause == .stopped)
            #expect(ContinuousClock.now - began < .seconds(10))
            #expect(bench.recorder.lines(of: replica, .stdout) == ["goodbye"])
        }
    }

    @Test("a program that ignores the question is killed after the grace, with its children")
    func killed() async throws {
        try await ProcessBench.with { bench in
            let replica = try await bench.start(try ProcessBench.spec())
            let program = """
                import signal, os, time
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                for _ in range(5):
                    if os.fork() == 0:
                        os.setsid()
                        os.execv('/bin/sleep', ['sleep', '987654'])
                """
            _ = try await bench.run(program, on: replica)
            #expect(await bench.stop(replica, grace: .milliseconds(100)).cause == .stopped)
            #expect(HostState.processes(with: "987654").isEmpty)
            #expect(HostState.groups(in: bench.driver.groupName, named: "\(replica)").isEmpty)
            #expect(HostFiles.names(in: "\(bench.directory)/sandbox/replicas").isEmpty)
        }
    }

    @Test("a call for a replica that is gone is answered and finished")
    func lateCall() async throws {
        try await ProcessBench.with { bench in
            let replica = try await bench.start(try ProcessBench.spec())
            _ = await bench.stop(replica)
            let failure = await #expect(throws: CallFailure.self) { try await bench.run("r = 1", on: replica) }
            #expect(failure?.kind == .unsent)
        }
    }
}
