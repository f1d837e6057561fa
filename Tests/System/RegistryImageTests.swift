// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

private let registryCanRun =
    geteuid() == 0
    && ["skopeo", "umoci", "crun", "docker-registry"].allSatisfy { FileManager.default.isExecutableFile(atPath: "/usr/bin/\($0)") }

/// Images from a registry: a real one on a loopback port, for as long as the test runs.
@Suite(.serialized, .timeLimit(.minutes(3)), .enabled(if: registryCanRun))
struct RegistryImageTests {
    /// A server in the one language that every Debian has, so that the image needs nothing but perl.
    private static let server = #"""
        use IO::Socket::INET;
        my $listener = IO::Socket::INET->new(LocalPort => 8080, Listen => 8, ReuseAddr => 1) or die;
        while (my $client = $listener->accept) {
            my ($length, $body) = (0, "");
            while (<$client>) { last if /^\r\n$/; $length = $1 if /^content-length: (\d+)/i; }
            read($client, $body, $length);
            my $reply = "the image heard: $body";
            print $client "HTTP/1.1 200 OK\r\nContent-Length: " . length($reply) . "\r\nConnection: close\r\n\r\n$reply";
            close $client;
        }
        """#

    private static func run(_ words: String...) async throws {
        let outcome = try await NodeUnderTest.run("/usr/bin/env", words)
        try #require(outcome.exitCode == 0, "\(words.prefix(3)): \(outcome.complaint)")
    }

    /// Makes an OCI layout with one image in it.
    private static func build(in folder: String) async throws -> String {
        let image = "\(folder)/layout:test"
        try await run("umoci", "init", "--layout", "\(folder)/layout")
        try await run("umoci", "new", "--image", image)
        try await run("umoci", "unpack", "--image", image, "\(folder)/bundle")
        let copy = """
            cp -L --parents /usr/bin/perl $(ldd /usr/bin/perl | grep -o '/[^ ]*') "$0"
            cp -rL --parents $(perl -e 'print join " ", grep { /perl-base/ } @INC') "$0"
            """
        try await run("sh", "-e", "-c", copy, "\(folder)/bundle/rootfs")
        try server.write(toFile: "\(folder)/bundle/rootfs/server.pl", atomically: true, encoding: .utf8)
        try await run("umoci", "repack", "--image", image, "\(folder)/bundle")
        try await run(
            "umoci", "config", "--image", image, "--config.entrypoint", "/usr/bin/perl", "--config.entrypoint", "/server.pl",
            "--config.user", "1000:1000")
        return "oci:\(image)"
    }

    /// Starts a registry without TLS on a free port, tells `body` its address, and ends it.
    private static func withRegistry(in folder: String, _ body: (String) async throws -> Void) async throws {
        let settings = """
            version: 0.1
            log: {level: info}
            storage: {filesystem: {rootdirectory: \(folder)/registry}}
            http: {addr: "127.0.0.1:0"}
            """
        try settings.write(toFile: "\(folder)/registry.yml", atomically: true, encoding: .utf8)
        let log = "\(folder)/registry.log"
        _ = FileManager.default.createFile(atPath: log, contents: nil)
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/docker-registry")
        process.arguments = ["serve", "\(folder)/registry.yml"]
        process.standardOutput = FileHandle(forWritingAtPath: log)
        process.standardError = process.standardOutput
        try process.run()
        defer { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }
        var port: Substring?
        _ = try await eventually {
            let said = try String(contentsOfFile: log, encoding: .utf8)
            port = said.firstMatch(of: /listening on 127\.0\.0\.1:(\d+)/)?.1
            return port != nil || !process.isRunning
        }
        let said = try String(contentsOfFile: log, encoding: .utf8)
        let found = try #require(port, "the registry did not start: \(said)")
        try await body("127.0.0.1:\(found)")
    }

    @Test("an image is fetched from a registry, and one without TLS only where the machine's settings allow it")
    func deploys() async throws {
        try await withTemporaryDirectory { folder in
            let image = try await Self.build(in: folder)
            try await Self.withRegistry(in: folder) { address in
                try await Self.run("skopeo", "copy", "--quiet", "--dest-tls-verify=false", image, "docker://\(address)/team/echo:1.0")
                // The user's settings of containers, as root writes them to /etc; seen by this node alone.
                try FileManager.default.createDirectory(atPath: "\(folder)/conf.d", withIntermediateDirectories: true)
                let settings = "[[registry]]\nlocation = \"\(address)\"\ninsecure = true\n"
                let mount = "mount --bind '\(folder)/conf.d' /etc/containers/registries.conf.d"
                try await withNode(surroundings: mount) { node in
                    let refused = try await node.brume(["deploy", "echo", "--image", "docker://\(address)/team/echo:1.0"])
                    #expect(refused.exitCode == 2)
                    #expect(refused.complaint.contains("insecure = true"), "\(refused.complaint)")

                    try settings.write(toFile: "\(folder)/conf.d/test.conf", atomically: true, encoding: .utf8)
                    for reference in ["docker://\(address)/team/echo:1.0", "\(address)/team/echo:1.0"] {
                        let deployed = try await node.brume(["deploy", "echo", "--image", reference])
                        try #require(deployed.exitCode == 0, "\(deployed.complaint)")
                        let answer = try await node.call("echo", "good day")
                        #expect(answer.status == 200)
                        #expect(answer.text == "the image heard: good day")
                    }
                    let unknown = try await node.brume(["deploy", "other", "--image", "\(address)/team/other:1.0"])
                    #expect(unknown.exitCode == 2)
                    #expect(unknown.complaint.contains("\(address)/team/other:1.0 cannot be fetched"), "\(unknown.complaint)")
                }
            }
        }
    }
}
