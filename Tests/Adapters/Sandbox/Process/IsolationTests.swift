// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Glibc
import Testing

@testable import BrumeSandbox

@Suite("The sandbox keeps functions in", .serialized, .timeLimit(.minutes(2)))
struct IsolationTests {
    @Test("a call reaches the program and its answer comes back")
    func answers() async throws {
        try await ProcessBench.with { bench in
            let replica = try await bench.start(try ProcessBench.spec())
            #expect(try await bench.run("r = 6 * 7", on: replica) == "42")
            #expect(await bench.stop(replica).cause == .stopped)
        }
    }

    static let forbidden = [
        ("open('/etc/new', 'w')", "error: OSError: [Errno 30]"),
        ("open('/usr/new', 'w')", "error: OSError: [Errno 30]"),
        ("open('/proc/sys/vm/drop_caches', 'w')", "error: OSError"),
        ("open('/proc/sys/kernel/core_pattern', 'w')", "error: OSError"),
        ("open('/run/brume/new', 'w')", "error: OSError: [Errno 30]"),
        ("open('/dev/new', 'w')", "error: OSError: [Errno 30]"),
        ("import socket; socket.create_connection(('1.1.1.1', 53), 2)", "error: OSError: [Errno 101]"),
        ("import os; os.setuid(0)", "error: OSError: [Errno 22]"),
        ("import os; os.unshare(0x10000000)", "error: "),
        ("import ctypes; l = ctypes.CDLL(None, use_errno=True); r = (l.unshare(0x10000000), ctypes.get_errno())", "(-1, 1)"),
        ("import ctypes; l = ctypes.CDLL(None, use_errno=True); r = (l.ptrace(0, 0, 0, 0), ctypes.get_errno())", "(-1, 1)"),
        (
            "import ctypes; l = ctypes.CDLL(None, use_errno=True); r = (l.mount(b'a', b'/tmp', b'tmpfs', 0, 0), ctypes.get_errno())",
            "(-1, 1)"
        ),
        ("import ctypes; l = ctypes.CDLL(None, use_errno=True); r = (l.syscall(425, 8, 0), ctypes.get_errno())", "(-1, 1)"),
        ("import os; r = os.environ.get('HOME_OF_NODE')", "None"),
        ("import pwd, os; r = pwd.getpwuid(os.getuid()).pw_name", "app"),
        ("import os; r = os.path.exists('/etc/shadow') or os.path.exists('/etc/ssl/private') or os.path.exists('/root')", "False"),
        ("import socket; r = socket.gethostbyname('localhost')", "127.0.0.1"),
        ("import socket; r = socket.gethostbyname(socket.gethostname())", "127.0.0.1"),
        ("r = [l for l in open('/proc/self/status') if l.startswith('CapEff')][0].split()[1]", "0000000000000000"),
        ("r = [l for l in open('/proc/self/status') if l.startswith('NoNewPrivs')][0].split()[1]", "1"),
        ("r = [l for l in open('/proc/self/status') if l.startswith('Seccomp:')][0].split()[1]", "2"),
        ("import os; r = len([p for p in os.listdir('/proc') if p.isdigit()]) <= 3", "True"),
        ("import os; r = sorted(os.listdir('/sys')) if os.path.exists('/sys') else 'none'", "none"),
    ]

    @Test("what must not work inside does not", arguments: forbidden)
    func forbids(program: String, answer: String) async throws {
        _ = unsafe setenv("HOME_OF_NODE", "secret", 1)
        try await ProcessBench.with { bench in
            let replica = try await bench.start(try ProcessBench.spec())
            let got = try await bench.run(program, on: replica)
            #expect(got.hasPrefix(answer), "\(program) gave \(got)")
        }
    }

    @Test("two functions run as two host users, and neither is root", .enabled(if: ProcessBench.isRoot))
    func hostUsers() async throws {
        try await ProcessBench.with { bench in
            var users: Set<String> = []
            for name in ["one", "two"] {
                let replica = try await bench.start(try ProcessBench.spec(name))
                let pid = try await HostView.pid(of: replica, in: bench)
                let line = HostState.text("/proc/\(pid)/status").split(separator: "\n").first { $0.hasPrefix("Uid:") } ?? ""
                let user = line.split(separator: "\t").dropFirst().first.map(String.init) ?? "0"
                #expect((Int(user) ?? 0) >= 200_000)
                users.insert(user)
            }
            #expect(users.count == 2)
        }
    }

    @Test("secrets are files inside and nowhere outside")
    func secrets() async throws {
        try await ProcessBench.with { bench in
            let spec = try ProcessBench.spec(secrets: ["api-key"])
            let value = Array("swordfish-71f2".utf8)
            let secret = Secret(name: "api-key", namespace: "openfaas-fn", value: value)
            let replica = try await bench.start(spec, secrets: [secret])
            #expect(try await bench.run("r = open('/var/openfaas/secrets/api-key').read()", on: replica) == "swordfish-71f2")
            #expect(
                try await bench.run("import os; r = oct(os.stat('/var/openfaas/secrets/api-key').st_mode & 0o777)", on: replica) == "0o444")
            #expect(try await bench.run("open('/var/openfaas/secrets/more', 'w')", on: replica).hasPrefix("error: OSError: [Errno 30]"))
            #expect(HostState.processes(with: "swordfish-71f2").isEmpty)
            _ = await bench.stop(replica)
            #expect(HostFiles.names(in: "\(bench.directory)/sandbox/replicas").isEmpty)
        }
    }

    @Test("a file of the node's own directory can be shown, read-only, even below a directory that only root may enter")
    func binds() async throws {
        let hidden = ProcessBench.newDirectory()
        defer { HostState.remove(hidden) }
        _ = unsafe mkdir("\(hidden)/code", 0o755)
        HostState.write("hello", to: "\(hidden)/code/data")
        let channel: @Sendable (FunctionSpec) -> LineChannel = { _ in
            LineChannel(binds: [.init(host: "\(hidden)/code", inside: "/function")])
        }
        try await ProcessBench.with(channel: channel) { bench in
            let replica = try await bench.start(try ProcessBench.spec())
            #expect(try await bench.run("r = open('/function/data').read()", on: replica) == "hello")
            #expect(try await bench.run("open('/function/data', 'w')", on: replica).hasPrefix("error: OSError: [Errno 30]"))
        }
    }
}

/// What the host sees of a replica.
enum HostView {
    /// Host pid of the Python program: the last process of the replica's control group.
    static func pid(of replica: ReplicaID, in bench: ProcessBench) async throws -> Int {
        for group in HostState.groups(in: bench.driver.groupName, named: "\(replica)") {
            let pids = HostState.text("\(group)/cgroup.procs").split(separator: "\n").compactMap { Int($0) }
            if let last = pids.max() { return last }
        }
        throw BrumeError(.notFound, "no control group of \(replica)")
    }
}
