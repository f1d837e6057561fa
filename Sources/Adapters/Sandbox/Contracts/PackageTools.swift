// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import FoundationEssentials
import Glibc
import Subprocess
import SystemPackage

/// The outside programs that check and complete a package. They see a bare environment, and run as an unprivileged user where the node is
/// root: a requirement's build script is a stranger's code.
struct PackageTools {
    static let python = "/usr/bin/python3"
    /// Installers' output beyond this is not kept; the end of it says what failed.
    private static let outputMax = 1 << 20

    let settings: ContractChannels.Settings
    let function: FunctionID

    private struct Outcome {
        var succeeded: Bool
        var text: String
    }

    private func run(
        _ program: String, _ arguments: [String], in directory: String, home: String, asUser: Bool = true
    ) async throws(BrumeError) -> Outcome {
        var environment: [Environment.Key: String] = [
            "PATH": Inside.searchPath, "HOME": home, "TMPDIR": home, "LANG": "C.UTF-8",
        ]
        for (name, value) in settings.installEnvironment {
            if let key = Environment.Key(rawValue: name) { environment[key] = value }
        }
        var options = PlatformOptions()
        options.createSession = true
        options.teardownSequence = [.gracefulShutDown(allowedDurationToNextStep: .seconds(1))]
        let tool = program
        var program = program
        var arguments = arguments
        if asUser, geteuid() == 0 {
            // Not by options.userID: the library would call setgroups between fork and exec, where glibc can wait for ever for a thread
            // that the child does not have.
            let user = settings.installUser
            arguments = ["--reuid=\(user)", "--regid=\(user)", "--clear-groups", "--no-new-privs", "--", program] + arguments
            program = "/usr/bin/setpriv"
        }
        let executable: Executable = program.hasPrefix("/") ? .path(FilePath(program)) : .name(program)
        let limit = settings.limits.installTimeout
        do {
            return try await withThrowingTaskGroup(of: Outcome?.self) { [environment, options, arguments] group in
                group.addTask {
                    let result = try await Subprocess.run(
                        executable, arguments: Arguments(arguments), environment: .custom(environment),
                        workingDirectory: FilePath(directory), platformOptions: options, output: .string(limit: Self.outputMax),
                        error: .combinedWithOutput)
                    return Outcome(succeeded: result.terminationStatus.isSuccess, text: result.standardOutput)
                }
                group.addTask {
                    try await Task.sleep(for: limit)
                    return nil
                }
                let first = try await group.next() ?? nil
                group.cancelAll()
                guard let first else { throw BrumeError(.unavailable, "\(tool) did not end within \(limit).") }
                guard first.succeeded || !first.text.hasPrefix("setpriv: failed to execute") else {
                    throw BrumeError(.unsupported, "\(tool) is not installed; install it or put its result into the package.")
                }
                return first
            }
        } catch let error as BrumeError {
            throw error
        } catch {
            throw BrumeError(.unsupported, "\(tool) could not be run; install it or put its result into the package.", cause: error)
        }
    }

    // MARK: Syntax

    /// - Throws: `BrumeError` (`invalid`) with file, line and what is wrong.
    func checkSyntax(_ language: Contract.Language, _ path: String, shownAs name: String) async throws {
        let isReachable = CodeStore.isReachable(path)
        switch language {
        case .python:
            let program = """
                import sys
                try: compile(open(sys.argv[1], 'rb').read(), sys.argv[2], 'exec', dont_inherit=True)
                except SyntaxError as e: print('%s\\t%s\\t%s' % (e.lineno or 1, e.msg, (e.text or '').strip())); sys.exit(3)
                except ValueError as e: print('1\\t%s\\t' % e); sys.exit(3)
                """
            let outcome = try await run(
                Self.python, ["-I", "-S", "-B", "-c", program, path, name], in: "/", home: "/tmp", asUser: isReachable)
            guard !outcome.succeeded else { return }
            let parts = outcome.text.split(separator: "\t", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { throw BrumeError(.invalid, "\(name) could not be checked: \(Self.tail(outcome.text))") }
            let code = parts[2].trimmed
            throw BrumeError(.invalid, "\(name), line \(parts[0]): \(parts[1])\(code.isEmpty ? "." : ": \(code.prefix(120))")")
        case .node:
            let outcome = try await run("node", ["--check", path], in: "/", home: "/tmp", asUser: isReachable)
            guard !outcome.succeeded else { return }
            let lines = outcome.text.split(separator: "\n", omittingEmptySubsequences: false)
            let line = lines.first.flatMap { $0.split(separator: ":").last } ?? "1"
            let why = lines.first { $0.contains("Error:") } ?? "it is not valid JavaScript"
            let code = lines.count > 1 ? lines[1].trimmed : ""
            throw BrumeError(.invalid, "\(name), line \(line): \(why)\(code.isEmpty ? "." : ": \(code.prefix(120))")")
        }
    }

    // MARK: Requirements

    func installPython(_ list: String, into directory: String) async throws {
        try requireReachable(directory)
        let home = directory + "/.home"
        try CodeStore.makeDirectory(home)
        defer { CodeStore.remove(home) }
        CodeStore.give(directory, to: settings.installUser)
        let arguments = [
            "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--no-cache-dir", "--no-warn-script-location",
            "--root-user-action=ignore", "--target", directory, "-r", list,
        ]
        let outcome = try await run(Self.python, arguments, in: directory, home: home)
        report(outcome.text)
        guard !outcome.succeeded else { return }
        if outcome.text.contains("No module named pip") {
            throw BrumeError(
                .unsupported, "requirements.txt needs pip; install it (apt-get install python3-pip) or put the packages into the bundle.")
        }
        throw BrumeError(.invalid, "requirements.txt could not be installed: \(Self.tail(outcome.text))")
    }

    func installNode(_ directory: String) async throws {
        guard CodeStore.exists(directory + "/package.json"), !CodeStore.exists(directory + "/node_modules") else { return }
        guard let content = CodeStore.content(directory + "/package.json"), Self.hasDependencies(content) else { return }
        try requireReachable(directory)
        let home = directory + "/.home"
        try CodeStore.makeDirectory(home)
        defer { CodeStore.remove(home) }
        CodeStore.give(directory, to: settings.installUser)
        let verb = CodeStore.exists(directory + "/package-lock.json") ? "ci" : "install"
        let outcome = try await run(
            "npm", [verb, "--omit=dev", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"], in: directory, home: home)
        report(outcome.text)
        guard outcome.succeeded else {
            throw BrumeError(.invalid, "The dependencies in package.json could not be installed: \(Self.npmReason(outcome.text))")
        }
    }

    private static func hasDependencies(_ content: [UInt8]) -> Bool {
        struct Manifest: Decodable { var dependencies: [String: String]? }
        let manifest = try? JSONDecoder().decode(Manifest.self, from: Data(content))
        return manifest?.dependencies?.isEmpty == false
    }

    private func requireReachable(_ directory: String) throws(BrumeError) {
        guard geteuid() == 0, !CodeStore.isReachable(directory) else { return }
        throw BrumeError(
            .permission,
            "Requirements are installed as an unprivileged user, who cannot reach \(directory); "
                + "use a data directory whose parents are open (chmod o+x)."
        )
    }

    // MARK: Byte code

    /// Writes byte code beside every Python file, so that no start has to. Best effort: a file that does not compile may never be imported.
    func compile(_ directory: String, as inside: String) async {
        CodeStore.give(directory, to: settings.installUser)
        _ = try? await run(
            Self.python,
            ["-I", "-m", "compileall", "-q", "-q", "--invalidation-mode", "unchecked-hash", "-s", directory, "-p", inside, directory],
            in: "/", home: "/tmp", asUser: CodeStore.isReachable(directory))
    }

    func compileShim(_ source: String, to target: String) async {
        let program = """
            import py_compile, sys
            mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
            py_compile.compile(sys.argv[1], sys.argv[2], 'brume-handler', doraise=True, optimize=2, invalidation_mode=mode)
            """
        _ = try? await run(Self.python, ["-I", "-c", program, source, target], in: "/", home: "/tmp", asUser: false)
    }

    // MARK: Words

    private func report(_ text: String) {
        for line in text.split(separator: "\n") where !line.trimmed.isEmpty { settings.log(function, String(line)) }
    }

    /// What npm says went wrong: its first sentences, without the codes before them and the advice after them.
    private static func npmReason(_ text: String) -> String {
        let prefixes = ["npm error ", "npm ERR! "]
        let codes = ["code ", "syscall ", "path ", "errno ", "404 ", "enoent "]
        let sentences = text.split(separator: "\n").compactMap { line -> String? in
            guard let prefix = prefixes.first(where: { line.hasPrefix($0) }) else { return nil }
            var rest = line.dropFirst(prefix.count)
            guard !["code ", "syscall ", "path ", "errno ", "A complete log"].contains(where: { rest.hasPrefix($0) }) else { return nil }
            if let code = codes.first(where: { rest.hasPrefix($0) }) { rest = rest.dropFirst(code.count) }
            let sentence = rest.trimmed
            return sentence.contains(" ") ? sentence : nil
        }
        return sentences.isEmpty ? tail(text) : sentences.prefix(2).joined(separator: " / ")
    }

    /// The last lines, where installers say what went wrong.
    private static func tail(_ text: String) -> String {
        let lines = text.split(separator: "\n").filter { !$0.trimmed.isEmpty }
        return lines.suffix(3).map(\.trimmed).joined(separator: " / ")
    }
}

extension Substring {
    fileprivate var trimmed: String {
        let isBlank: (Character) -> Bool = { $0.isWhitespace }
        return String(drop(while: isBlank).reversed().drop(while: isBlank).reversed())
    }
}
