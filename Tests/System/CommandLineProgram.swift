// SPDX-License-Identifier: Apache-2.0
import FoundationEssentials
import Subprocess
import SystemPackage
import Testing

/// The built `brume`, run as a person runs it.
enum CommandLineProgram {
    struct Outcome: Sendable {
        var exitCode: Int32
        var output: String
        var complaint: String
    }

    private static let outputBytesMax = 4 << 20

    /// Beside the test bundle that runs this.
    static var path: String {
        get throws {
            let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
            return FilePath(own).removingLastComponent().appending("brume").string
        }
    }

    /// Runs the program to its end.
    ///
    /// - Parameters:
    ///   - input: standard input; nil is an empty one.
    ///   - environment: the whole environment, beside PATH and HOME.
    static func run(
        _ arguments: [String], input: String? = nil, environment: [String: String] = [:], directory: String? = nil
    ) async throws -> Outcome {
        var variables: [Environment.Key: String] = ["PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent"]
        for (key, value) in environment { variables[Environment.Key(stringLiteral: key)] = value }
        // A file rather than a pipe: many of these runs end before they read anything, and a writer would be left behind.
        let result = try await withInputFile((input ?? "").utf8) { descriptor in
            try await Subprocess.run(
                .path(FilePath(try path)), arguments: Arguments(arguments), environment: .custom(variables),
                workingDirectory: directory.map { FilePath($0) }, input: .fileDescriptor(descriptor, closeAfterSpawningProcess: false),
                output: .string(limit: outputBytesMax), error: .string(limit: outputBytesMax))
        }
        guard case .exited(let code) = result.terminationStatus else {
            throw Unexpected(description: "brume ended with \(result.terminationStatus)")
        }
        return Outcome(exitCode: code, output: result.standardOutput, complaint: result.standardError)
    }

    /// Runs a program that does not end by itself against a server, and sends it a signal after so many seconds.
    static func run(_ arguments: [String], at server: CommandLineServer, endedBy signal: String, after seconds: Int) async throws -> Outcome
    {
        let result = try await Subprocess.run(
            .name("timeout"),
            arguments: Arguments(["--preserve-status", "-s", signal, "-k", "30", "\(seconds)", try path] + arguments),
            environment: .custom([
                "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent", "BRUME_URL": server.url,
                "BRUME_USER": CommandLineServer.user, "BRUME_PASSWORD": CommandLineServer.password,
            ]), output: .string(limit: outputBytesMax), error: .string(limit: outputBytesMax))
        guard case .exited(let code) = result.terminationStatus else {
            throw Unexpected(description: "brume ended with \(result.terminationStatus)")
        }
        return Outcome(exitCode: code, output: result.standardOutput, complaint: result.standardError)
    }

    /// Runs the program against a server, with its credentials.
    static func run(
        _ arguments: [String], at server: CommandLineServer, input: String? = nil, directory: String? = nil
    ) async throws -> Outcome {
        let environment = [
            "BRUME_URL": server.url, "BRUME_USER": CommandLineServer.user, "BRUME_PASSWORD": CommandLineServer.password,
        ]
        return try await run(arguments, input: input, environment: environment, directory: directory)
    }

    struct Unexpected: Error { var description: String }
}

/// Opens a file with this content for reading; it is gone afterwards.
func withInputFile<Result: ~Copyable>(
    _ content: some Sequence<UInt8>, _ body: (SystemPackage.FileDescriptor) async throws -> Result
) async throws -> Result {
    let path = FileManager.default.temporaryDirectory.appending(path: "brume-cli-\(UUID().uuidString)").path()
    try Data(content).write(to: URL(filePath: path))
    defer { try? FileManager.default.removeItem(atPath: path) }
    let descriptor = try SystemPackage.FileDescriptor.open(FilePath(path), .readOnly)
    defer { try? descriptor.close() }
    return try await body(descriptor)
}

/// A directory that is gone after the test.
func withTemporaryDirectory<Result>(_ body: (String) async throws -> Result) async throws -> Result {
    let path = FileManager.default.temporaryDirectory.appending(path: "brume-cli-\(UUID().uuidString)").path()
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try await body(path)
}

/// Writes a file and the directories above it.
func write(_ text: String, to path: String, isExecutable: Bool = false) throws {
    let folder = FilePath(path).removingLastComponent().string
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try Data(text.utf8).write(to: URL(filePath: path))
    try FileManager.default.setAttributes([.posixPermissions: isExecutable ? 0o755 : 0o644], ofItemAtPath: path)
}
