// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import FoundationEssentials
import SystemPackage
import Yams

/// An OpenFaaS stack file: several functions in YAML.
struct StackFile {
    /// A stack of a thousand functions is smaller.
    private static let bytesMax = 4 << 20

    var gateway: String?
    /// In the order of the file.
    var functions: [FunctionSettings] = []
    /// Keys that mean nothing here, for a warning.
    var warnings: [String] = []

    /// Keys that are about building and publishing images, or about clusters; they change nothing here.
    private static let silentlyIgnored: Set<String> = [
        "skip_build", "build_options", "build_args", "build_secrets", "copy", "publish", "platforms", "configuration",
    ]

    /// Reads a file; paths in it are relative to its folder.
    ///
    /// - Throws: `CommandFailure` (words) with a sentence that names the place.
    init(path: String, environment: [String: String], defaultNamespace: String?) throws {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw CommandFailure.words("There is no stack file \(path), or it cannot be read.")
        }
        guard data.count <= Self.bytesMax else { throw CommandFailure.words("The stack file \(path) is too large to be one.") }
        try self.init(
            text: String(decoding: data, as: UTF8.self), name: path, folder: FilePath(path).removingLastComponent().string,
            environment: environment, defaultNamespace: defaultNamespace)
    }

    init(text: String, name: String, folder: String, environment: [String: String], defaultNamespace: String? = nil) throws {
        let substituted = try Substitution.apply(to: text, environment: environment)
        let root = try StackNode(yaml: substituted, file: name)
        var known: Set<String> = ["version", "provider", "functions", "configuration"]
        if let provider = try root.mapping("provider") {
            gateway = try provider.text("gateway")
            if let kind = try provider.text("name"), kind != "openfaas" {
                throw CommandFailure.words("\(name): provider.name is '\(kind)'; a stack file for Brume says 'openfaas'.")
            }
        }
        guard let functions = try root.mapping("functions"), !functions.keys.isEmpty else {
            throw CommandFailure.words("\(name) has no functions; they belong under the key 'functions:'.")
        }
        known.formUnion(root.keys.filter { $0.hasPrefix("x-") })
        warnings = root.keys.filter { !known.contains($0) }.map { "\(name): '\($0)' means nothing here and is ignored" }
        for key in functions.keys {
            guard let node = try functions.mapping(key) else {
                throw CommandFailure.words("\(name): the function '\(key)' has no content; give it at least handler:, image: or fprocess:.")
            }
            var reader = FunctionReader(node: node, folder: folder, defaultNamespace: defaultNamespace)
            do {
                self.functions.append(try reader.read(name: key))
            } catch let error as BrumeError {
                throw CommandFailure.words("\(name): function '\(key)': \(error.message)")
            }
            warnings += reader.unknownKeys.map { "\(name): function '\(key)': '\($0)' means nothing here and is ignored" }
        }
    }

    /// One function of a stack file.
    private struct FunctionReader {
        let node: StackNode
        let folder: String
        let defaultNamespace: String?

        private static let meaningful: Set<String> = [
            "lang", "handler", "image", "fprocess", "environment", "environment_file", "labels", "annotations", "secrets", "limits",
            "requests", "constraints", "readonly_root_filesystem", "namespace",
        ]

        var unknownKeys: [String] {
            node.keys.filter { !Self.meaningful.contains($0) && !StackFile.silentlyIgnored.contains($0) }
        }

        mutating func read(name: String) throws -> FunctionSettings {
            let namespace = try node.text("namespace") ?? defaultNamespace ?? FunctionID.defaultNamespace
            let id = try FunctionID(name: name, namespace: namespace)
            let (source, directory) = try source()
            var settings = FunctionSettings(id: id, source: source, directory: directory)
            settings.environment = try environment()
            settings.labels = try node.pairs("labels")
            settings.annotations = try node.pairs("annotations")
            settings.secrets = try node.list("secrets")
            settings.constraints = try node.list("constraints")
            settings.limits = try resources("limits")
            settings.requests = try resources("requests")
            settings.readOnlyRootFilesystem = try node.truth("readonly_root_filesystem")
            try settings.validate()
            return settings
        }

        private func resources(_ key: String) throws(CommandFailure) -> ResourceWords {
            guard let words = try node.mapping(key) else { return ResourceWords() }
            return ResourceWords(cpu: try words.text("cpu"), memory: try words.text("memory"))
        }

        /// The files' values first, the function's own on top.
        private func environment() throws -> [String: String] {
            var all: [String: String] = [:]
            for file in try node.list("environment_file") {
                let path = resolve(file)
                guard let data = FileManager.default.contents(atPath: path) else {
                    throw CommandFailure.words("\(node.place): there is no environment_file \(path).")
                }
                let content = try StackNode(yaml: String(decoding: data, as: UTF8.self), file: path)
                all.merge(try content.pairs("environment")) { $1 }
            }
            return all.merging(try node.pairs("environment")) { $1 }
        }

        private func source() throws -> (FunctionSource, directory: String?) {
            let language = try node.text("lang")
            let handler = try node.text("handler")
            let image = try node.text("image")
            let command = try node.text("fprocess")
            let isBuiltElsewhere = try node.truth("skip_build") ?? false && image?.isEmpty == false
            let isPacked = !isBuiltElsewhere && (language.map { $0.hasPrefix("python") || $0.hasPrefix("node") } ?? false)
            if let handler, isPacked, let language {
                let path = resolve(handler)
                guard Bundle.exists(path) else { throw CommandFailure.words("\(node.place): there is no handler \(path).") }
                guard Bundle.isDirectory(path) else { return (.handler(path: path), nil) }
                return (.handler(path: try Self.handlerFile(in: path, language: language, place: node.place)), path)
            }
            if isPacked, image == nil {
                throw CommandFailure.words("\(node.place): lang \(language ?? "") needs a handler, for example handler: ./hello.")
            }
            if let image, !image.isEmpty { return (.image(image, command: command), nil) }
            if let language, !language.isEmpty {
                throw CommandFailure.words(
                    "\(node.place): lang \(language) has to be built into an image first; name it with image:, or use python or node."
                )
            }
            guard let command, !command.isEmpty else {
                throw CommandFailure.words("\(node.place): nothing to run; give it handler: with lang:, image: or fprocess:.")
            }
            return (.command(try localCommand(command)), nil)
        }

        /// The command with its program seen from the stack file's folder, where it is a file there.
        private func localCommand(_ line: String) throws(BrumeError) -> String {
            var words = try ShellWords.split(line)
            guard let program = words.first, program.contains("/"), Bundle.exists(resolve(program)) else { return line }
            words[0] = resolve(program)
            return ShellWords.join(words)
        }

        /// The file that the OpenFaaS templates call the handler.
        private static func handlerFile(in folder: String, language: String, place: String) throws(CommandFailure) -> String {
            let names = language.hasPrefix("python") ? ["handler.py"] : ["handler.js", "handler.mjs", "handler.cjs", "index.js"]
            for name in names {
                let path = FilePath(folder).appending(name).string
                if Bundle.exists(path) { return path }
            }
            throw .words("\(place): the handler directory \(folder) has no \(names[0]).")
        }

        private func resolve(_ path: String) -> String {
            path.hasPrefix("/") || folder.isEmpty ? path : FilePath(folder).pushing(FilePath(path)).lexicallyNormalized().string
        }
    }
}
