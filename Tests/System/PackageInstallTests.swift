// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// What `brume deploy --handler` brings along besides the handler, installed by the language's own installer.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct PackageInstallTests {
    private static let npm = "/usr/bin/npm"
    private static let reason: Comment = "npm is not installed: Debian's package of it brings hundreds of others (apt-get install npm)"

    /// A handler that needs the package `greet`, which lies beside it, packed as registries serve packages.
    private static func write(in folder: String) async throws {
        let files = [
            "greet/package.json": #"{"name": "greet", "version": "1.2.3", "main": "main.js"}"#,
            "greet/main.js": "module.exports = (name) => `Good day, ${name}.`",
            "f.js": """
            const greet = require("greet");
            module.exports = async (event, context) => context.status(200).succeed(greet(event.body));
            """,
            "package.json": #"{"name": "f", "version": "1.0.0", "dependencies": {"greet": "file:./greet-1.2.3.tgz"}}"#,
        ]
        for (name, text) in files {
            let url = URL(filePath: "\(folder)/\(name)")
            try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try text.write(to: url, atomically: true, encoding: .utf8)
        }
        let packed = try await NodeUnderTest.run(npm, ["pack", "--silent", "./greet"], directory: folder)
        try #require(packed.exitCode == 0, "\(packed.complaint)")
        try FileManager.default.removeItem(atPath: "\(folder)/greet")
    }

    @Test("dependencies in package.json beside a Node handler are installed into the deployment", .enabled(if: hasNPM, reason))
    func node() async throws {
        try await withTemporaryDirectory { folder in
            try await Self.write(in: folder)
            // No registry is asked: the dependency is a file.
            try await withNode(environment: ["npm_config_offline": "true"]) { node in
                let deployed = try await node.brume(["deploy", "greeter", "--handler", "\(folder)/f.js"])
                try #require(deployed.exitCode == 0, "\(deployed.complaint)")
                let answer = try await node.call("greeter", "Ada", headers: [("Content-Type", "text/plain")])
                #expect(answer.status == 200)
                #expect(answer.text == "Good day, Ada.")
            }
            #expect(!FileManager.default.fileExists(atPath: "\(folder)/node_modules"), "the user's own folder stays as it was")
        }
    }

    @Test("a dependency that cannot be installed refuses the deployment and says which", .enabled(if: hasNPM, reason))
    func missing() async throws {
        try await withTemporaryDirectory { folder in
            try await Self.write(in: folder)
            try FileManager.default.removeItem(atPath: "\(folder)/greet-1.2.3.tgz")
            try await withNode(environment: ["npm_config_offline": "true"]) { node in
                let deployed = try await node.brume(["deploy", "greeter", "--handler", "\(folder)/f.js"])
                #expect(deployed.exitCode == 1)
                #expect(deployed.complaint.contains("The dependencies in package.json could not be installed: "), "\(deployed.complaint)")
                #expect(deployed.complaint.contains("greet-1.2.3.tgz"), "\(deployed.complaint)")
                #expect(try await node.call("greeter").status == 404)
            }
        }
    }

    private static var hasNPM: Bool { FileManager.default.isExecutableFile(atPath: npm) }
}
