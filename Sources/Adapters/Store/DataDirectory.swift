// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import FoundationEssentials
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// A node's directory on disk, held by one process at a time.
///
/// The lock is a `flock` on `DIR/lock`: it ends with the process, however that ends.
final class DataDirectory: Sendable {
    let path: String
    private let lockDescriptor: Mutex<Int32?>

    var databasePath: String { path + "/brume.sqlite" }
    var codePath: String { path + "/code" }

    /// Creates the directory where it is missing, and takes its lock.
    ///
    /// - Throws: `BrumeError`: `conflict` if another node holds it, `invalid` if it is a file, `permission` if it cannot be written.
    init(path: String) throws(BrumeError) {
        self.path = path
        try Self.create(path)
        let lockPath = path + "/lock"
        let descriptor = unsafe open(lockPath, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw StoreFailure.system("Opening", lockPath) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let number = errno
            let holder = Self.holder(descriptor)
            close(descriptor)
            guard number == EWOULDBLOCK else { throw StoreFailure.system("Locking", lockPath, number: number) }
            throw BrumeError(
                .conflict, "Another Brume node\(holder) is using \(path); stop it first, or give this node a data directory of its own.")
        }
        lockDescriptor = Mutex(descriptor)
        ftruncate(descriptor, 0)
        var text = Array("\(getpid())\n".utf8)
        _ = unsafe pwrite(descriptor, &text, text.count, 0)
    }

    deinit { release() }

    /// Gives the lock back, so that another store may open the directory.
    func release() {
        lockDescriptor.withLock { descriptor in
            guard let open = descriptor.take() else { return }
            // Closing alone is not enough: a child between its fork and its exec still has the descriptor, and the lock with it.
            flock(open, LOCK_UN)
            close(open)
        }
    }

    /// Makes an empty database file that only its owner reads, or takes that right from others on an existing one.
    func prepareDatabaseFile() throws(BrumeError) {
        let descriptor = unsafe open(databasePath, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw StoreFailure.system("Opening", databasePath) }
        defer { close(descriptor) }
        guard fchmod(descriptor, 0o600) == 0 else { throw StoreFailure.system("Setting the permissions of", databasePath) }
    }

    /// The size of the database file in bytes, or nil where there is none.
    var databaseSize: Int? {
        var status = stat()
        guard unsafe stat(databasePath, &status) == 0 else { return nil }
        return Int(status.st_size)
    }

    /// Whether a node has started here before: it makes the code directory once its database is complete.
    var wasUsed: Bool {
        unsafe access(codePath, F_OK) == 0
    }

    static func create(_ path: String) throws(BrumeError) {
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            var status = stat()
            if unsafe stat(path, &status) == 0, status.st_mode & S_IFMT != S_IFDIR {
                throw BrumeError(.invalid, "\(path) is a file; give a directory for the node's data.", cause: error)
            }
            throw BrumeError(.permission, "The data directory \(path) cannot be made; check the path and its owner.", cause: error)
        }
    }

    /// ` (process 4711)` if the lock's holder wrote its number, else nothing.
    private static func holder(_ descriptor: Int32) -> String {
        var bytes = [UInt8](repeating: 0, count: 32)
        let count = unsafe pread(descriptor, &bytes, bytes.count, 0)
        let text = String(decoding: bytes.prefix(max(0, count)).prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
        guard let number = Int32(text) else { return "" }
        return " (process \(number))"
    }
}
