// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import FoundationEssentials
import NIOCore
import Subprocess
import SystemPackage

/// A function ready to be sent: the request, and the archive to upload first.
struct DeploymentPlan {
    /// Where a package is unpacked in the sandbox.
    static let packageRoot = "/function"
    /// Dependency lists that go along with a handler file, from the folder it lies in.
    private static let dependencyFiles = ["requirements.txt", "package.json", "package-lock.json"]
    /// Programs under these belong to the node, not to the package.
    private static let systemFolders = ["/usr/", "/bin/", "/sbin/", "/lib/", "/lib64/", "/etc/", "/opt/", "/function/"]

    var deployment: FunctionDeployment
    /// The package, or nil where there is none.
    var archive: ByteBuffer?
    /// Names inside the package, for a person who wants to know.
    var packed: [String] = []

    /// Checks the settings and packs the files.
    ///
    /// - Throws: `CommandFailure` or `BrumeError` (`invalid`) with the sentence.
    init(_ settings: FunctionSettings) async throws {
        try settings.validate()
        deployment = settings.deployment()
        var bundle = Bundle()
        if case .image = settings.source, settings.directory != nil {
            throw CommandFailure.words("An image brings its own files; leave out --directory.")
        }
        if let directory = settings.directory { try bundle.add(directory: directory) }
        switch settings.source {
        case .handler(let path): try addHandler(path, directory: settings.directory, to: &bundle)
        case .command(let line):
            deployment.annotate(Annotation.contract, "fork")
            deployment.envProcess = try Self.addProgram(of: line, directory: settings.directory, to: &bundle)
        case .http(let line):
            deployment.annotate(Annotation.contract, "http")
            deployment.envProcess = try Self.addProgram(of: line, directory: settings.directory, to: &bundle)
        case .lambda(let path):
            try await addLambda(path, to: &bundle)
            return
        case .image(let reference, let command):
            deployment.image = reference
            deployment.envProcess = command
            return
        }
        try seal(bundle)
    }

    private mutating func seal(_ bundle: Bundle) throws(CommandFailure) {
        packed = bundle.names
        guard !bundle.isEmpty else {
            deployment.image = ImageWord.none
            return
        }
        archive = try bundle.archive()
    }

    /// Names the uploaded package in the request.
    mutating func uploaded(as digest: String) { deployment.image = ImageWord.bundlePrefix + digest }

    // MARK: Handler

    private mutating func addHandler(_ path: String, directory: String?, to bundle: inout Bundle) throws(CommandFailure) {
        let name = FilePath(path).lastComponent?.string ?? path
        guard Self.isHandlerName(name) else {
            throw .words("The handler file \(path) is neither Python nor Node; its name must end in .py, .js, .mjs or .cjs.")
        }
        let inside = directory.flatMap { Self.relative(path, in: $0) }
        if let inside, bundle.contains(inside) {
            deployment.annotate(Annotation.handler, inside)
        } else {
            guard Bundle.exists(path) else { throw .words("There is no handler file \(path).") }
            try bundle.add(file: path, as: name, isExecutable: false)
            deployment.annotate(Annotation.handler, name)
            let folder = FilePath(path).removingLastComponent()
            for file in Self.dependencyFiles where !bundle.contains(file) {
                let beside = folder.appending(file).string
                if Bundle.exists(beside) { try bundle.add(file: beside, as: file, isExecutable: false) }
            }
        }
        deployment.annotate(Annotation.contract, "handler")
    }

    static func isHandlerName(_ name: String) -> Bool { [".py", ".js", ".mjs", ".cjs"].contains { name.hasSuffix($0) } }

    /// The path inside a directory: seen from where the command was given, or from the directory itself.
    private static func relative(_ path: String, in directory: String) -> String? {
        var full = absolute(path)
        if full.removePrefix(absolute(directory)) { return full.string }
        let below = FilePath(directory).appending(path)
        return path.hasPrefix("/") || !Bundle.exists(below.string) ? nil : FilePath(path).lexicallyNormalized().string
    }

    private static func absolute(_ path: String) -> FilePath {
        FilePath(FileManager.default.currentDirectoryPath).pushing(FilePath(path)).lexicallyNormalized()
    }

    // MARK: Programs

    /// Packs the program that a command line begins with, where it is a local file, and returns the line as the sandbox must see it.
    private static func addProgram(of line: String, directory: String?, to bundle: inout Bundle) throws -> String {
        var words = try ShellWords.split(line)
        guard let program = words.first, program.contains("/"), !systemFolders.contains(where: { program.hasPrefix($0) }) else {
            return line
        }
        if let directory, let inside = relative(program, in: directory), bundle.contains(inside) {
            words[0] = "\(packageRoot)/\(inside)"
            return ShellWords.join(words)
        }
        guard Bundle.exists(program) else { throw CommandFailure.words("There is no program \(program).") }
        guard FileManager.default.isExecutableFile(atPath: program), !Bundle.isDirectory(program) else {
            throw CommandFailure.words("The file \(program) is not executable; make it so with: chmod +x \(program)")
        }
        let name = FilePath(program).lastComponent?.string ?? program
        try bundle.add(file: program, as: name, isExecutable: true)
        words[0] = "\(packageRoot)/\(name)"
        return ShellWords.join(words)
    }

    // MARK: Lambda

    private mutating func addLambda(_ path: String, to bundle: inout Bundle) async throws {
        guard Bundle.exists(path) else { throw CommandFailure.words("There is no Lambda program \(path).") }
        deployment.annotate(Annotation.contract, "lambda")
        if Bundle.isDirectory(path) {
            try addLambdaFolder(path, called: path, to: &bundle)
        } else if try ZipArchive.isOne(path) {
            let folder = try await ZipArchive.extract(path)
            defer { try? FileManager.default.removeItem(atPath: folder) }
            try addLambdaFolder(folder, called: path, to: &bundle)
            return try seal(bundle)
        } else {
            guard FileManager.default.isExecutableFile(atPath: path) else {
                throw CommandFailure.words("The file \(path) is not executable; make it so with: chmod +x \(path)")
            }
            let name = FilePath(path).lastComponent?.string ?? path
            try bundle.add(file: path, as: name, isExecutable: true)
            deployment.annotate(Annotation.executable, name)
        }
        try seal(bundle)
    }

    private mutating func addLambdaFolder(_ folder: String, called path: String, to bundle: inout Bundle) throws(CommandFailure) {
        let program = FilePath(folder).appending(ZipArchive.lambdaProgram).string
        guard Bundle.exists(program) else {
            throw .words("\(path) holds no program '\(ZipArchive.lambdaProgram)', which the Lambda contract starts.")
        }
        try bundle.add(directory: folder)
        try bundle.add(file: program, as: ZipArchive.lambdaProgram, isExecutable: true)
        deployment.annotate(Annotation.executable, ZipArchive.lambdaProgram)
    }
}

/// A zip archive, as Lambda deployments use it. The node takes tar only, so it is unpacked here.
enum ZipArchive {
    static let lambdaProgram = "bootstrap"
    private static let magic: [UInt8] = [0x50, 0x4B, 0x03, 0x04]
    private static let toolOutputBytesMax = 64 << 10
    /// Programs that unpack a zip archive into a directory, first come first served.
    private static func tools(_ path: String, into folder: String) -> [(name: String, arguments: [String])] {
        [
            ("unzip", ["-q", "-o", path, "-d", folder]),
            ("bsdtar", ["-x", "-f", path, "-C", folder]),
            ("python3", ["-m", "zipfile", "-e", path, folder]),
        ]
    }

    static func isOne(_ path: String) throws(CommandFailure) -> Bool {
        do {
            let descriptor = try Descriptor.open(FilePath(path), .readOnly)
            return try descriptor.closeAfter {
                let buffer = try readMagic(descriptor)
                return buffer == magic
            }
        } catch {
            throw .words("\(path) cannot be read: \(error).")
        }
    }

    private static func readMagic(_ descriptor: Descriptor) throws -> [UInt8] {
        try unsafe withUnsafeTemporaryAllocation(byteCount: magic.count, alignment: 1) { buffer in
            let count = try unsafe descriptor.read(into: buffer)
            return unsafe Array(buffer.prefix(count))
        }
    }

    /// Unpacks into a new temporary directory, which the caller removes.
    static func extract(_ path: String) async throws -> String {
        let folder = FileManager.default.temporaryDirectory.appending(path: "brume-zip-\(UUID().uuidString)").path()
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for tool in tools(path, into: folder) {
            guard let executable = try? await Executable.name(tool.name).resolveExecutablePath(in: .inherit) else { continue }
            let result = try await run(
                .path(executable), arguments: Arguments(tool.arguments), output: .string(limit: toolOutputBytesMax),
                error: .string(limit: toolOutputBytesMax))
            if result.terminationStatus.isSuccess { return folder }
            try? FileManager.default.removeItem(atPath: folder)
            throw CommandFailure.words("\(path) is not a sound zip archive; \(tool.name) could not unpack it.")
        }
        try? FileManager.default.removeItem(atPath: folder)
        throw CommandFailure.failed("Nothing here can unpack \(path); install a program for it with: apt-get install unzip")
    }
}
