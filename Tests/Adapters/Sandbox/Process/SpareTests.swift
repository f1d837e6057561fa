// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Foundation
import NIOCore
import NIOPosix
import Testing

@testable import BrumeSandbox

/// A driver with real contracts, with or without spare sandboxes, on directories of its own.
private struct SpareBench {
    let driver: LinuxSandbox
    let recorder = EventRecorder()
    let root: String

    static func with(spares: Int = 1, _ body: (SpareBench) async throws -> Void) async throws {
        let bench = try await SpareBench(spares: spares)
        do { try await body(bench) } catch {
            await bench.end()
            throw error
        }
        await bench.end()
    }

    private init(spares: Int) async throws {
        root = try TestDirectory.make()
        let channels = ContractChannels(
            ContractChannels.Settings(
                group: MultiThreadedEventLoopGroup.singleton, codeRoot: "\(root)/unpacked", agentPath: Fixture.agentPath))
        driver = try await LinuxSandbox(
            settings: SandboxSettings(stateDirectory: "\(root)/sandbox", spares: spares), group: MultiThreadedEventLoopGroup.singleton,
            events: { [recorder] in recorder.record($0) }, makeChannel: { try channels.makeChannel(for: $0, replica: $1) },
            makeSpare: { channels.makeSpare($0) }, prepare: { try await channels.prepare($0, bundle: $1) })
    }

    private func end() async {
        await driver.shutdown()
        #expect(HostState.groups(in: driver.groupName).isEmpty)
        #expect(HostFiles.names(in: "\(root)/sandbox/replicas").isEmpty)
        #expect(HostState.processes(with: root).isEmpty)
        try? FileManager.default.removeItem(atPath: root)
    }

    func deploy(_ contract: Contract, _ files: [String: String], environment: [String: String] = [:]) async throws -> FunctionSpec {
        let (path, digest) = try Bundle(files).write(to: root)
        var spec = try Fixture.spec(contract, package: .bundle(digest: digest), environment: environment)
        spec.secrets = ["token"]
        try await driver.prepare(spec, bundle: path)
        return spec
    }

    /// Starts a replica and waits until it is up.
    func start(_ spec: FunctionSpec, _ number: UInt64 = 1) async throws -> ReplicaID {
        let replica = ReplicaID(number)
        let secret = Secret(name: "token", namespace: FunctionID.defaultNamespace, value: Array("hidden".utf8))
        driver.start(replica, of: spec, secrets: [secret])
        guard await recorder.starts(replica) else { throw BrumeError(.failed, await recorder.exit(of: replica).message) }
        return replica
    }

    func call(_ replica: ReplicaID, _ spec: FunctionSpec, _ body: String = "") async throws -> String {
        let call = CallID(UInt64.random(in: 1...UInt64.max))
        let request = CallRequest(function: spec.id, body: .whole(ByteBuffer(string: body)), label: "\(call)")
        let result = await withCheckedContinuation { continuation in
            driver.invoke(call, request, on: replica, deadline: .distantFuture) { continuation.resume(returning: $0) }
        }
        guard case .whole(let reply) = try result.get().body else { throw BrumeError(.failed, "not a whole body") }
        return String(buffer: reply)
    }
}

@Suite("Spare sandboxes", .serialized, .timeLimit(.minutes(2)), .enabled(if: ProcessBench.isRoot))
struct SpareTests {
    static let python = Contract.handler(language: .python, file: "handler.py")
    static let node = Contract.handler(language: .node, file: "handler.js")
    static let shell = Contract.fork(command: ["/bin/sh", "-c", "cat; . ./probe.sh"])

    /// Tells what a function can see of its sandbox, line by line; nothing of it may depend on how the sandbox came to be.
    static let probe = """
        echo "cwd $(pwd)"; id; umask; ulimit -a
        env | grep -v '^_=' | sort
        grep -E '^(Groups|Cap|NoNewPrivs|Seccomp|Sig[BI])' /proc/self/status
        ls -la --time-style=+ /function; cat /function/*.txt
        ls /var/openfaas/secrets; cat /var/openfaas/secrets/token; echo
        for place in /function /var/openfaas/secrets /opt/brume /opt /usr /etc /run/brume /var /; do
            touch $place/new 2>/dev/null && echo "$place can be written"
            chmod 777 $place 2>/dev/null && echo "$place can be changed"
        done
        for place in / /function /usr /etc /run/brume /tmp /home/app /dev /dev/shm /proc /proc/sys; do
            awk -v at=$place '$5 == at { print $5, $6, $(NF - 2) }' /proc/self/mountinfo
        done
        set -- /proc/[0-9]*; echo $# processes; hostname
        """

    static let handlers: [(Contract, [String: String])] = [
        (shell, [:]),
        (
            python,
            [
                "handler.py": "import subprocess, sys, os\n"
                    + "def handle(req):\n"
                    + "    own = [sys.argv, sys.path, sorted(os.environ.items()), os.getcwd(), sys.stdin.read(), os.listdir('/proc/self/fd')]\n"
                    + "    return repr(own) + subprocess.run(['/bin/sh', 'probe.sh'], capture_output=True, text=True).stdout\n"
            ]
        ),
        (
            node,
            [
                "handler.js": "const { execFileSync } = require('child_process');\n"
                    + "module.exports = async () => JSON.stringify([process.argv.slice(2), process.env, process.cwd()])"
                    + " + execFileSync('/bin/sh', ['probe.sh']).toString();\n"
            ]
        ),
    ]

    @Test("a function cannot tell a spare sandbox from its own", arguments: handlers)
    func looksTheSame(contract: Contract, files: [String: String]) async throws {
        var files = files
        files["probe.sh"] = Self.probe
        files["data.txt"] = "data of the function\n"
        var seen: [String] = []
        for spares in 0...1 {
            try await SpareBench.with(spares: spares) { bench in
                let spec = try await bench.deploy(contract, files, environment: ["GREETING": "hello = world", "PATH": "/usr/bin:/bin"])
                #expect(await bench.driver.waitForSpare(spec) == (spares == 1))
                let replica = try await bench.start(spec)
                seen.append(try await bench.call(replica, spec))
                bench.driver.stop(replica, grace: .zero)
            }
        }
        let (own, spare) = (seen[0].split(separator: "\n"), seen[1].split(separator: "\n"))
        #expect(own.count > 40)
        for (left, right) in zip(own, spare) { #expect(left == right) }
        #expect(own.count == spare.count)
        #expect(seen[1].contains("data of the function") && seen[1].contains("hidden") && !seen[1].contains("can be"))
    }

    @Test("a spare is used once and by one function, and the next one follows", arguments: [python, shell])
    func usedOnce(contract: Contract) async throws {
        try await SpareBench.with { bench in
            let files = [
                "handler.py": "import os\ndef handle(req):\n    seen = os.path.exists('/tmp/mark')\n    open('/tmp/mark', 'w')\n"
                    + "    return f\"{open('name').read()} {seen} {os.readlink('/proc/self/ns/mnt')} {open('/proc/self/uid_map').read().split()[1]}\"",
                "probe.sh": "s=False; test -e /tmp/mark && s=True; : > /tmp/mark; "
                    + "echo $(cat name) $s $(readlink /proc/self/ns/mnt) $(awk '{print $2}' /proc/self/uid_map)",
            ]
            var answers: [[Substring]] = []
            for number in 1...3 as ClosedRange<UInt64> {
                var spec = try await bench.deploy(contract, files.merging(["name": "f\(number)"]) { $1 })
                spec.id = try FunctionID(name: "f\(number)")
                #expect(await bench.driver.waitForSpare(spec))
                let replica = try await bench.start(spec, number)
                answers.append(try await bench.call(replica, spec).split(separator: " "))
            }
            #expect(answers.map { $0[0] } == ["f1", "f2", "f3"])
            #expect(answers.allSatisfy { $0[1] == "False" }, "a private /tmp has a file of another function")
            #expect(Set(answers.map { $0[2] }).count == 3, "each has a mount namespace of its own")
        }
    }

    @Test("each replica in a spare has a host user and a control group of its own")
    func ownUserAndGroup() async throws {
        try await SpareBench.with { bench in
            let spec = try await bench.deploy(Self.python, ["handler.py": "def handle(req):\n    return req"])
            var groups: Set<String> = []
            var users: Set<String> = []
            for number in 1...2 as ClosedRange<UInt64> {
                #expect(await bench.driver.waitForSpare(spec))
                _ = try await bench.start(spec, number)
            }
            // The next spare must not be seen half made.
            #expect(await bench.driver.waitForSpare(spec))
            for pid in HostState.processes(with: "handler.pyc\0--spare") {
                groups.insert(HostState.text("/proc/\(pid)/cgroup"))
                users.insert(
                    HostState.text("/proc/\(pid)/status").split(separator: "\n").first { $0.hasPrefix("Uid:") }.map(String.init) ?? "")
            }
            #expect(groups.count >= 3 && users.count == groups.count && users.allSatisfy { !$0.contains("\t0") })
        }
    }

    @Test("a file of the function's own wins over a module that the spare has imported")
    func ownModule() async throws {
        try await SpareBench.with { bench in
            let files = [
                "base64.py": "name = 'mine'",
                "handler.py": "import base64, json\ndef handle(req):\n    return base64.name + json.dumps([1])",
            ]
            let spec = try await bench.deploy(Self.python, files)
            #expect(await bench.driver.waitForSpare(spec))
            #expect(try await bench.call(try await bench.start(spec), spec) == "mine[1]")
        }
    }

    @Test("a spare that was killed is replaced, and no start fails for it")
    func killed() async throws {
        try await SpareBench.with { bench in
            let spec = try await bench.deploy(Self.python, ["handler.py": "def handle(req):\n    return req"])
            for number in 1...2 as ClosedRange<UInt64> {
                #expect(await bench.driver.waitForSpare(spec))
                for pid in HostState.processes(with: "--spare") where HostState.text("/proc/\(pid)/comm").hasPrefix("python") {
                    _ = Foundation.kill(pid_t(pid), SIGKILL)
                }
                #expect(try await bench.call(try await bench.start(spec, number), spec, "still here") == "still here")
            }
        }
    }

    @Test("a handler that cannot be loaded, and a program that is not there, fail to start with their own words")
    func failedStart() async throws {
        try await SpareBench.with { bench in
            let broken = try await bench.deploy(Self.python, ["handler.py": "import no_such_module\ndef handle(req):\n    return req"])
            #expect(await bench.driver.waitForSpare(broken))
            await #expect(throws: BrumeError.self) { try await bench.start(broken, 1) }
            #expect(await bench.recorder.exit(of: ReplicaID(1)).message.contains("no_such_module"))
            let missing = try await bench.deploy(.http(command: ["./not-there"], port: 8080), ["a": "b"])
            #expect(await bench.driver.waitForSpare(missing))
            await #expect(throws: BrumeError.self) { try await bench.start(missing, 2) }
            #expect(await bench.recorder.exit(of: ReplicaID(2)).message.contains("not-there"))
        }
    }

    @Test("what an interpreter reads at its start, and what makes a sandbox another one, takes no spare of others")
    func profiles() throws {
        var spec = try Fixture.spec(Self.python)
        let profile = try #require(SpareProfile(spec))
        spec.environment = ["GREETING": "x", "PYTHONPATH": "/function/lib", "NODE_ENV": "test"]
        spec.timeout = .seconds(1)
        spec.secrets = ["token"]
        #expect(SpareProfile(spec) == profile)
        var other = spec
        other.limits.memoryBytes *= 2
        #expect(SpareProfile(other) != profile)
        other = spec
        other.network = true
        #expect(SpareProfile(other) != profile)
        other = spec
        other.readOnlyRootFilesystem = true
        #expect(SpareProfile(other) != profile)
        for name in ["TZ", "LC_ALL", "LD_PRELOAD", "NODE_OPTIONS", "MALLOC_ARENA_MAX"] {
            other = spec
            other.environment[name] = "x"
            #expect(SpareProfile(other) == nil, "\(name)")
        }
        other = spec
        other.package = .image(reference: "oci:/image:tag")
        #expect(SpareProfile(other) == nil)
    }

    @Test("the node keeps spares of a bounded number of profiles")
    func bounded() async throws {
        try await SpareBench.with { bench in
            var specs: [FunctionSpec] = []
            for index in 0..<SparePool.profilesMax + 2 {
                var spec = try Fixture.spec(.http(command: ["/bin/true"], port: 8080))
                spec.limits.memoryBytes += index << 20
                try await bench.driver.prepare(spec, bundle: nil)
                #expect(await bench.driver.waitForSpare(spec))
                specs.append(spec)
            }
            #expect(bench.driver.spareCount == SparePool.profilesMax)
            #expect(await !bench.driver.waitForSpare(specs[0]))
        }
    }
}

/// The rules of the other suites, each with a replica in a spare sandbox.
@Suite("What holds in a sandbox holds in a spare one", .serialized, .timeLimit(.minutes(3)), .enabled(if: ProcessBench.isRoot))
struct SpareConformanceTests {
    struct Rule: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let check: @Sendable () async throws -> Void

        init(_ name: String, _ check: @escaping @Sendable () async throws -> Void) { (testDescription, self.check) = (name, check) }
    }

    static let rules: [Rule] = [
        Rule("conformance") { try await DriverTests().conformance(isolation: .sandbox) },
        Rule("the spawner is killed") { try await DriverTests().spawnerKilled() },
        Rule("failed start") { try await EndingTests().failedStart() },
        Rule("missing program") { try await EndingTests().missingProgram() },
        Rule("start timeout") { try await EndingTests().startTimeout() },
        Rule("stop while starting") { try await EndingTests().stopWhileStarting() },
        Rule("graceful end") { try await EndingTests().graceful() },
        Rule("killed after the grace") { try await EndingTests().killed() },
        Rule("late call") { try await EndingTests().lateCall() },
        Rule("secrets") { try await IsolationTests().secrets() },
        Rule("binds") { try await IsolationTests().binds() },
        Rule("out of memory") { try await LimitTests().memory() },
        Rule("fork bomb") { try await LimitTests().forkBomb() },
        Rule("full disk") { try await LimitTests().fullDisk(place: "/tmp") },
        Rule("half a core") { try await LimitTests().cpu(millicores: 500, most: 0.62) },
        Rule("use is counted") { try await LimitTests().usage() },
    ]

    @Test("a rule of another suite", arguments: rules)
    func holds(rule: Rule) async throws {
        try await ProcessBench.$usesSpares.withValue(true) { try await rule.check() }
    }

    @Test("what must not work inside does not", arguments: IsolationTests.forbidden)
    func forbids(program: String, answer: String) async throws {
        try await ProcessBench.$usesSpares.withValue(true) { try await IsolationTests().forbids(program: program, answer: answer) }
    }
}
