// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import FoundationEssentials

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// The folder of a node's keys, certificates and tokens: `DATA/identity`, readable by its owner alone.
///
/// Each file is replaced as a whole: after a crash there is the old text or the new one, never a mixture.
struct IdentityFiles: Sendable {
    /// No file here is longer: ten thousand revocations fit.
    private static let bytesMax = 4 << 20

    let path: String
    /// The node's data directory, which it lies in.
    let directory: String

    /// Makes the folder where it is missing.
    ///
    /// - Throws: `BrumeError` (`permission`) if it cannot be made.
    init(directory: String) throws(BrumeError) {
        path = directory + "/identity"
        self.directory = directory
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw BrumeError(.permission, "The directory \(path) cannot be made; check the path and its owner.", cause: error)
        }
    }

    /// The content of a file, or nil where there is none.
    ///
    /// - Throws: `BrumeError`: `permission` if it cannot be read, `corrupt` if it is longer than any of ours.
    func read(_ name: String) throws(BrumeError) -> [UInt8]? {
        let file = "\(path)/\(name)"
        let descriptor = unsafe open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw failure("read", file)
        }
        defer { close(descriptor) }
        var content: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let count = unsafe Glibc.read(descriptor, &block, block.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw failure("read", file) }
            if count == 0 { return content }
            content += block[..<count]
            guard content.count <= Self.bytesMax else {
                throw BrumeError(.corrupt, "\(file) is longer than any file of this folder; restore it from a backup or remove it.")
            }
        }
    }

    /// Replaces a file's content; only its owner may read it.
    ///
    /// - Throws: `BrumeError` (`permission`) if the file cannot be written or synced.
    func write(_ content: [UInt8], to name: String) throws(BrumeError) {
        let file = "\(path)/\(name)"
        let draft = "\(file).new"
        let descriptor = unsafe open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure("write", draft) }
        var rest = content[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else {
                let error = failure("write", draft)
                close(descriptor)
                throw error
            }
            rest = rest.dropFirst(count)
        }
        let synced = fsync(descriptor) == 0
        close(descriptor)
        guard synced, unsafe rename(draft, file) == 0 else { throw failure("write", file) }
        let folder = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw failure("open", path) }
        fsync(folder)
        close(folder)
    }

    /// Removes a file; one that is not there is no error.
    func remove(_ name: String) throws(BrumeError) {
        let file = "\(path)/\(name)"
        guard unsafe unlink(file) == 0 || errno == ENOENT else { throw failure("remove", file) }
    }

    private func failure(_ verb: String, _ file: String) -> BrumeError {
        let reason = unsafe String(cString: strerror(errno))
        return BrumeError(.permission, "Brume could not \(verb) \(file): \(reason). Check the path and its owner.")
    }
}
