// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Foundation
import NIOCore
import NIOPosix
import Testing

@testable import BrumeSandbox

/// Tells everybody who connects whose socket this is.
private final class Teller: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    let name: String

    init(_ name: String) { self.name = name }

    func channelActive(context: ChannelHandlerContext) {
        context.writeAndFlush(NIOAny(ByteBuffer(string: name)), promise: nil)
        context.close(promise: nil)
    }
}

/// Listeners for functions' state, one each, made when first asked for.
private actor Tellers {
    private var paths: [FunctionID: String] = [:]
    private var channels: [any Channel] = []

    func socket(of function: FunctionID, in directory: String) async throws(BrumeError) -> String {
        if let path = paths[function] { return path }
        let path = "\(directory)/\(paths.count)"
        do {
            let handle = try HostSocket.listenUnix(directory: directory, name: "\(paths.count)")
            let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Teller(function.name)) }
                }
                .withBoundSocket(handle).get()
            channels.append(channel)
        } catch {
            throw BrumeError(.failed, "The test cannot listen.", cause: error)
        }
        paths[function] = path
        return path
    }

    var count: Int { paths.count }

    func close() async { for channel in channels { try? await channel.close() } }
}

@Suite("Sockets of functions' state", .serialized, .timeLimit(.minutes(2)), .enabled(if: ProcessBench.isRoot))
struct StateSocketTests {
    /// Connects to the socket and prints what it hears, and what the environment says of it.
    private static let program = """
        import os, socket
        s = socket.socket(socket.AF_UNIX)
        s.connect(os.environ["BRUME_STATE_SOCKET"])
        print(s.recv(100).decode(), os.environ["REDIS_URL"])
        """

    private static func with(
        spares: Int, isolation: SandboxSettings.Isolation = .sandbox, refusal: BrumeError? = nil,
        _ body: (LinuxSandbox, EventRecorder, Tellers) async throws -> Void
    ) async throws {
        let root = try TestDirectory.make()
        defer { try? FileManager.default.removeItem(atPath: root) }
        let (recorder, tellers) = (EventRecorder(), Tellers())
        let group = MultiThreadedEventLoopGroup.singleton
        var contracts = ContractChannels.Settings(group: group, codeRoot: "\(root)/unpacked", agentPath: Fixture.agentPath)
        contracts.sharesLoopback = isolation == .none
        contracts.offersState = true
        let channels = ContractChannels(contracts)
        var settings = SandboxSettings(stateDirectory: "\(root)/sandbox", isolation: isolation, spares: spares)
        settings.stateSocket = { function, directory async throws(BrumeError) in
            if let refusal { throw refusal }
            return try await tellers.socket(of: function.id, in: directory)
        }
        let driver = try await LinuxSandbox(
            settings: settings, group: group, events: { recorder.record($0) },
            makeChannel: { try channels.makeChannel(for: $0, replica: $1) }, makeSpare: { channels.makeSpare($0) },
            prepare: { try await channels.prepare($0, bundle: $1) })
        do {
            try await body(driver, recorder, tellers)
        } catch {
            await driver.shutdown()
            throw error
        }
        await driver.shutdown()
        await tellers.close()
    }

    private static func spec(_ name: String, environment: [String: String] = [:]) throws -> FunctionSpec {
        var spec = FunctionSpec(
            id: try FunctionID(name: name), contract: .fork(command: ["/usr/bin/python3", "-c", program]),
            limits: Resources(millicores: 1000, memoryBytes: 128 << 20))
        spec.environment = environment
        return spec
    }

    private static func call(
        _ spec: FunctionSpec, _ number: UInt64, _ driver: LinuxSandbox, _ recorder: EventRecorder
    ) async throws -> String {
        let replica = ReplicaID(number)
        try await driver.prepare(spec, bundle: nil)
        driver.start(replica, of: spec, secrets: [])
        guard await recorder.starts(replica) else { throw BrumeError(.failed, await recorder.exit(of: replica).message) }
        let request = CallRequest(function: spec.id, body: .whole(ByteBuffer()), label: "call")
        let result = await withCheckedContinuation { continuation in
            driver.invoke(CallID(number), request, on: replica, deadline: .distantFuture) { continuation.resume(returning: $0) }
        }
        guard case .whole(let reply) = try result.get().body else { throw BrumeError(.failed, "not a whole body") }
        return String(buffer: reply).trimmingCharacters(in: .whitespacesAndNewlines)
    }

    @Test("a function reaches its own socket and nobody else's, in a sandbox made for it and in a spare one", arguments: [0, 1])
    func own(spares: Int) async throws {
        try await Self.with(spares: spares) { driver, recorder, tellers in
            let (first, second) = (try Self.spec("first"), try Self.spec("second"))
            if spares > 0 {
                try await driver.prepare(first, bundle: nil)
                #expect(await driver.waitForSpare(first))
            }
            #expect(try await Self.call(first, 1, driver, recorder) == "first unix:///run/brume/state.sock")
            #expect(try await Self.call(second, 2, driver, recorder) == "second unix:///run/brume/state.sock")
            #expect(try await Self.call(first, 3, driver, recorder) == "first unix:///run/brume/state.sock")
            #expect(await tellers.count == 2, "all replicas of a function share one listener")
        }
    }

    @Test("without isolation the paths are those of the host")
    func plain() async throws {
        try await Self.with(spares: 0, isolation: .none) { driver, recorder, _ in
            let heard = try await Self.call(try Self.spec("plain"), 1, driver, recorder)
            #expect(heard.hasPrefix("plain unix:///run/brume-"))
        }
    }

    @Test("what a deployer says of REDIS_URL wins")
    func given() async throws {
        try await Self.with(spares: 0) { driver, recorder, _ in
            let spec = try Self.spec("given", environment: ["REDIS_URL": "redis://elsewhere:6379"])
            #expect(try await Self.call(spec, 1, driver, recorder) == "given redis://elsewhere:6379")
        }
    }

    @Test("a function whose state cannot be had does not start, and the reason is told", arguments: [0, 1])
    func refused(spares: Int) async throws {
        try await Self.with(spares: spares, refusal: BrumeError(.unavailable, "The state is closed.")) { driver, recorder, _ in
            let error = await #expect(throws: BrumeError.self) { try await Self.call(try Self.spec("refused"), 1, driver, recorder) }
            #expect(error?.description.contains("The state is closed.") == true)
        }
    }
}
