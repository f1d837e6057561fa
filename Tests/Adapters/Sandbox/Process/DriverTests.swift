// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Glibc
import NIOCore
import NIOPosix
import Testing

@testable import BrumeSandbox

@Suite("The drivers keep the port's promises", .serialized, .timeLimit(.minutes(2)))
struct DriverTests {
    @Test("every rule of the conformance suite holds", arguments: SandboxSettings.Isolation.allCases)
    func conformance(isolation: SandboxSettings.Isolation) async throws {
        let channel: @Sendable (FunctionSpec) -> LineChannel = { spec in
            spec.id.name == "fails" ? LineChannel(command: ["/bin/false"]) : LineChannel()
        }
        try await ProcessBench.with(isolation: isolation, channel: channel) { bench in
            let suite = SandboxConformance(
                driver: bench.driver, recorder: bench.recorder,
                spec: { try ProcessBench.spec($0 == .failsToStart ? "fails" : "probe") },
                payload: { behaviour in
                    switch behaviour {
                    case .crashes: ByteBuffer(string: "import os; os._exit(3)")
                    case .hangs: ByteBuffer(string: "import time; time.sleep(600)")
                    case .answers, .failsToStart: ByteBuffer(string: "r = 1")
                    }
                })
            try await suite.run()
        }
    }

    @Test(
        "without isolation a daemon that left its session is killed all the same, with and without control groups",
        arguments: [true, false])
    func directKillsDaemons(marked: Bool) async throws {
        let spawner = try #require(SandboxSettings.helper("brume-spawner", given: nil))
        let client = try await SpawnerClient.launch(path: spawner, joinFast: false)
        var order = SpawnOrder(arguments: ["/bin/sh", "-c", "setsid -f sleep 31415926; exec sleep 31415926"])
        order.environment = ["PATH=/usr/bin:/bin", "BRUME_REPLICA=daemon-test"]
        order.isMarked = marked
        let tree = CgroupTree.make(name: "brume-daemon-test")
        let group = ReplicaCgroup(tree: tree, name: "r1")
        if !marked {
            try group.create(Resources(millicores: 500, memoryBytes: 64 << 20), endsTogether: true)
            order.join(group)
        }
        var pipes: [CInt] = [-1, -1, -1, -1]
        try #require(HostFiles.pipes(&pipes) == 0)
        let program = try await client.spawn(order, output: pipes[1], errors: pipes[3])
        while HostState.processes(with: "31415926").count < 2 { await Task.yield() }
        client.kill(program)
        #expect(await program.exit.wait() == SIGKILL)
        for _ in 0..<200 where !HostState.processes(with: "31415926").isEmpty { try await Task.sleep(for: .milliseconds(5)) }
        #expect(HostState.processes(with: "31415926").isEmpty)
        client.close()
        #expect(await client.ended.wait() != nil)
        for pipe in pipes { close(pipe) }
        #expect(await group.remove())
        tree.remove()
    }

    @Test("a starting node kills and removes what a killed one left", .enabled(if: ProcessBench.isRoot))
    func cleansUp() async throws {
        let directory = ProcessBench.newDirectory()
        defer { HostState.remove(directory) }
        let settings = SandboxSettings(stateDirectory: directory)
        let tree = CgroupTree.make(name: settings.groupName)
        let group = ReplicaCgroup(tree: tree, name: "r77")
        try group.create(Resources(millicores: 500, memoryBytes: 64 << 20), endsTogether: true)
        try HostFiles.makeDirectory("\(directory)/replicas/r77/secrets")
        try HostFiles.create("\(directory)/replicas/r77/secrets/key", Array("hidden".utf8), mode: 0o444)
        try HostFiles.makeDirectory("\(settings.socketRoot)/r77")
        let orphan = try Orphan.start(in: group.directories)

        let driver = try await LinuxSandbox(
            settings: settings, group: MultiThreadedEventLoopGroup.singleton, events: { _ in }, makeChannel: { _, _ in LineChannel() },
            prepare: { _, _ in })
        #expect(Orphan.end(of: orphan) == SIGKILL)
        #expect(group.directories.allSatisfy { !HostFiles.exists($0) })
        #expect(HostFiles.names(in: "\(directory)/replicas").isEmpty)
        #expect(HostFiles.names(in: settings.socketRoot).isEmpty)
        await driver.shutdown()
        #expect(HostState.groups(in: settings.groupName).isEmpty)
        #expect(!HostFiles.exists(settings.socketRoot))
    }

    @Test("if the spawner is killed its replicas end, and the next start works")
    func spawnerKilled() async throws {
        try await ProcessBench.with { bench in
            let replica = try await bench.start(try ProcessBench.spec())
            let client = try await bench.driver.spawnerClient()
            #expect(kill(client.pid, SIGKILL) == 0)
            #expect(await bench.recorder.exit(of: replica).cause == .signalled(number: 9))
            #expect(HostState.groups(in: bench.driver.groupName, named: "\(replica)").isEmpty)
            let next = try await bench.start(try ProcessBench.spec())
            #expect(try await bench.run("r = 5", on: next) == "5")
        }
    }

    @Test("a data directory whose sockets would have too long names is refused in one sentence")
    func longPath() async throws {
        if ProcessBench.isRoot { return }
        let directory = ProcessBench.newDirectory()
        defer { HostState.remove(directory) }
        let settings = SandboxSettings(stateDirectory: directory + "/" + String(repeating: "x", count: 80))
        await #expect(throws: BrumeError.self) {
            _ = try await LinuxSandbox(
                settings: settings, group: MultiThreadedEventLoopGroup.singleton, events: { _ in }, makeChannel: { _, _ in LineChannel() },
                prepare: { _, _ in })
        }
    }

    @Test("the doctor finds on this machine what the other tests use")
    func checks() async throws {
        let checks = await SandboxChecks(settings: SandboxSettings(stateDirectory: "/tmp/none")).run()
        for name in ["bwrap", "user namespaces", "seccomp", "brume-spawner", "brume-agent"] {
            #expect(checks.first { $0.name == name }?.state == .ok, "\(name)")
        }
        #expect(checks.allSatisfy { $0.state == .ok || !$0.remedy.isEmpty || $0.name == "seccomp" })
        let lost = await SandboxChecks(settings: SandboxSettings(stateDirectory: "/tmp/none", spawner: "/nowhere/spawner")).run()
        #expect(lost.first { $0.name == "brume-spawner" }?.state == .missing)
    }
}

/// A process that no spawner knows of.
enum Orphan {
    static func start(in groups: [String]) throws -> pid_t {
        var pid: pid_t = 0
        let path = unsafe strdup("/bin/sleep")
        let seconds = unsafe strdup("600")
        defer {
            unsafe free(path)
            unsafe free(seconds)
        }
        let error = unsafe posix_spawn(&pid, "/bin/sleep", nil, nil, [path, seconds, nil], nil)
        try #require(error == 0)
        for group in groups { try HostFiles.write("\(pid)", to: "\(group)/cgroup.procs") }
        return pid
    }

    /// The signal that ended it.
    static func end(of pid: pid_t) -> CInt {
        var status: CInt = 0
        _ = unsafe waitpid(pid, &status, 0)
        return status & 0x7f
    }
}
