// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Foundation
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import BrumeSandbox

/// A replica without a sandbox: the plan of a contract, started as a plain process with its paths translated to the host's.
final class PlainReplica: Sendable {
    let channel: any ReplicaChannel
    private let process: Process
    private let gone: Task<Void, Never>
    private let directory: String
    let log: Log
    /// What must live as long as the replica.
    private let kept: (any AnyObject & Sendable)?

    /// What the process wrote.
    final class Log: Sendable {
        private let text = Mutex("")
        var all: String { text.withLock { $0 } }
        func add(_ data: Data) { text.withLock { $0 += String(decoding: data, as: UTF8.self) } }
    }

    var identifier: Int32 { process.processIdentifier }

    init(
        _ channel: any ReplicaChannel, failure: CallFailure = CallFailure(.exited, "The process ended."),
        keeping: (any AnyObject & Sendable)? = nil
    ) async throws {
        self.channel = channel
        kept = keeping
        directory = try TestDirectory.make()
        let plan = try channel.plan(socketDirectory: directory)
        let process = Process()
        let translate = Self.translator(plan, directory)
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = plan.command.map(translate)
        var environment: [String: String] = [:]
        for entry in plan.environment { environment[entry.name] = translate(entry.value) }
        process.environment = environment
        process.currentDirectoryURL = URL(fileURLWithPath: translate(plan.workingDirectory))
        let log = Log()
        self.log = log
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        process.standardInput = FileHandle.nullDevice
        pipe.fileHandleForReading.readabilityHandler = { handle in
            let data = handle.availableData
            if data.isEmpty { handle.readabilityHandler = nil } else { log.add(data) }
        }
        let (ends, continuation) = AsyncStream.makeStream(of: Void.self)
        process.terminationHandler = { _ in continuation.finish() }
        try process.run()
        self.process = process
        gone = Task {
            for await _ in ends {}
            channel.terminated(failure)
        }
        do {
            try await channel.ready(PlainProcess(replica: ReplicaID(1), socketDirectory: directory))
        } catch {
            Foundation.kill(process.processIdentifier, SIGKILL)
            throw error
        }
    }

    deinit {
        // Not SIGTERM: Foundation starts children with the signal mask of its own threads.
        if process.isRunning { kill() }
        try? FileManager.default.removeItem(atPath: directory)
    }

    func kill() { Foundation.kill(process.processIdentifier, SIGKILL) }
    func terminate() { process.terminate() }
    func ended() async { await gone.value }

    private static func translator(_ plan: LaunchPlan, _ directory: String) -> (String) -> String {
        let binds = (plan.binds + [.init(host: directory, inside: "/run/brume")]).sorted { $0.inside.count > $1.inside.count }
        return { text in
            for bind in binds where text == bind.inside || text.hasPrefix(bind.inside + "/") {
                return bind.host + text.dropFirst(bind.inside.count)
            }
            return text
        }
    }
}

struct PlainProcess: SandboxProcess {
    let replica: ReplicaID
    let socketDirectory: String

    func connect(port: Int) async throws(BrumeError) -> CInt {
        let handle = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        var address = loopback(port)
        let result = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe Foundation.connect(handle, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else {
            close(handle)
            throw BrumeError(.unavailable, "Nothing listens on \(port).")
        }
        _ = fcntl(handle, F_SETFL, O_NONBLOCK)
        return handle
    }

    func listen(port: Int) async throws(BrumeError) -> CInt {
        let handle = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        var address = loopback(port)
        let result = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(handle, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0, Foundation.listen(handle, 16) == 0 else { throw BrumeError(.conflict, "Port \(port) is taken.") }
        _ = fcntl(handle, F_SETFL, O_NONBLOCK)
        return handle
    }

    private func loopback(_ port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr = in_addr(s_addr: UInt32(0x7f00_0001).bigEndian)
        return address
    }
}

enum TestDirectory {
    static func make() throws -> String {
        let path = "/tmp/brume-ct-\(UInt32.random(in: 0...UInt32.max))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        _ = unsafe chmod(path, 0o755)
        return path
    }
}

/// What a call came to, with the body gathered.
struct Answer: Sendable {
    var status = 0
    var headers: [HeaderField] = []
    var bytes = ByteBuffer()
    var wasStreamed = false
    /// The failure of the reply, of the stream, or the one that the contract rendered.
    var failure: CallFailure?
    /// What `finished` said.
    var end: CallFailure?

    var text: String { String(buffer: bytes) }
    subscript(_ name: String) -> String? { headers.first { $0.name.lowercased() == name.lowercased() }?.value }
}

private let callNumbers = Atomic<UInt64>(1)

extension PlainReplica {
    /// One call to its end.
    func call(
        _ text: String = "", method: String = "POST", path: String = "/", query: String = "", headers: [(String, String)] = [],
        body: Body<ByteBuffer>? = nil, keep: Bool = true, counting: ByteCount? = nil, takeOnly: Int = .max,
        pause: Duration = .zero, started: (@Sendable (CallID) -> Void)? = nil, onPiece: (@Sendable () async -> Void)? = nil
    ) async -> Answer {
        let id = CallID(callNumbers.add(1, ordering: .relaxed).oldValue)
        guard let function = Fixture.id else { return Answer() }
        let request = CallRequest(
            function: function, method: method, path: path, query: query, headers: headers.map { HeaderField($0.0, $0.1) },
            body: body ?? .whole(ByteBuffer(string: text)), label: "test")
        let (finishes, finish) = AsyncStream.makeStream(of: CallFailure?.self)
        let result = await withCheckedContinuation { continuation in
            channel.invoke(id, request, deadline: Instant(nanoseconds: 1_700_000_000_123_000_000)) { result in
                continuation.resume(returning: result)
            } finished: { failure in
                finish.yield(failure)
                finish.finish()
            }
            started?(id)
        }
        var answer = Answer()
        switch result {
        case .failure(let failure):
            answer.failure = failure
        case .success(let response):
            answer.status = response.status
            answer.headers = response.headers
            answer.failure = response.failure
            switch response.body {
            case .whole(let bytes): answer.bytes = bytes
            case .stream(let pieces):
                answer.wasStreamed = true
                do {
                    var taken = 0
                    for try await piece in pieces {
                        var piece = piece
                        counting?.add(piece.readableBytes)
                        if keep, counting == nil { answer.bytes.writeBuffer(&piece) }
                        taken += 1
                        if taken == 1 { await onPiece?() }
                        if pause > .zero { try await Task.sleep(for: pause) }
                        if taken == takeOnly { break }
                    }
                } catch let failure as CallFailure {
                    answer.failure = failure
                } catch {
                    Issue.record("a stream failed with \(error), which is no CallFailure")
                }
            }
        }
        var ends = 0
        for await failure in finishes {
            answer.end = failure
            ends += 1
        }
        #expect(ends == 1, "finished must be called once")
        return answer
    }
}

/// What the tests make functions and channels from.
enum Fixture {
    static let id: FunctionID? = try? FunctionID(name: "f")

    static var agentPath: String {
        let test = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return URL(fileURLWithPath: test).deletingLastPathComponent().path + "/brume-agent"
    }

    static func spec(
        _ contract: Contract, package: BrumeModel.Package = .none, concurrency: Int = 1, environment: [String: String] = [:],
        annotations: [String: String] = [:]
    ) throws -> FunctionSpec {
        FunctionSpec(
            id: try #require(id), contract: contract, package: package, concurrency: concurrency, environment: environment,
            annotations: annotations)
    }

    static func channels(_ root: String = "/tmp", limits: (inout ContractLimits) -> Void = { _ in }) -> ContractChannels {
        var settings = ContractChannels.Settings(
            group: MultiThreadedEventLoopGroup.singleton, codeRoot: root, agentPath: agentPath, sharesLoopback: true)
        limits(&settings.limits)
        return ContractChannels(settings)
    }

    /// A running replica of the fork contract.
    static func fork(
        _ command: [String], concurrency: Int = 1, environment: [String: String] = [:], limits: (inout ContractLimits) -> Void = { _ in }
    ) async throws -> PlainReplica {
        let spec = try spec(.fork(command: command), concurrency: concurrency, environment: environment)
        return try await PlainReplica(channels(limits: limits).makeChannel(for: spec, replica: ReplicaID(1)))
    }
}
