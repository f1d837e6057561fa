// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// What `brume deploy --handler` brings along besides the handler, installed by the language's own installer.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct PackageInstallTests {
    private static let npm = "/usr/bin/npm"
    private static let reason: Comment = "npm is not installed: Debian's package of it brings hundreds of others (apt-get install npm)"
    private static var hasNPM: Bool { FileManager.default.isExecutableFile(atPath: npm) }

    private static func write(_ files: [String: String], in folder: String) throws {
        for (name, text) in files {
            let url = URL(filePath: "\(folder)/\(name)")
            try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try text.write(to: url, atomically: true, encoding: .utf8)
        }
    }

    /// Packs the package `greet` as registries serve it.
    private static func pack(into folder: String) async throws {
        try write(
            [
                "source/package.json": #"{"name": "greet", "version": "1.2.3", "main": "main.js"}"#,
                "source/main.js": "module.exports = (name) => `Good day, ${name}.`",
            ], in: folder)
        let packed = try await NodeUnderTest.run(npm, ["pack", "--silent", "./source"], directory: folder)
        try #require(packed.exitCode == 0, "\(packed.complaint)")
    }

    /// A handler that needs a package.
    private static func handler(_ dependencies: String) -> [String: String] {
        [
            "f.js": """
            const greet = require("greet");
            module.exports = async (event, context) => context.status(200).succeed(greet(event.body));
            """,
            "package.json": #"{"name": "f", "version": "1.0.0", "dependencies": \#(dependencies)}"#,
        ]
    }

    /// A registry on a loopback port that knows one package: files behind a web server are all that npm asks for.
    private static func withRegistry(in folder: String, _ body: (String) async throws -> Void) async throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try await pack(into: folder)
        let log = "\(folder)/registry.log"
        _ = FileManager.default.createFile(atPath: log, contents: nil)
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/python3")
        process.arguments = ["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", folder]
        process.standardOutput = FileHandle(forWritingAtPath: log)
        process.standardError = FileHandle.nullDevice
        try process.run()
        defer { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }
        var port: Substring?
        _ = try await eventually {
            port = try String(contentsOfFile: log, encoding: .utf8).firstMatch(of: /port (\d+)/)?.1
            return port != nil || !process.isRunning
        }
        let address = "http://127.0.0.1:\(try #require(port, "the registry did not start"))"
        let version = #"{"name":"greet","version":"1.2.3","dist":{"tarball":"\#(address)/greet-1.2.3.tgz"}}"#
        try write(
            ["greet": #"{"name":"greet","dist-tags":{"latest":"1.2.3"},"versions":{"1.2.3":\#(version)}}"#], in: folder)
        try await body(address)
    }

    @Test("dependencies in package.json beside a Node handler are installed into the deployment", .enabled(if: hasNPM, reason))
    func node() async throws {
        try await withTemporaryDirectory { folder in
            try await Self.withRegistry(in: "\(folder)/registry") { registry in
                try Self.write(Self.handler(#"{"greet": "^1.2.0"}"#), in: "\(folder)/code")
                try Self.write(Self.handler(#"{"absent": "1"}"#), in: "\(folder)/wrong")
                try await withNode(environment: ["npm_config_registry": registry]) { node in
                    let deployed = try await node.brume(["deploy", "greeter", "--handler", "\(folder)/code/f.js"])
                    try #require(deployed.exitCode == 0, "\(deployed.complaint)")
                    let answer = try await node.call("greeter", "Ada", headers: [("Content-Type", "text/plain")])
                    #expect(answer.status == 200)
                    #expect(answer.text == "Good day, Ada.")

                    let refused = try await node.brume(["deploy", "other", "--handler", "\(folder)/wrong/f.js"])
                    #expect(refused.exitCode == 2)
                    #expect(refused.complaint.contains("GET \(registry)/absent / 'absent@1' is not in this registry"))
                    #expect(try await node.call("greeter", "Bob", headers: [("Content-Type", "text/plain")]).text == "Good day, Bob.")
                }
                #expect(!FileManager.default.fileExists(atPath: "\(folder)/code/node_modules"), "the user's own folder stays as it was")
            }
        }
    }

    @Test("a dependency that is a file comes along with the directory, without any registry", .enabled(if: hasNPM, reason))
    func file() async throws {
        try await withTemporaryDirectory { folder in
            try await Self.pack(into: folder)
            try Self.write(Self.handler(#"{"greet": "file:./greet-1.2.3.tgz"}"#), in: folder)
            try await withNode(environment: ["npm_config_offline": "true"]) { node in
                let alone = try await node.brume(["deploy", "greeter", "--handler", "\(folder)/f.js"])
                #expect(alone.exitCode == 2)
                #expect(alone.complaint.contains("ENOENT: no such file or directory"), "\(alone.complaint)")
                #expect(alone.complaint.contains("greet-1.2.3.tgz"), "\(alone.complaint)")

                let deployed = try await node.brume(["deploy", "greeter", "--handler", "f.js", "--directory", folder])
                try #require(deployed.exitCode == 0, "\(deployed.complaint)")
                let answer = try await node.call("greeter", "Ada", headers: [("Content-Type", "text/plain")])
                #expect(answer.text == "Good day, Ada.")
            }
        }
    }
}
