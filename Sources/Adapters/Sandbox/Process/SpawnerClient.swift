// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import CBrumeLinux
import Dispatch
import Glibc
import Synchronization

/// What is started in one sandbox, in the spawner's words.
struct SpawnOrder: Sendable {
    var arguments: [String]
    var environment: [String] = []
    /// Host directories of the control groups to join; the cgroup2 one first where `flags` says that there is one.
    var groups: [String] = []
    /// Host paths shown to the program as `/mnt/0`, `/mnt/1`, ...
    var stages: [String] = []
    var workingDirectory: String?
    /// Whether the last environment variable marks every process of the sandbox, for killing without control groups.
    var isMarked = false
    /// Contents of the descriptors from 10 on.
    var files: [(name: String, bytes: [UInt8])] = []
    var flags: UInt32 = 0
    /// Host uid and gid, used with `BRUME_SET_IDS`.
    var hostID: UInt32 = 0
    var limits: [(resource: Int, amount: Int)] = []

    /// Has the program join these groups before its first instruction.
    mutating func join(_ group: ReplicaCgroup) {
        groups = group.directories
        if group.unified != nil { flags |= UInt32(BRUME_HAS_UNIFIED) }
    }

    /// Has the program run as this host uid and gid.
    mutating func drop(to id: UInt32) {
        flags |= UInt32(BRUME_SET_IDS)
        hostID = id
    }
}

/// A program that the spawner started.
final class SpawnedProgram: Sendable {
    let sandbox: UInt64
    /// Host pid of the first process inside; set when it exists.
    let inside = OneShot<Int32>()
    /// The wait status; set when nothing of it runs any more. Nil inside if the spawner itself is gone.
    let exit = OneShot<Int32>()

    init(sandbox: UInt64) { self.sandbox = sandbox }
}

/// The node's end of the spawner's socket.
final class SpawnerClient: Sendable {
    private struct Answer: Sendable {
        var value: Int32
        var error: Int32
        var descriptor: Int32
    }

    private struct State {
        var nextRequest: UInt32 = 0
        var nextSandbox: UInt64 = 0
        var waiting: [UInt32: OneShot<Answer>] = [:]
        var programs: [UInt64: SpawnedProgram] = [:]
        var closed = false
    }

    /// The status reported for sandboxes whose spawner ended: killed, as their parent-death signal did.
    static let spawnerGone: Int32 = SIGKILL
    /// How long the spawner may take to say that it is ready: it does a few system calls.
    private static let readyLimit = Duration.seconds(5)
    /// How long an answer may take; only a listener's full backlog comes near.
    private static let answerLimit = Duration.seconds(10)

    private let socket: CInt
    let pid: pid_t
    private let state = Mutex(State())
    private let ready = OneShot<(version: Int32, can: Int32)>()
    /// Set when the spawner has ended, with everything it started.
    let ended = OneShot<Void>()

    private init(socket: CInt, pid: pid_t) {
        self.socket = socket
        self.pid = pid
    }

    // Nobody can be using the descriptor any more: every use holds the object, and so does the thread that listens.
    deinit { _ = Glibc.close(socket) }

    /// What the spawner is able to do: `BRUME_CAN_` bits.
    var can: UInt32 { UInt32(bitPattern: ready.value?.can ?? 0) }

    /// Starts the spawner and waits until it listens.
    static func launch(path: String, joinFast: Bool) async throws(BrumeError) -> SpawnerClient {
        var pid: pid_t = 0
        let socket = unsafe brume_launch_spawner(path, joinFast, &pid)
        guard socket >= 0 else { throw HostFiles.failure("start", path, -socket) }
        let client = SpawnerClient(socket: socket, pid: pid)
        client.listen()
        guard let ready = await client.ready.wait(atMost: readyLimit), ready.version == BRUME_SPAWN_VERSION else {
            client.close()
            throw BrumeError(
                .failed, "The sandbox spawner at \(path) does not answer or is of another version; install both programs again.")
        }
        return client
    }

    /// One thread waits for the spawner as long as it lives; an event loop cannot receive descriptors over a packet socket.
    private func listen() {
        DispatchQueue(label: "brume.spawner").async { [self] in while receive() {} }
    }

    /// Handles one event; false after the last.
    private func receive() -> Bool {
        var event = brume_event()
        var descriptor: CInt = -1
        let got = unsafe brume_receive_event(socket, &event, &descriptor)
        if got == -EBADMSG { return true }
        guard got == 1 else {
            finish()
            return false
        }
        switch Int(event.type) {
        case BRUME_READY: ready.set((event.value, event.error))
        case BRUME_ANSWER:
            let waiter = state.withLock { $0.waiting.removeValue(forKey: event.request) }
            let taken = waiter?.set(Answer(value: event.value, error: event.error, descriptor: descriptor)) ?? false
            if !taken && descriptor >= 0 { _ = Glibc.close(descriptor) }
        case BRUME_INSIDE: state.withLock { $0.programs[event.sandbox] }?.inside.set(event.value)
        case BRUME_EXIT: state.withLock { $0.programs.removeValue(forKey: event.sandbox) }?.exit.set(event.value)
        default: break
        }
        return true
    }

    /// The socket has ended: so has the spawner, and with it everything that it started.
    private func finish() {
        let (programs, waiting) = state.withLock { state in
            state.closed = true
            defer { (state.programs, state.waiting) = ([:], [:]) }
            return (state.programs.values.map(\.self), state.waiting.values.map(\.self))
        }
        _ = brume_wait(pid)
        for waiter in waiting { waiter.set(Answer(value: 0, error: ECONNRESET, descriptor: -1)) }
        for program in programs { program.exit.set(Self.spawnerGone) }
        ended.set(())
    }

    /// Asks the spawner to kill everything and to end; `ended` tells when it has.
    func close() { _ = shutdown(socket, CInt(SHUT_WR)) }

    private func ask(_ send: (UInt32) -> CInt) async -> Answer {
        let answer = OneShot<Answer>()
        let request: UInt32? = state.withLock { state in
            guard !state.closed else { return nil }
            state.nextRequest &+= 1
            state.waiting[state.nextRequest] = answer
            return state.nextRequest
        }
        guard let request else { return Answer(value: 0, error: ECONNRESET, descriptor: -1) }
        let error = -send(request)
        if error == 0, let answer = await answer.wait(atMost: Self.answerLimit) { return answer }
        state.withLock { $0.waiting[request] = nil }
        // An answer that came between the time limit and here may carry a descriptor that nobody else would close.
        if !answer.set(Answer(value: 0, error: ETIMEDOUT, descriptor: -1)), let late = answer.value { return late }
        return Answer(value: 0, error: error == 0 ? ETIMEDOUT : error, descriptor: -1)
    }

    /// Starts a program; `output` and `errors` become its standard streams and stay the caller's.
    func spawn(_ order: SpawnOrder, output: CInt, errors: CInt) async throws(BrumeError) -> SpawnedProgram {
        let lists = [order.arguments, order.environment, order.groups, order.stages, order.workingDirectory.map { [$0] } ?? []]
        var strings: [UInt8] = []
        for text in lists.joined() {
            strings += text.utf8
            strings.append(0)
        }
        guard strings.count <= BRUME_SPAWN_STRINGS_MAX else {
            throw BrumeError(.tooLarge, "The command and its paths take \(strings.count) bytes; \(BRUME_SPAWN_STRINGS_MAX) are allowed.")
        }
        var descriptors: [CInt] = []
        defer { for (index, descriptor) in descriptors.enumerated() where index == 0 || index > 2 { _ = Glibc.close(descriptor) } }
        descriptors.append(try Self.memoryFile("strings", strings))
        descriptors += [output, errors]
        for file in order.files { descriptors.append(try Self.memoryFile(file.name, file.bytes)) }

        let program = state.withLock { state in
            state.nextSandbox += 1
            let program = SpawnedProgram(sandbox: state.nextSandbox)
            state.programs[program.sandbox] = program
            return program
        }
        let counts = lists.map { UInt32($0.count) }
        let limits = order.limits.flatMap { [UInt64($0.resource), UInt64($0.amount)] }
        let answer = await ask { request in
            unsafe brume_send_spawn(
                socket, request, program.sandbox, order.flags, order.hostID, counts, order.isMarked, limits, limits.count / 2, descriptors,
                descriptors.count)
        }
        guard answer.error == 0 else {
            state.withLock { $0.programs[program.sandbox] = nil }
            throw BrumeError(.failed, "The spawner cannot start a sandbox: \(HostFiles.reason(answer.error)).")
        }
        if order.flags & UInt32(BRUME_STATUS_PIPE) == 0 { program.inside.set(answer.value) }
        return program
    }

    private static func memoryFile(_ name: String, _ bytes: [UInt8]) throws(BrumeError) -> CInt {
        let descriptor = unsafe bytes.withUnsafeBytes { unsafe brume_memory_file(name, $0.baseAddress, $0.count) }
        guard descriptor >= 0 else { throw HostFiles.failure("make a memory file for", name, -descriptor) }
        return descriptor
    }

    /// Shows host paths, read-only, and secrets to a program that runs; the sandbox must have the mount points.
    func adopt(_ program: SpawnedProgram, binds: [(host: String, inside: String)], secrets: [Secret]) async throws(BrumeError) {
        var strings: [UInt8] = []
        for text in binds.map(\.host) + binds.map(\.inside) + secrets.map(\.name) {
            strings += text.utf8
            strings.append(0)
        }
        var descriptors: [CInt] = []
        defer { for descriptor in descriptors { _ = Glibc.close(descriptor) } }
        descriptors.append(try Self.memoryFile("strings", strings))
        for secret in secrets { descriptors.append(try Self.memoryFile("secret", secret.value)) }
        let answer = await ask { request in
            unsafe brume_send_adopt(
                socket, request, program.sandbox, UInt32(binds.count), UInt32(secrets.count), descriptors, descriptors.count)
        }
        guard answer.error == 0 else {
            throw BrumeError(.failed, "A sandbox cannot be given its files: \(HostFiles.reason(answer.error)).")
        }
    }

    /// A socket on the sandbox's own loopback.
    func reach(_ program: SpawnedProgram, listening: Bool, port: Int) async throws(BrumeError) -> CInt {
        let type = UInt32(listening ? BRUME_LISTEN : BRUME_CONNECT)
        let answer = await ask { request in brume_send_request(socket, type, request, program.sandbox, Int32(clamping: port)) }
        guard answer.error == 0, answer.descriptor >= 0 else {
            throw BrumeError(
                .unavailable,
                "Port \(port) inside the sandbox cannot be \(listening ? "opened" : "reached"): \(HostFiles.reason(answer.error)).")
        }
        return answer.descriptor
    }

    /// Bytes of the fixed structure in a SPAWN packet; for tests that are a node themselves.
    static var spawnBytes: Int { MemoryLayout<brume_spawn>.size }

    /// Sends bytes as they are; for tests of the spawner's caution.
    func sendRaw(_ bytes: [UInt8], descriptors: [CInt]) {
        _ = unsafe brume_send_packet(socket, bytes, bytes.count, descriptors, descriptors.count)
    }

    /// Asks for a program by raw strings and counts, and gives the errno of the answer; for tests of the spawner's caution.
    func trySpawn(strings: [UInt8], counts: [UInt32]) async -> Int32 {
        guard let file = try? Self.memoryFile("strings", strings) else { return EIO }
        defer { _ = Glibc.close(file) }
        let sandbox = state.withLock { state in
            state.nextSandbox += 1
            return state.nextSandbox
        }
        return await ask { request in
            unsafe brume_send_spawn(socket, request, sandbox, 0, 0, counts, false, nil, 0, [file, 2, 2], 3)
        }.error
    }

    /// Sends SIGTERM to the function alone.
    func askToStop(_ program: SpawnedProgram) { signal(program, BRUME_ASK) }

    /// Kills everything in the sandbox.
    func kill(_ program: SpawnedProgram) { signal(program, BRUME_KILL) }

    private func signal(_ program: SpawnedProgram, _ how: Int) {
        guard !state.withLock({ $0.closed }) else { return }
        _ = brume_send_request(socket, UInt32(BRUME_SIGNAL), 0, program.sandbox, Int32(how))
    }
}
