// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeSandbox
import Glibc
import NIOCore
import NIOPosix
import Synchronization

/// A driver on a state directory of its own, and the words to use it in one line.
final class ProcessBench: Sendable {
    let driver: LinuxSandbox
    let recorder: EventRecorder
    let directory: String
    private let next = Mutex<UInt64>(0)

    static let isRoot = geteuid() == 0
    /// Whether replicas start in spare sandboxes.
    @TaskLocal static var usesSpares = false

    private init(driver: LinuxSandbox, recorder: EventRecorder, directory: String) {
        (self.driver, self.recorder, self.directory) = (driver, recorder, directory)
    }

    static func newDirectory() -> String {
        var template = Array("/tmp/brume-test-XXXXXX".utf8CString)
        return unsafe template.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress, let made = unsafe mkdtemp(base) else { preconditionFailure("no temporary directory") }
            return unsafe String(cString: made)
        }
    }

    /// Runs `body` with a driver and checks afterwards that nothing is left.
    static func with(
        isolation: SandboxSettings.Isolation = .sandbox, startTimeout: Duration = .seconds(10),
        channel: @escaping @Sendable (FunctionSpec) -> LineChannel = { _ in LineChannel() },
        _ body: (ProcessBench) async throws -> Void
    ) async throws {
        let directory = newDirectory()
        defer { HostState.remove(directory) }
        let recorder = EventRecorder()
        let settings = SandboxSettings(
            stateDirectory: "\(directory)/sandbox", isolation: isolation, startTimeout: startTimeout, spares: usesSpares ? 1 : 0)
        let agent = SandboxSettings.helper("brume-agent", given: nil) ?? ""
        let channels = ContractChannels(
            ContractChannels.Settings(group: MultiThreadedEventLoopGroup.singleton, codeRoot: "/none", agentPath: agent))
        let driver = try await LinuxSandbox(
            settings: settings, group: MultiThreadedEventLoopGroup.singleton, events: { recorder.record($0) },
            makeChannel: { spec, _ in channel(spec) }, makeSpare: { channels.makeSpare($0) }, prepare: { _, _ in })
        let bench = ProcessBench(driver: driver, recorder: recorder, directory: directory)
        do {
            try await body(bench)
        } catch {
            await driver.shutdown()
            throw error
        }
        await driver.shutdown()
    }

    static func spec(
        _ name: String = "probe", millicores: Int = 1000, memory: Int = 128 << 20, network: Bool = false, secrets: [String] = []
    ) throws -> FunctionSpec {
        FunctionSpec(
            id: try FunctionID(name: name), contract: .http(command: ["probe"], port: 8080),
            limits: Resources(millicores: millicores, memoryBytes: memory), secrets: secrets, network: network)
    }

    /// Starts a replica and waits until it is up.
    func start(_ spec: FunctionSpec, secrets: [Secret] = []) async throws -> ReplicaID {
        let replica = try await begin(spec, secrets: secrets)
        guard await recorder.starts(replica) else {
            throw BrumeError(.failed, await recorder.exit(of: replica).message)
        }
        return replica
    }

    func begin(_ spec: FunctionSpec, secrets: [Secret] = []) async throws -> ReplicaID {
        if Self.usesSpares {
            try await driver.prepare(spec, bundle: nil)
            guard await driver.waitForSpare(spec) else { throw BrumeError(.failed, "There is no spare.") }
        }
        let replica = ReplicaID(number())
        driver.start(replica, of: spec, secrets: secrets)
        return replica
    }

    private func number() -> UInt64 {
        next.withLock { value in
            value += 1
            return value
        }
    }

    /// Runs a Python program in the replica and gives its `r`.
    func run(_ program: String, on replica: ReplicaID) async throws -> String {
        let call = CallID(number())
        let request = CallRequest(
            function: try FunctionID(name: "probe"), body: .whole(ByteBuffer(string: program)), label: "\(call)")
        let result = await withCheckedContinuation { continuation in
            driver.invoke(call, request, on: replica, deadline: .distantFuture) { continuation.resume(returning: $0) }
        }
        guard case .whole(let body) = try result.get().body else { throw BrumeError(.failed, "not a whole body") }
        return String(buffer: body)
    }

    func stop(_ replica: ReplicaID, grace: Duration = .zero) async -> ReplicaExit {
        driver.stop(replica, grace: grace)
        return await recorder.exit(of: replica)
    }
}
