// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Foundation
import Glibc
import Testing

@testable import BrumeSandbox

@Suite("The spawner", .serialized, .timeLimit(.minutes(1)))
struct SpawnerTests {
    static func launch() async throws -> SpawnerClient {
        let path = try #require(SandboxSettings.helper("brume-spawner", given: nil))
        return try await SpawnerClient.launch(path: path, joinFast: false)
    }

    static func end(_ client: SpawnerClient) async {
        client.close()
        _ = await client.ended.wait()
    }

    /// Runs a program to its end and gives its output and status.
    static func run(_ client: SpawnerClient, _ order: SpawnOrder) async throws -> (text: String, status: Int32) {
        var pipes: [CInt] = [-1, -1, -1, -1]
        try #require(HostFiles.pipes(&pipes) == 0)
        defer { for end in pipes { close(end) } }
        let program = try await client.spawn(order, output: pipes[1], errors: pipes[3])
        let status = try #require(await program.exit.wait())
        var text = ""
        for end in [pipes[0], pipes[2]] {
            var bytes = [UInt8](repeating: 0, count: 65_536)
            let got = unsafe read(end, &bytes, bytes.count)
            text += String(decoding: bytes.prefix(max(0, got)), as: UTF8.self)
        }
        return (text, status)
    }

    @Test("the first instruction of a program runs in its control groups", .enabled(if: ProcessBench.isRoot))
    func joinsFirst() async throws {
        let client = try await Self.launch()
        let tree = CgroupTree.make(name: "brume-join-test")
        let group = ReplicaCgroup(tree: tree, name: "r1")
        try group.create(Resources(millicores: 500, memoryBytes: 64 << 20), endsTogether: true)
        var order = SpawnOrder(arguments: ["/bin/cat", "/proc/self/cgroup"])
        order.join(group)
        let (text, status) = try await Self.run(client, order)
        #expect(status == 0)
        let joined = text.split(separator: "\n").filter { $0.hasSuffix("/brume-join-test/r1") }.count
        #expect(joined == group.directories.count, "\(text)")
        await Self.end(client)
        #expect(await group.remove())
        tree.remove()
    }

    @Test("it drops to the uid it is told, with no groups and no capability, and refuses root", .enabled(if: ProcessBench.isRoot))
    func dropsIDs() async throws {
        let client = try await Self.launch()
        var order = SpawnOrder(arguments: ["/bin/cat", "/proc/self/status"])
        order.drop(to: 234_567)
        let (text, _) = try await Self.run(client, order)
        for line in [
            "Uid:\t234567\t234567\t234567\t234567", "Gid:\t234567\t234567\t234567\t234567", "CapEff:\t0000000000000000", "Groups:\t",
        ] {
            #expect(text.contains(line), "\(line)")
        }
        order.hostID = 0
        await #expect(throws: BrumeError.self) { try await Self.run(client, order) }
        await Self.end(client)
    }

    @Test("it stages host paths, changes the directory, limits resources and passes files")
    func places() async throws {
        let client = try await Self.launch()
        var order = SpawnOrder(arguments: ["/bin/sh", "-c", "pwd; ulimit -n; cat /proc/self/fd/10; echo $WORD; echo /proc/$$/fd/*"])
        order.environment = ["WORD=given", "PATH=/usr/bin:/bin"]
        order.workingDirectory = "/usr"
        order.limits = [(resource: Int(RLIMIT_NOFILE.rawValue), amount: 123)]
        order.files = [(name: "words", bytes: Array("from a file\n".utf8))]
        let (text, status) = try await Self.run(client, order)
        #expect(status == 0)
        #expect(text.hasPrefix("/usr\n123\nfrom a file\ngiven\n"), "\(text)")
        // Nothing of the spawner's own is open: the streams, the file, and at most the directory that the shell is reading.
        let open = text.split(separator: "\n").last?.split(separator: " ").compactMap { Int($0.split(separator: "/").last ?? "") } ?? []
        #expect(Set(open).isSuperset(of: [0, 1, 2, 10]) && Set(open).isSubset(of: [0, 1, 2, 3, 10]), "\(text)")
        await Self.end(client)
    }

    @Test("a program that cannot be executed says so on its standard error")
    func cannotExecute() async throws {
        let client = try await Self.launch()
        let (text, status) = try await Self.run(client, SpawnOrder(arguments: ["/no/such/program"]))
        #expect(status >> 8 == 126)
        #expect(text.contains("cannot execute /no/such/program: No such file or directory"))
        await Self.end(client)
    }

    @Test("wrong, short, long and senseless packets are answered or ignored, and the next request works")
    func badPackets() async throws {
        let client = try await Self.launch()
        var generator = SeededGenerator(seed: 7)
        for length in [1, 3, 4, 8, 15, 16, 23, 24, 25, 40, 100, 200, 1023, 1024, 1025, 4000] {
            for type in [0, 1, 2, 3, 4, 5, 99, 100, 0xffff_ffff] as [UInt32] {
                var packet = (0..<length).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
                for (index, byte) in [0, 8, 16, 24].map({ UInt8(truncatingIfNeeded: type >> $0) }).enumerated() where index < length {
                    packet[index] = byte
                }
                client.sendRaw(packet, descriptors: length % 2 == 0 ? [] : [0, 1, 2])
            }
        }
        let (text, status) = try await Self.run(client, SpawnOrder(arguments: ["/bin/echo", "still here"]))
        #expect(status == 0)
        #expect(text == "still here\n")
        await Self.end(client)
    }

    @Test(
        "strings that do not fit the counts are refused",
        arguments: [[1, 0, 0, 0, 0], [3, 0, 0, 0, 0], [1, 1, 1, 1, 1], [0, 2, 0, 0, 0], [2, 0, 0, 0, 9]])
    func badStrings(counts: [UInt32]) async throws {
        let client = try await Self.launch()
        let error = await client.trySpawn(strings: Array("/bin/echo\0hi\0".utf8), counts: counts)
        #expect(error != 0)
        #expect(await client.trySpawn(strings: Array("/bin/echo\0hi\0".utf8), counts: [2, 0, 0, 0, 0]) == 0)
        #expect(await client.trySpawn(strings: Array("/bin/echo\0hi".utf8), counts: [2, 0, 0, 0, 0]) != 0)
        #expect(await client.trySpawn(strings: [], counts: [2, 0, 0, 0, 0]) != 0)
        await Self.end(client)
    }

    @Test("when its parent is killed, everything it started is gone", .enabled(if: ProcessBench.isRoot))
    func parentKilled() async throws {
        let path = try #require(SandboxSettings.helper("brume-spawner", given: nil))
        let client = try await Self.launch()
        let tree = CgroupTree.make(name: "brume-parent-test")
        let group = ReplicaCgroup(tree: tree, name: "r1")
        try group.create(Resources(millicores: 500, memoryBytes: 64 << 20), endsTogether: true)
        var joining = SpawnOrder(arguments: [])
        joining.join(group)
        let groupFlags = joining.flags
        // A node in Python: starts a spawner, has it start a sandbox, and waits to be killed.
        let node = """
            import fcntl, os, socket, struct, subprocess, sys
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours = socket.socket(fileno=os.dup(fcntl.fcntl(ours.detach(), fcntl.F_DUPFD, 50)))
            if theirs.fileno() != 3: os.dup2(theirs.fileno(), 3)
            os.set_inheritable(3, True)
            subprocess.Popen(['\(path)'], pass_fds=[3])
            os.close(3)
            if theirs.fileno() == 3: theirs.detach()
            theirs.close()
            ours.recv(100)
            args = ['/bin/sh', '-c', 'setsid -f sleep 27182818; exec sleep 27182818']
            groups = [\(group.directories.map { "'\($0)'" }.joined(separator: ", "))]
            strings = os.memfd_create('s')
            os.write(strings, b''.join(w.encode() + b'\\0' for w in args + ['PATH=/usr/bin:/bin'] + groups))
            flags = \(groupFlags)
            head = struct.pack('=IIQiI', 1, 1, 1, 0, 0)
            body = struct.pack('=IIIIIII', flags, 0, 0, len(args), 1, len(groups), 0)
            socket.send_fds(ours, [head + body + bytes(\(SpawnerClient.spawnBytes) - len(body))], [strings, 1, 2])
            print(struct.unpack('=IIQii', ours.recv(100))[3:], flush=True)
            import time; time.sleep(600)
            """
        var pipes: [CInt] = [-1, -1, -1, -1]
        try #require(HostFiles.pipes(&pipes) == 0)
        defer { for end in pipes { close(end) } }
        let fake = try await client.spawn(SpawnOrder(arguments: ["/usr/bin/python3", "-c", node]), output: pipes[1], errors: pipes[3])
        while HostState.processes(with: "27182818").filter({ HostState.text("/proc/\($0)/cmdline").hasPrefix("sleep") }).count < 2 {
            try #require(fake.exit.value == nil)
            await Task.yield()
        }
        let pid = try #require(fake.inside.value)
        #expect(kill(pid, SIGKILL) == 0)
        _ = await fake.exit.wait()
        for _ in 0..<400 where !HostState.processes(with: "27182818").isEmpty || HostFiles.exists(group.directories[0]) {
            try await Task.sleep(for: .milliseconds(5))
        }
        #expect(HostState.processes(with: "27182818").isEmpty)
        #expect(group.directories.allSatisfy { !HostFiles.exists($0) })
        await Self.end(client)
        tree.remove()
    }

    /// A network whose loopback has its address and is still down, as bubblewrap leaves it for a moment.
    private static let halfNetwork = """
        import fcntl, socket, struct, time
        SET_ADDRESS = 0x8916
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            fcntl.ioctl(s, SET_ADDRESS, struct.pack("16sH2s4s8s", b"lo", socket.AF_INET, bytes(2), socket.inet_aton("127.0.0.1"), bytes(8)))
        print("made", flush=True)
        time.sleep(30)
        """

    @Test("connecting before the loopback is up fails at once instead of after a second", .enabled(if: ProcessBench.isRoot))
    func refusesHalfNetwork() async throws {
        let client = try await Self.launch()
        var pipes: [CInt] = [-1, -1, -1, -1]
        try #require(HostFiles.pipes(&pipes) == 0)
        let output = FileHandle(fileDescriptor: pipes[0], closeOnDealloc: true)
        defer { for end in pipes[1...] { close(end) } }
        let order = SpawnOrder(arguments: ["/usr/bin/unshare", "--net", "/usr/bin/python3", "-c", Self.halfNetwork])
        let program = try await client.spawn(order, output: pipes[1], errors: pipes[3])
        _ = fcntl(pipes[0], F_SETFL, 0)
        #expect(String(decoding: output.availableData, as: UTF8.self) == "made\n")
        let began = ContinuousClock.now
        await #expect(throws: BrumeError.self) { try await client.reach(program, listening: false, port: 8080) }
        // A dropped first packet is sent again after one second.
        #expect(ContinuousClock.now - began < .milliseconds(500))
        client.kill(program)
        await Self.end(client)
    }
}
