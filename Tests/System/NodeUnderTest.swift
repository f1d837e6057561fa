// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import Synchronization

/// A real node: the built `brume` program with a data directory of its own, on a free port.
final class NodeUnderTest: Sendable {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    struct Answer {
        let status: Int
        let headers: HTTPHeaders
        let body: ByteBuffer
        var text: String { String(buffer: body) }
    }

    struct Output {
        let exitCode: Int32
        let output: String
        let complaint: String
    }

    let dataDirectory: String
    let url: String
    private let process: Process
    private let password: String
    private let errorLog: String
    /// Whether the directory is no longer this node's to remove.
    private let isDone = Mutex(false)

    /// As many connections as a test has calls: the usual client keeps to eight.
    private static let client: HTTPClient = {
        var configuration = HTTPClient.Configuration()
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 4096
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }()

    /// The programs under test lie beside the test bundle.
    static let binaries: URL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
    static let program = binaries.appending(path: "brume").path

    /// Starts a node and waits until it listens.
    ///
    /// - Parameter surroundings: shell words that change the mounts of a mount namespace of its own before the node starts in it.
    init(
        dataDirectory: String? = nil, options: [String] = [], environment: [String: String] = [:], surroundings: String? = nil
    ) async throws {
        let directory = dataDirectory ?? NSTemporaryDirectory() + "brume-test-" + UUID().uuidString.prefix(8).lowercased()
        self.dataDirectory = directory
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        // The unprivileged user of a sandbox passes through on its way to the function's files.
        try FileManager.default.setAttributes([.posixPermissions: 0o711], ofItemAtPath: directory)
        errorLog = directory + "/stderr.log"
        process = Process()
        let words = ["up", "--port", "0", "--data-dir", directory] + options
        if let surroundings {
            process.executableURL = URL(filePath: "/usr/bin/unshare")
            process.arguments = ["-m", "/bin/sh", "-c", surroundings + "\nexec \"$0\" \"$@\"", Self.program] + words
        } else {
            process.executableURL = URL(filePath: Self.program)
            process.arguments = words
        }
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        _ = FileManager.default.createFile(atPath: errorLog, contents: nil)
        process.standardError = FileHandle(forWritingAtPath: errorLog)
        process.standardOutput = FileHandle(forWritingAtPath: errorLog)
        process.standardInput = FileHandle.nullDevice
        let file = directory + "/node.json"
        try? FileManager.default.removeItem(atPath: file)
        try process.run()
        let deadline = ContinuousClock.now + .seconds(60)
        while true {
            if let data = FileManager.default.contents(atPath: file),
                let json = try? JSONSerialization.jsonObject(with: data) as? [String: Any], let port = json["port"] as? Int
            {
                url = "http://127.0.0.1:\(port)"
                break
            }
            guard process.isRunning, ContinuousClock.now < deadline else {
                defer { if dataDirectory == nil { try? FileManager.default.removeItem(atPath: directory) } }
                if process.isRunning { process.terminate() }
                process.waitUntilExit()
                throw Failure(description: "the node did not start: " + ((try? String(contentsOfFile: errorLog, encoding: .utf8)) ?? ""))
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        let secret = try String(contentsOfFile: directory + "/credentials/basic-auth-password", encoding: .utf8)
        password = secret.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// A test that failed in the middle leaves nothing behind either.
    deinit {
        guard !isDone.withLock({ $0 }) else { return }
        if process.isRunning { process.terminate() }
        process.waitUntilExit()
        try? FileManager.default.removeItem(atPath: dataDirectory)
    }

    var pid: pid_t { process.processIdentifier }
    var isRunning: Bool { process.isRunning }
    var log: String { (try? String(contentsOfFile: errorLog, encoding: .utf8)) ?? "" }

    // MARK: Ends

    /// Asks the node to end, waits for it, and removes its directory unless it is to be used again.
    func stop(keepData: Bool = false) async {
        if process.isRunning { process.terminate() }
        await ended()
        isDone.withLock { $0 = true }
        if !keepData { try? FileManager.default.removeItem(atPath: dataDirectory) }
    }

    /// Ends the node as a power cut would.
    func killHard() async {
        kill(pid, SIGKILL)
        await ended()
        isDone.withLock { $0 = true }
    }

    private func ended() async {
        let deadline = ContinuousClock.now + .seconds(40)
        while process.isRunning, ContinuousClock.now < deadline { try? await Task.sleep(for: .milliseconds(10)) }
        if process.isRunning { kill(pid, SIGKILL) }
    }

    // MARK: HTTP

    @discardableResult
    func http(
        _ method: HTTPMethod, _ path: String, headers: [(String, String)] = [], body: String? = nil, bytes: ByteBuffer? = nil,
        timeout: TimeAmount = .seconds(60)
    ) async throws -> Answer {
        var request = HTTPClientRequest(url: url + path)
        request.method = method
        for (name, value) in headers { request.headers.add(name: name, value: value) }
        if path.hasPrefix("/system") || path.hasPrefix("/v1") { request.setBasicAuth(username: "admin", password: password) }
        if let body { request.body = .bytes(ByteBuffer(string: body)) }
        if let bytes { request.body = .bytes(bytes) }
        let response = try await Self.client.execute(request, timeout: timeout)
        return Answer(
            status: Int(response.status.code), headers: response.headers, body: try await response.body.collect(upTo: 256 << 20))
    }

    /// Calls a function.
    @discardableResult
    func call(_ name: String, _ body: String = "", headers: [(String, String)] = []) async throws -> Answer {
        try await http(.POST, "/function/\(name)", headers: headers, body: body)
    }

    func json(_ path: String) async throws -> Any { try JSONSerialization.jsonObject(with: Data(try await http(.GET, path).text.utf8)) }

    // MARK: Command line

    /// Runs `brume` with this node's data directory.
    func brume(_ arguments: [String], input: String? = nil) async throws -> Output {
        try await Self.run(Self.program, arguments + ["--data-dir", dataDirectory], input: input)
    }

    static func run(
        _ path: String, _ arguments: [String], input: String? = nil, environment: [String: String] = [:], directory: String? = nil
    ) async throws -> Output {
        let process = Process()
        process.executableURL = URL(filePath: path)
        process.arguments = arguments
        if let directory { process.currentDirectoryURL = URL(filePath: directory) }
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        let folder = NSTemporaryDirectory() + "brume-run-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        for name in ["in", "out", "err"] {
            _ = FileManager.default.createFile(atPath: folder + "/" + name, contents: name == "in" ? Data((input ?? "").utf8) : nil)
        }
        process.standardInput = input == nil ? FileHandle.nullDevice : FileHandle(forReadingAtPath: folder + "/in")
        process.standardOutput = FileHandle(forWritingAtPath: folder + "/out")
        process.standardError = FileHandle(forWritingAtPath: folder + "/err")
        try process.run()
        while process.isRunning { try await Task.sleep(for: .milliseconds(5)) }
        return Output(
            exitCode: process.terminationStatus,
            output: String(decoding: FileManager.default.contents(atPath: folder + "/out") ?? Data(), as: UTF8.self),
            complaint: String(decoding: FileManager.default.contents(atPath: folder + "/err") ?? Data(), as: UTF8.self))
    }

    // MARK: Deployment through the API, as clients do it

    /// Deploys and waits until the node has taken it.
    @discardableResult
    func deploy(_ document: [String: Any]) async throws -> Answer {
        let body = String(decoding: try JSONSerialization.data(withJSONObject: document), as: UTF8.self)
        let answer = try await http(.POST, "/system/functions", headers: [("Content-Type", "application/json")], body: body)
        guard answer.status < 300 else { throw Failure(description: "deploy: \(answer.status) \(answer.text)") }
        return answer
    }

    /// Deploys a command on the `fork` contract.
    func deployFork(
        _ name: String, _ command: String, annotations: [String: String] = [:], labels: [String: String] = [:],
        limits: [String: String] = [:], environment: [String: String] = [:], secrets: [String] = []
    ) async throws {
        try await deploy([
            "service": name, "image": "", "envProcess": command, "annotations": annotations, "labels": labels, "limits": limits,
            "envVars": environment, "secrets": secrets,
        ])
    }
}

/// Runs a test against a node that is ended whatever happens.
func withNode(
    dataDirectory: String? = nil, options: [String] = [], environment: [String: String] = [:], surroundings: String? = nil,
    _ body: @Sendable (NodeUnderTest) async throws -> Void
) async throws {
    let node = try await NodeUnderTest(
        dataDirectory: dataDirectory, options: options, environment: environment, surroundings: surroundings)
    do {
        try await body(node)
    } catch {
        let log = node.log.suffix(4000)
        await node.stop()
        throw NodeUnderTest.Failure(description: "\(error)\n--- the node's log ---\n\(log)")
    }
    await node.stop()
}

/// Waits for something that another process does.
func eventually(_ limit: Duration = .seconds(20), _ condition: () async throws -> Bool) async throws -> Bool {
    let deadline = ContinuousClock.now + limit
    while ContinuousClock.now < deadline {
        if try await condition() { return true }
        try await Task.sleep(for: .milliseconds(25))
    }
    return false
}
