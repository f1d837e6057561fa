// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import FoundationEssentials
import Glibc
import Subprocess
import SystemPackage

/// A node for one policy: this program's own `brume up` on a free loopback port.
struct LabNode {
    /// Longest time until it listens.
    private static let startMax = Duration.seconds(60)
    /// It lets calls end and stops its replicas; past this it is killed.
    private static let stopMax = Duration.seconds(30)
    private static let lookInterval = Duration.milliseconds(50)
    /// The end of its log, for the sentence when it does not start.
    private static let logCharactersMax = 600

    let dataDirectory: String
    let capacity: Resources

    /// Runs `body` while the node runs, and ends the node whatever happens.
    ///
    /// - Throws: `CommandFailure` with the node's own words if it does not start; what `body` throws.
    func during<Value: Sendable>(_ policy: LabPolicy, _ body: (NodeAddress) async throws -> Value) async throws -> Value {
        let program = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let log = FilePath(dataDirectory).appending("lab.log")
        let words =
            [
                "up", "--port", "0", "--unlisted", "--data-dir", dataDirectory, "--cpu", "\(capacity.millicores)m", "--memory",
                "\(capacity.memoryBytes)",
            ]
            + policy.options
        let output = try Descriptor.open(log, .writeOnly, options: [.create, .truncate], permissions: [.ownerReadWrite])
        let file = FilePath(dataDirectory).appending(NodeFile.name).string
        try? FileManager.default.removeItem(atPath: file)
        var options = PlatformOptions()
        // A Ctrl-C is this program's: it ends the node when it has stopped calling it.
        options.processGroupID = 0
        let ending: [TeardownStep] = [.gracefulShutDown(allowedDurationToNextStep: Self.stopMax)]
        do {
            let result = try await Subprocess.run(
                .path(FilePath(program)), arguments: Arguments(words), platformOptions: options, input: .none,
                output: .fileDescriptor(output, closeAfterSpawningProcess: false),
                error: .fileDescriptor(output, closeAfterSpawningProcess: false)
            ) { execution in
                let value: Result<Value, any Error>
                do {
                    let address = try await Self.address(file, of: execution.processIdentifier.value, log: log.string, in: dataDirectory)
                    value = .success(try await body(address))
                } catch {
                    value = .failure(error)
                }
                await execution.teardown(using: ending)
                return value
            }
            try output.close()
            return try result.closureResult.get()
        } catch {
            try? output.close()
            throw error
        }
    }

    /// Waits until it listens.
    private static func address(_ file: String, of pid: pid_t, log: String, in directory: String) async throws -> NodeAddress {
        let started = ContinuousClock.now
        while NodeFile(path: file) == nil {
            var status = unsafe siginfo_t()
            // Looks without taking the process away from its owner.
            let isGone = unsafe waitid(P_PID, id_t(pid), &status, WEXITED | WNOHANG | WNOWAIT) == 0 && status.si_signo != 0
            guard !isGone, ContinuousClock.now - started < startMax else {
                let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
                let said = text.suffix(logCharactersMax).split(separator: "\n").last.map(String.init) ?? "it said nothing"
                throw CommandFailure.failed("The node of the experiment did not start: \(said)")
            }
            try await Task.sleep(for: lookInterval)
        }
        return try NodeSearch(environment: [:]).find(NodeSearch.Wishes(dataDirectory: directory))
    }
}
