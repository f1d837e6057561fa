// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Glibc
import Testing

@testable import BrumeSandbox

private let imagesCanRun = ProcessBench.isRoot && ["skopeo", "umoci", "crun"].allSatisfy { HostFiles.program($0) != nil }

@Suite("Images", .serialized, .timeLimit(.minutes(2)), .enabled(if: imagesCanRun))
struct ImageTests {
    /// What the image's own program says about where it is, in shell words only: there is no other program in it than `sleep`.
    private static let script = """
        while read line; do echo "$line"; done < /proc/self/status
        echo "word $WORD $GIVEN"; echo "in $PWD"
        { echo x > /usr/new; } 2> /dev/null || echo "root is read-only"
        { echo x > /proc/sys/kernel/core_pattern; } 2> /dev/null || echo "sysctl is read-only"
        { echo x > /tmp/new; } && echo "tmp is writable"
        [ -e /etc/passwd ] || echo "not the host's root"
        [ -d /sys/class/net ] || echo "no sysfs"
        while read line; do echo "net $line"; done < /proc/net/route
        read line < /var/openfaas/secrets/key; echo "secret $line"
        echo complete
        exec /bin/sleep 600
        """

    #if arch(x86_64)
    private static let files = ["/bin/sh", "/bin/sleep", "/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"]
    #else
    private static let files = ["/bin/sh", "/bin/sleep", "/lib/aarch64-linux-gnu/libc.so.6", "/lib/ld-linux-aarch64.so.1"]
    #endif

    /// Makes an OCI layout with a small image in it.
    private static func build(in directory: String) async throws {
        let layout = "\(directory)/layout"
        let image = "\(directory)/layout:test"
        let bundle = "\(directory)/bundle"
        let commands = [
            ["/usr/bin/umoci", "init", "--layout", layout],
            ["/usr/bin/umoci", "new", "--image", image],
            ["/usr/bin/umoci", "unpack", "--image", image, bundle],
            ["/bin/cp", "-L", "--parents"] + files + ["\(bundle)/rootfs"],
            ["/usr/bin/umoci", "repack", "--image", image, bundle],
            [
                "/usr/bin/umoci", "config", "--image", image, "--config.entrypoint", "/bin/sh", "--config.entrypoint", "-c",
                "--config.entrypoint", script, "--config.env", "WORD=image", "--config.env", "PATH=/image/bin", "--config.user",
                "1000:1000",
                "--config.workingdir", "/lib",
            ],
        ]
        let client = try await SpawnerTests.launch()
        for command in commands {
            var order = SpawnOrder(arguments: command)
            order.environment = ["PATH=/usr/bin:/bin"]
            let (text, status) = try await SpawnerTests.run(client, order)
            try #require(status == 0, "\(command.prefix(2)): \(text)")
        }
        await SpawnerTests.end(client)
    }

    private static func spec(_ reference: String, memory: Int = 128 << 20) throws -> FunctionSpec {
        var spec = try ProcessBench.spec("pictured", memory: memory, secrets: ["key"])
        spec.package = .image(reference: reference)
        spec.contract = .http(command: [], port: 8080)
        return spec
    }

    @Test("an image runs behind the same walls with its own command, user, words and directory, and leaves nothing")
    func runs() async throws {
        let directory = ProcessBench.newDirectory()
        defer { HostFiles.remove(directory) }
        try await Self.build(in: directory)
        let channel: @Sendable (FunctionSpec) -> LineChannel = { _ in
            LineChannel(connects: false, command: [], environment: [("GIVEN", "contract")])
        }
        try await ProcessBench.with(channel: channel) { bench in
            let spec = try Self.spec("oci:\(directory)/layout:test")
            try await bench.driver.prepare(spec, bundle: nil)
            let secret = Secret(name: "key", namespace: "openfaas-fn", value: Array("swordfish\n".utf8))
            let replica = try await bench.start(spec, secrets: [secret])
            _ = await bench.recorder.first { event in
                switch event {
                case .log(replica, .stdout, "complete"), .exited(replica, _): true
                default: false
                }
            }
            let said = bench.recorder.lines(of: replica, .stdout)
            let complaints = bench.recorder.lines(of: replica, .stderr)
            for line in [
                "Uid:\t1000\t1000\t1000\t1000", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2",
                "word image contract", "in /lib", "root is read-only", "sysctl is read-only", "tmp is writable", "not the host's root",
                "no sysfs", "secret swordfish",
            ] {
                #expect(said.contains(line), "\(line) is missing: \(said) \(complaints)")
            }
            #expect(said.filter { $0.hasPrefix("net ") }.count <= 1)
            let pid = try await HostView.pid(of: replica, in: bench)
            let user = HostState.text("/proc/\(pid)/status").split(separator: "\n").first { $0.hasPrefix("Uid:") } ?? ""
            #expect((Int(user.split(separator: "\t").last ?? "") ?? 0) > 0x1000_0000)
            #expect(bench.driver.usage(of: replica) != nil)

            #expect(await bench.stop(replica).cause == .stopped)
            #expect(HostState.groups(in: bench.driver.groupName, named: "\(replica)").isEmpty)
            #expect(HostFiles.names(in: "\(bench.directory)/sandbox/replicas").isEmpty)
            #expect(!HostFiles.exists("/proc/\(pid)/status") || HostState.text("/proc/\(pid)/cmdline").isEmpty)
        }
    }

    @Test(
        "an image that cannot be had is refused in one sentence",
        arguments: ["oci:/nowhere:latest", "oci:/tmp", "bad name", "docker://localhost:1/none"])
    func missing(reference: String) async throws {
        try await ProcessBench.with { bench in
            let error = await #expect(throws: BrumeError.self) { try await bench.driver.prepare(try Self.spec(reference), bundle: nil) }
            #expect(error?.code == .invalid)
            #expect(error?.message.isEmpty == false)
        }
    }
}
