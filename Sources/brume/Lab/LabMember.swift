// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import FoundationEssentials
import Glibc
import Subprocess
import Synchronization
import SystemPackage

/// One node of a lab's cluster: this program's own `brume up`, with a data directory, ports and keys of its own.
final class LabMember: Sendable {
    /// Longest time until it listens.
    private static let startMax = Duration.seconds(60)
    /// It lets calls end and says goodbye; past this it is killed.
    private static let stopMax = Duration.seconds(15)
    private static let lookInterval = Duration.milliseconds(25)
    /// The end of its log, for the sentence when it does not start.
    private static let logCharactersMax = 600

    private struct State {
        var pid: pid_t?
        var port: Int?
        /// Where it serves Redis clients; it comes back there.
        var redis: String?
        var id: NodeID?
    }

    /// From 1.
    let number: Int
    let dataDirectory: String
    /// Whether it serves Redis clients.
    let servesRedis: Bool
    private let state: Mutex<State>

    /// - Parameter redis: where it serves Redis clients, with port 0 for any; nil for nowhere.
    init(number: Int, in root: FilePath, redis: String?) throws {
        self.number = number
        servesRedis = redis != nil
        state = Mutex(State(redis: redis))
        dataDirectory = root.appending("node\(number)").string
        try FileManager.default.createDirectory(
            atPath: dataDirectory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o711])
    }

    var name: String { "n\(number)" }
    var isRunning: Bool { state.withLock { $0.pid != nil } }
    var id: NodeID? { state.withLock { $0.id } }
    var url: String { "http://127.0.0.1:\(state.withLock { $0.port } ?? 0)" }

    /// Where it serves Redis clients, once it was seen listening.
    var redis: String? { state.withLock { $0.redis } }

    func remember(_ id: NodeID) { state.withLock { $0.id = id } }

    /// Forgets where it listened, so that ``address()`` waits for the next start.
    func prepare() { try? FileManager.default.removeItem(atPath: file) }

    private var file: String { FilePath(dataDirectory).appending(NodeFile.name).string }
    private var log: FilePath { FilePath(dataDirectory).appending("lab.log") }

    /// Runs the node until it ends by itself or the task is cancelled; then it is stopped.
    ///
    /// - Parameter life: the reading end of a pipe whose other end this program holds: when that is gone, so is the node.
    func run(_ options: [String], environment: [String: String], life: Descriptor) async throws {
        let program = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let (port, redis) = state.withLock { ($0.port ?? 0, $0.redis) }
        var words = ["up", "--port", "\(port)", "--data-dir", dataDirectory, "--name", name, "--unlisted", "--lab"] + options
        if let redis { words += ["--redis", redis] }
        let output = try Descriptor.open(log, .writeOnly, options: [.create, .append], permissions: [.ownerReadWrite])
        defer { try? output.close() }
        var platform = PlatformOptions()
        // A Ctrl-C is this program's: it ends its nodes itself.
        platform.processGroupID = 0
        platform.teardownSequence = [.gracefulShutDown(allowedDurationToNextStep: Self.stopMax)]
        var overrides: [Environment.Key: String?] = [:]
        for name in environment.keys.sorted() { overrides[Environment.Key(stringLiteral: name)] = environment[name] }
        _ = try await Subprocess.run(
            .path(FilePath(program)), arguments: Arguments(words), environment: .inherit.updating(overrides), platformOptions: platform,
            input: .fileDescriptor(life, closeAfterSpawningProcess: false),
            output: .fileDescriptor(output, closeAfterSpawningProcess: false),
            error: .fileDescriptor(output, closeAfterSpawningProcess: false)
        ) { execution in
            self.state.withLock { $0.pid = execution.processIdentifier.value }
            // It runs until its process has ended, whoever ends it.
            while self.isAlive(execution.processIdentifier.value) { try await Task.sleep(for: Self.lookInterval) }
            self.state.withLock { $0.pid = nil }
        }
    }

    /// Looks without taking the process away from its owner.
    private func isAlive(_ pid: pid_t) -> Bool {
        var status = unsafe siginfo_t()
        return unsafe waitid(P_PID, id_t(pid), &status, WEXITED | WNOHANG | WNOWAIT) == 0 && status.si_signo == 0
    }

    /// Sends its process a signal.
    func signal(_ signal: Int32) {
        if let pid = state.withLock({ $0.pid }) { Glibc.kill(pid, signal) }
    }

    /// Waits until it has ended.
    func ended() async throws {
        while isRunning { try await Task.sleep(for: Self.lookInterval) }
    }

    /// Waits until it listens, and tells where.
    ///
    /// - Throws: `CommandFailure` with the node's own words if it does not start.
    func address() async throws -> NodeAddress {
        let started = ContinuousClock.now
        var hasRun = false
        while true {
            if let file = NodeFile(path: file), !servesRedis || file.redis != nil {
                state.withLock { state in
                    state.port = file.port
                    state.redis = file.redis
                }
                return try NodeSearch(environment: [:]).find(NodeSearch.Wishes(dataDirectory: dataDirectory))
            }
            hasRun = hasRun || isRunning
            guard isRunning || !hasRun, ContinuousClock.now - started < Self.startMax else {
                let text = (try? String(contentsOfFile: log.string, encoding: .utf8)) ?? ""
                let said = text.suffix(Self.logCharactersMax).split(separator: "\n").last.map(String.init) ?? "it said nothing"
                throw CommandFailure.failed("Node \(number) did not start: \(said)")
            }
            try await Task.sleep(for: Self.lookInterval)
        }
    }
}
