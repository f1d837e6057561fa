// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import FoundationEssentials
import Glibc
import NIOPosix
import Subprocess
import Synchronization
import SystemPackage

/// A cluster on loopback: real nodes, a bad network where wanted, and orders by lines.
struct LabCluster: Sendable {
    /// Longest time until the nodes see each other.
    private static let formMax = Duration.seconds(60)
    private static let lookInterval = Duration.milliseconds(100)
    /// A busy machine loses an answer now and then, and the node asks again.
    private static let joinsEach = 3
    /// Lines that wait while an order is carried out.
    private static let linesMax = 1_024
    /// Longest order: every node of the largest lab named once.
    private static let lineBytesMax = 4_096

    let root: FilePath
    let members: [LabMember]
    let options: [String]
    private let console = Console.standard

    /// - Parameter redis: the port at which the first node serves Redis clients, the others behind it; 0 for free ones, nil for none.
    init(count: Int, root: FilePath, options: [String], redis: Int?) throws {
        self.root = root
        self.options = options
        members = try (1...count).map { number in
            try LabMember(number: number, in: root, redis: redis.map { "127.0.0.1:\($0 == 0 ? 0 : $0 + number - 1)" })
        }
    }

    /// Starts the nodes, joins them, and carries out what `lines` say (or runs `command`), then stops everything.
    ///
    /// - Returns: the exit code of `command`, else 0.
    func run(_ network: LabNetwork, command: String?) async throws -> Int32 {
        // A pipe that this program alone holds: if it is killed, the kernel closes it, and the nodes end.
        let (life, held) = try Descriptor.pipe()
        _ = fcntl(held.rawValue, F_SETFD, FD_CLOEXEC)
        _ = fcntl(life.rawValue, F_SETFD, FD_CLOEXEC)
        defer {
            try? held.close()
            try? life.close()
        }
        return try await withThrowingTaskGroup(of: Int32?.self) { group in
            defer { group.cancelAll() }
            let link = ["--link", "127.0.0.1:0"]
            launch(members[0], link, [:], life, &group)
            let first = try await members[0].address()
            let token = try await NodeClient.with(first) { client in
                try await client.makeJoinToken(life: "1h", uses: members.count * Self.joinsEach)
            }
            for member in members.dropFirst() {
                launch(member, link + ["--join", token.address], ["BRUME_TOKEN": token.token], life, &group)
            }
            try await formed()
            var field = Field(cluster: self, network: network, life: life)
            try await field.apply()
            let (lines, input) = Self.lines(control: root.appending("control").string, reads: command == nil)
            let outcome = CommandOutcome()
            if let command {
                group.addTask {
                    await outcome.set { try await shell(command) }
                    input.finish()
                    return nil
                }
            } else {
                try await present()
            }
            for await line in lines {
                do {
                    guard let order = try LabOrder(line, count: members.count, network: field.network) else { continue }
                    if order == .exit { break }
                    try await field.carryOut(order, &group)
                } catch let error where !(error is CancellationError) {
                    console.complain(Ending(of: error).complaint)
                }
            }
            return try outcome.code()
        }
    }

    /// How the command ended that ran beside the cluster.
    private final class CommandOutcome: Sendable {
        private let result = Mutex<Result<Int32, any Error>>(.success(0))

        func set(_ body: () async throws -> Int32) async {
            do {
                let code = try await body()
                result.withLock { $0 = .success(code) }
            } catch {
                result.withLock { $0 = .failure(error) }
            }
        }

        func code() throws -> Int32 { try result.withLock { $0 }.get() }
    }

    fileprivate func launch(
        _ member: LabMember, _ words: [String], _ environment: [String: String], _ life: Descriptor,
        _ group: inout ThrowingTaskGroup<Int32?, any Error>
    ) {
        member.prepare()
        let options = options
        group.addTask {
            try await member.run(words + options, environment: environment, life: life)
            return nil
        }
    }

    /// Waits until every node that runs sees every other alive.
    private func formed() async throws {
        let started = ContinuousClock.now
        var addresses: [NodeAddress] = []
        // One that did not start is told before anybody waits for it.
        for member in members { addresses.append(try await member.address()) }
        for (member, address) in zip(members, addresses) {
            try await NodeClient.with(address) { client in
                while true {
                    let report = try await client.cluster()
                    member.remember(report.node)
                    if report.nodes.count(where: { $0.status == "alive" && $0.isConnected }) >= members.count { return }
                    guard ContinuousClock.now - started < Self.formMax else {
                        let log = "\(member.dataDirectory)/lab.log"
                        throw CommandFailure.failed("Node \(member.number) does not see the others; its log is \(log).")
                    }
                    try await Task.sleep(for: Self.lookInterval)
                }
            }
        }
    }

    private func present() async throws {
        let servesRedis = members.contains(where: \.servesRedis)
        var table = Table([.init("NODE"), .init("URL")] + (servesRedis ? [.init("REDIS")] : []) + [.init("IDENTITY"), .init("DATA")])
        for member in members {
            let redis = servesRedis ? [member.redis ?? "-"] : []
            table.add([member.name, member.url] + redis + [String((member.id?.description ?? "").prefix(12)), member.dataDirectory])
        }
        try console.print(table.rendered(style: console.outputStyle))
        let way = console.inputIsTerminal ? "type them here, or write" : "write"
        console.note(
            """
            Use a node:  brume list --data-dir \(members[0].dataDirectory)
            Orders:      \(way) lines to \(root.appending("control")); 'help' lists them
            """)
    }

    /// Runs a command beside the cluster.
    private func shell(_ command: String) async throws -> Int32 {
        var words: [Environment.Key: String?] = ["BRUME_LAB": root.string, "BRUME_LAB_NODES": "\(members.count)"]
        for member in members {
            words[Environment.Key(stringLiteral: "BRUME_NODE_\(member.number)")] = member.url
            words[Environment.Key(stringLiteral: "BRUME_DATA_\(member.number)")] = member.dataDirectory
            if let redis = member.redis { words[Environment.Key(stringLiteral: "BRUME_REDIS_\(member.number)")] = "redis://\(redis)" }
        }
        var platform = PlatformOptions()
        platform.teardownSequence = [.gracefulShutDown(allowedDurationToNextStep: .seconds(5))]
        let result = try await Subprocess.run(
            .path("/bin/sh"), arguments: ["-c", command], environment: .inherit.updating(words), platformOptions: platform, input: .none,
            output: .fileDescriptor(.standardOutput, closeAfterSpawningProcess: false),
            error: .fileDescriptor(.standardError, closeAfterSpawningProcess: false))
        switch result.terminationStatus {
        case .exited(let code): return code
        case .signaled(let signal): return 128 + signal
        }
    }

    /// Lines that programs write into a named pipe and, if it `reads` them, lines that people type; ends where a terminal or a program's
    /// pipe does.
    private static func lines(control: String, reads: Bool) -> (AsyncStream<String>, AsyncStream<String>.Continuation) {
        let (lines, input) = AsyncStream.makeStream(of: String.self, bufferingPolicy: .bufferingOldest(linesMax))
        _ = unsafe unlink(control)
        // Opened for both directions, so that it never ends between two writers. Its thread ends with the program.
        if unsafe mkfifo(control, 0o600) == 0, let pipe = try? Descriptor.open(FilePath(control), .readWrite) {
            read(from: pipe) { input.yield($0) }
        }
        guard reads else { return (lines, input) }
        let isTyped = isatty(STDIN_FILENO) == 1
        read(from: .standardInput) {
            input.yield($0)
        } orElse: { hasRead in
            if hasRead || isTyped { input.finish() }
        }
        return (lines, input)
    }

    private static func read(
        from file: Descriptor, _ take: @escaping @Sendable (String) -> Void, orElse end: @escaping @Sendable (Bool) -> Void = { _ in }
    ) {
        NIOThreadPool.singleton.submit { _ in
            var line: [UInt8] = []
            var hasRead = false
            while let byte = next(file) {
                hasRead = true
                guard byte == UInt8(ascii: "\n") || line.count >= lineBytesMax else {
                    line.append(byte)
                    continue
                }
                take(String(decoding: line, as: UTF8.self))
                line = []
            }
            if !line.isEmpty { take(String(decoding: line, as: UTF8.self)) }
            end(hasRead)
        }
    }

    /// One byte, for people type slowly; nil at the end.
    private static func next(_ file: Descriptor) -> UInt8? {
        var byte: UInt8 = 0
        let count = unsafe withUnsafeMutableBytes(of: &byte) { unsafe try? file.read(into: $0) }
        return count == 1 ? byte : nil
    }
}

/// The network of a running lab, and what is done to its nodes.
private struct Field {
    let cluster: LabCluster
    var network: LabNetwork
    let life: Descriptor
    private let console = Console.standard

    init(cluster: LabCluster, network: LabNetwork, life: Descriptor) {
        self.cluster = cluster
        self.network = network
        self.life = life
    }

    mutating func carryOut(_ order: LabOrder, _ group: inout ThrowingTaskGroup<Int32?, any Error>) async throws {
        switch order {
        case .status: try await status()
        case .partition(let groups):
            network.groups = groups
            try await apply()
            console.note("Parted: \(groups.map { $0.map(String.init).joined(separator: ",") }.joined(separator: " | "))")
        case .heal:
            network.groups = []
            try await apply()
            console.note("Whole again.")
        case .network(let changed):
            network = changed
            try await apply()
            console.note("The network is changed.")
        case .kill(let number), .stop(let number):
            let member = cluster.members[number - 1]
            if case .kill = order { member.signal(SIGKILL) } else { member.signal(SIGTERM) }
            try await member.ended()
            console.note("Node \(number) has ended.")
        case .start(let number):
            let member = cluster.members[number - 1]
            guard !member.isRunning else { throw CommandFailure.words("Node \(number) runs.") }
            cluster.launch(member, [], [:], life, &group)
            _ = try await member.address()
            try await apply()
            console.note("Node \(number) runs at \(member.url).")
        case .wait(let time): try await Task.sleep(for: time)
        case .help: console.note(LabOrder.helpText)
        case .exit: break
        }
    }

    /// Tells every running node how its links behave.
    func apply() async throws {
        var ids: [Int: NodeID] = [:]
        for member in cluster.members { ids[member.number] = member.id }
        for member in cluster.members where member.isRunning {
            let wish = network.wish(for: member.number, ids: ids)
            try await NodeClient.with(try await member.address()) { try await $0.emulateNetwork(wish) }
        }
    }

    private func status() async throws {
        var table = Table([.init("NODE"), .init("URL"), .init("PROCESS"), .init("SEES")])
        for member in cluster.members {
            guard member.isRunning else {
                table.add([member.name, member.url, "ended"])
                continue
            }
            let report = try await NodeClient.with(try await member.address()) { try await $0.cluster() }
            let seen = report.nodes.filter { !$0.isSelf }.sorted { $0.name < $1.name }
                .map { "\($0.name) \($0.status)\($0.isDraining ? " drains" : "")" }
            table.add([member.name, member.url, "runs", seen.joined(separator: ", ")])
        }
        try console.print(table.rendered(style: console.outputStyle))
    }
}
