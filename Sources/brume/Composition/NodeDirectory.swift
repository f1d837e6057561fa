// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import FoundationEssentials
import Glibc
import SystemPackage

/// The data directory of a node: made at the first start, with credentials that the command line on this machine finds.
struct NodeDirectory {
    let path: FilePath

    /// Makes what is missing; readable by its owner only.
    ///
    /// - Throws: `BrumeError` (`permission`) with the path and what to do.
    init(making text: String) throws(BrumeError) {
        let absolute = text.hasPrefix("/") ? text : FileManager.default.currentDirectoryPath + "/" + text
        path = FilePath(absolute).lexicallyNormalized()
        for folder in [path, path.appending(Credentials.folder)] {
            do {
                try FileManager.default.createDirectory(atPath: folder.string, withIntermediateDirectories: true)
            } catch {
                throw BrumeError(
                    .permission, "The data directory \(folder) cannot be made; give one you may write to with --data-dir.", cause: error)
            }
        }
        // Sandboxes run as other users and must reach their packages inside, so the directory itself may be passed through.
        _ = unsafe chmod(path.string, 0o711)
        _ = unsafe chmod(path.appending(Credentials.folder).string, 0o700)
    }

    /// Reads the credentials, making them at the first start.
    func credentials() throws(BrumeError) -> (user: String, password: String) {
        if let kept = Credentials(dataDirectory: path.string) { return (kept.user, kept.password) }
        let user = Credentials.defaultUser
        let password = Self.randomPassword()
        try write(user, to: Credentials.userFile)
        try write(password, to: Credentials.passwordFile)
        return (user, password)
    }

    /// 192 random bits in the alphabet that needs no escaping anywhere.
    private static func randomPassword() -> String {
        let alphabet = Array("abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789_-")
        var generator = SystemRandomNumberGenerator()
        return String((0..<33).compactMap { _ in alphabet.randomElement(using: &generator) })
    }

    private func write(_ text: String, to name: String) throws(BrumeError) {
        let file = path.appending(Credentials.folder).appending(name)
        do {
            let descriptor = try FileDescriptor.open(
                file, .writeOnly, options: [.create, .truncate], permissions: [.ownerRead, .ownerWrite])
            try descriptor.closeAfter { _ = try descriptor.writeAll(Array((text + "\n").utf8)) }
        } catch {
            throw BrumeError(
                .permission, "The credentials cannot be written to \(file); check the owner of the data directory.", cause: error)
        }
    }

    /// Tells clients on this machine where the node listens. The registry of the machine is written where that is allowed.
    ///
    /// - Parameters:
    ///   - isListed: whether the machine's registry leads here; one of several nodes on a machine better stays out of it.
    ///   - redis: where Redis clients are served over TCP.
    func announce(host: String, port: Int, redis: String?, isListed: Bool) throws {
        let file = NodeFile(pid: getpid(), address: host, port: port, dataDirectory: path.string, redis: redis)
        try file.write(to: nodeFilePath)
        guard isListed else { return }
        try? FileManager.default.createDirectory(
            atPath: FilePath(NodeFile.registryPath).removingLastComponent().string, withIntermediateDirectories: true)
        try? file.write(to: NodeFile.registryPath)
    }

    /// Takes the announcement back, unless another node has replaced it.
    func withdraw() {
        for path in [nodeFilePath, NodeFile.registryPath] where NodeFile(path: path)?.pid == getpid() {
            _ = unsafe unlink(path)
        }
    }

    private var nodeFilePath: String { path.appending(NodeFile.name).string }
}
