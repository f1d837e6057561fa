// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import NIOCore
import NIOPosix

/// A sandbox that runs and waits for the function that it is to become. It is used once.
final class Spare: Sendable {
    enum End: Sendable { case taken, died }

    let cell: Cell
    let program: SpawnedProgram
    let client: SpawnerClient
    private let control: Control
    /// Host directories that it shows already, by the path inside.
    private let shown: [String: String]
    /// Set once: whether a replica took it or it died before.
    let end = OneShot<End>()
    /// Set when the replica that took it has begun or failed: the next spare must not slow that start down.
    let settled = OneShot<Void>()

    private init(cell: Cell, program: SpawnedProgram, client: SpawnerClient, control: Control, shown: [String: String]) {
        (self.cell, self.program, self.client, self.control, self.shown) = (cell, program, client, control, shown)
    }

    /// How long a spare may take to say that it waits: as long as an interpreter on a busy machine.
    private static let startLimit = Duration.seconds(10)
    /// How long it may take to say that it has its order: it only reads.
    private static let orderLimit = Duration.seconds(5)

    /// The connection on which it waits for its order.
    private final class Control: Sendable {
        /// Set when the spare waits.
        let waiting = OneShot<any Channel>()
        /// Set when it has its order, or can have none any more.
        let accepted = OneShot<Bool>()

        func hear(_ word: WorkerGreeting.Word, _ context: ChannelHandlerContext) {
            switch word {
            case .gate where waiting.set(context.channel):
                context.channel.closeFuture.whenComplete { [accepted] _ in accepted.set(false) }
            case .ready: accepted.set(true)
            case .gate, .failed: context.close(promise: nil)
            }
        }

        func close() { waiting.value?.close(promise: nil) }
    }

    /// Makes one. Leaves nothing behind if it fails.
    static func make(_ profile: SpareProfile, _ plan: LaunchPlan, number: Int, _ host: Replica.Host) async throws(BrumeError) -> Spare {
        let cell = Cell(name: "spare-\(number)", owner: "spare/\(number)", replica: nil, host)
        do throws(BrumeError) {
            return try await start(profile, plan, cell, host)
        } catch {
            await cell.clearAway()
            throw error
        }
    }

    private static func start(
        _ profile: SpareProfile, _ plan: LaunchPlan, _ cell: Cell, _ host: Replica.Host
    ) async throws(BrumeError) -> Spare {
        let client = try await host.spawner.client()
        try cell.makeSocketDirectory()
        let control = Control()
        let handle = try HostSocket.listenUnix(directory: cell.socketDirectory, name: SpareKind.socketName)
        let listener = ServerBootstrap(group: host.loops)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(WorkerGreeting { control.hear($0, $1) })
                }
            }
            .withBoundSocket(handle)
        // What a function finds in its sandbox must not be a way to the node's ear for spares.
        defer {
            listener.whenSuccess { $0.close(promise: nil) }
            HostFiles.removeFile("\(cell.socketDirectory)/\(SpareKind.socketName)")
        }
        cell.openSockets()
        let program = try await cell.launch(profile.spec, plan, by: client)
        guard await isWaiting(control, program) else {
            client.kill(program)
            _ = await program.exit.wait()
            let said = await cell.lastWords().joined(separator: " | ")
            throw BrumeError(.failed, "A spare sandbox did not start. Its last words: \(said.isEmpty ? "none" : said)")
        }
        let shown = Dictionary(plan.binds.map { ($0.inside, $0.host) }, uniquingKeysWith: { first, _ in first })
        return Spare(cell: cell, program: program, client: client, control: control, shown: shown)
    }

    private static func isWaiting(_ control: Control, _ program: SpawnedProgram) async -> Bool {
        await withTaskGroup(of: Bool.self) { group in
            group.addTask { await control.waiting.wait(atMost: startLimit) != nil }
            group.addTask {
                _ = await program.exit.wait()
                return false
            }
            let first = await group.next() ?? false
            group.cancelAll()
            return first
        }
    }

    /// Whether nothing happened to it.
    var isAlive: Bool { program.exit.value == nil && control.accepted.value == nil }

    /// Gives it the function's files and tells it what to become. Until it has said that it knows, nothing of the function has run.
    ///
    /// - Throws: `BrumeError`; the spare is of no more use then.
    func become(_ plan: LaunchPlan, secrets: [Secret]) async throws(BrumeError) {
        var binds: [(host: String, inside: String)] = []
        for bind in plan.binds where shown[bind.inside] != bind.host {
            guard !bind.writable, SpareKind.mountPoints.contains(bind.inside) else {
                throw BrumeError(.unsupported, "A spare sandbox has no place for \(bind.inside).")
            }
            binds.append((bind.host, bind.inside))
        }
        if !binds.isEmpty || !secrets.isEmpty { try await client.adopt(program, binds: binds, secrets: secrets) }
        control.waiting.value?.writeAndFlush(Self.order(plan), promise: nil)
        let accepted = await control.accepted.wait(atMost: Self.orderLimit)
        control.close()
        guard accepted == true else { throw BrumeError(.unavailable, "A spare sandbox ended before it became a function.") }
    }

    /// Ends one that is not needed, or of no use any more.
    func discard() async {
        control.close()
        client.kill(program)
        _ = await program.exit.wait()
        _ = await cell.lastWords()
        await cell.clearAway()
    }

    /// Eight hexadecimal digits of length, then strings with NUL behind each: directory, number of arguments, arguments, environment.
    static func order(_ plan: LaunchPlan) -> ByteBuffer {
        var strings = ByteBuffer()
        // Like bubblewrap, which tells a program where it begins.
        let environment = plan.environment.filter { $0.name != "PWD" }.map { "\($0.name)=\($0.value)" } + ["PWD=\(plan.workingDirectory)"]
        for text in [plan.workingDirectory, "\(plan.command.count)"] + plan.command + environment {
            strings.writeString(text)
            strings.writeInteger(UInt8(0))
        }
        let digits = String(strings.readableBytes, radix: 16)
        var order = ByteBuffer(string: String(repeating: "0", count: 8 - digits.count) + digits)
        order.writeBuffer(&strings)
        return order
    }
}
