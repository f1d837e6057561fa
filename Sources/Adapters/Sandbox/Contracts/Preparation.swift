// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import FoundationEssentials
import Glibc
import NIOPosix
import Subprocess
import SystemPackage

/// Makes one function's files ready: unpacked, checked, with its requirements.
struct Preparation {
    let settings: ContractChannels.Settings
    let spec: FunctionSpec
    private let store: CodeStore
    private let tools: PackageTools

    init(settings: ContractChannels.Settings, spec: FunctionSpec) {
        self.settings = settings
        self.spec = spec
        store = CodeStore(root: settings.codeRoot)
        tools = PackageTools(settings: settings, function: spec.id)
    }

    func run(bundle: String?) async throws {
        if case .handler(let language, _) = spec.contract { try await publishShims(language) }
        guard case .bundle(let digest) = spec.package else {
            guard case .handler = spec.contract, spec.package == .none else { return }
            throw BrumeError(.invalid, "The handler contract needs the handler's file; deploy it with --handler FILE.")
        }
        let isDigest = digest.utf8.count == 64 && digest.utf8.allSatisfy { Character(UnicodeScalar($0)).isHexDigit }
        guard isDigest else { throw BrumeError(.invalid, "'\(digest.prefix(80))' is not the SHA-256 of a bundle.") }
        let final = store.function(digest)
        if CodeStore.exists(final) {
            try await check(final)
            if case .handler(.python, _) = spec.contract { try await usePackages(of: final, digest: digest) }
            return
        }
        guard let bundle else { throw BrumeError(.notFound, "The code of \(spec.id) is not on this node; deploy it again.") }
        let staged = try store.makeStage()
        do {
            let extractor = TarExtractor(bytesMax: settings.limits.bundleBytesMax, entriesMax: settings.limits.bundleEntriesMax)
            try await NIOThreadPool.singleton.runIfActive { try extractor.extract(bundle, into: staged) }
            try await check(staged)
            switch spec.contract {
            case .handler(.python, _):
                try await usePackages(of: staged, digest: digest)
                await tools.compile(staged, as: Inside.functionDirectory)
            case .handler(.node, _):
                try await tools.installNode(staged)
            case .fork, .http, .lambda:
                break
            }
            CodeStore.give(staged, to: 0)
            try CodeStore.publish(staged, as: final)
        } catch {
            CodeStore.remove(staged)
            throw error
        }
    }

    /// What can be known to fail before the first call.
    private func check(_ directory: String) async throws {
        switch spec.contract {
        case .handler(let language, let file):
            try requireFile(file, in: directory, word: "--handler")
            try await tools.checkSyntax(language, "\(directory)/\(file)", shownAs: file)
        case .lambda(let executable):
            let path = executable.hasPrefix("/") ? String(executable.dropFirst()) : executable
            try requireFile(path, in: directory, word: "--lambda")
            guard unsafe access("\(directory)/\(path)", X_OK) == 0 else {
                throw BrumeError(.invalid, "'\(executable)' is not executable; set its mode (chmod +x) and deploy again.")
            }
        case .fork, .http: break
        }
    }

    private func requireFile(_ file: String, in directory: String, word: String) throws(BrumeError) {
        guard !CodeStore.exists("\(directory)/\(file)") else { return }
        var names = ((try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []).sorted()
        let more = names.count > 10 ? " and \(names.count - 10) more" : ""
        names = Array(names.prefix(10))
        throw BrumeError(
            .invalid,
            "The package has no file '\(file)'; it holds \(names.joined(separator: ", "))\(more). Name the right one with \(word).")
    }

    private func usePackages(of directory: String, digest: String) async throws {
        guard let list = CodeStore.content("\(directory)/requirements.txt"), Self.namesAnything(list) else { return }
        let version = CodeStore.linkTarget(PackageTools.python) ?? "python3"
        let content = list + Array("\n# \(version)\n".utf8)
        let key = CodeStore.key(content)
        let final = store.packagesDirectory(key)
        if CodeStore.content("\(final)/.requirements") != content {
            CodeStore.remove(final)
            let staged = try store.makeStage()
            do {
                try await tools.installPython("\(directory)/requirements.txt", into: staged)
                try CodeStore.write(content, to: "\(staged)/.requirements")
                CodeStore.give(staged, to: 0)
                try CodeStore.publish(staged, as: final)
            } catch {
                CodeStore.remove(staged)
                throw error
            }
        }
        try CodeStore.makeDirectory("\(store.root)/uses")
        unsafe unlink(store.use(digest))
        guard unsafe symlink(key, store.use(digest)) == 0 || errno == EEXIST else {
            throw BrumeError(.failed, "The node could not write to \(store.root)/uses.")
        }
    }

    /// Whether a requirements list holds more than comments.
    private static func namesAnything(_ list: [UInt8]) -> Bool {
        list.split(separator: UInt8(ascii: "\n")).contains { line in
            guard let first = line.first(where: { $0 > 0x20 }) else { return false }
            return first != UInt8(ascii: "#")
        }
    }

    private func publishShims(_ language: Contract.Language) async throws {
        let final = store.shims
        guard !CodeStore.exists(final) else { return }
        let staged = try store.makeStage()
        try CodeStore.write(Shims.python, to: "\(staged)/handler.py")
        try CodeStore.write(Shims.node, to: "\(staged)/handler.mjs")
        try CodeStore.write(Shims.state, to: "\(staged)/brume.py")
        await tools.compileShim("\(staged)/handler.py", to: "\(staged)/handler.pyc")
        CodeStore.give(staged, to: 0)
        try CodeStore.publish(staged, as: final)
    }
}
