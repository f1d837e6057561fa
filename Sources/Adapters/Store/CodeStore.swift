// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import Crypto
import Dispatch
import FoundationEssentials
import NIOCore
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Packages as files named after the SHA-256 of their bytes: `DIR/code/DIGEST.tar`.
///
/// A file appears under its name only when its bytes are on disk, and its bytes are checked against the name before it is given out.
final class CodeStore: Sendable {
    /// Digests remembered as checked in this run; past it a file is simply read again.
    static let verifiedMax = 10_000

    private let path: String
    /// Blocking file work happens here, one piece at a time, and never on the cooperative pool.
    private let queue = DispatchQueue(label: "brume.store.code")
    private let verified = Mutex<Set<String>>([])
    /// When packages were put in this run, on a clock that does not jump. Bounded like ``verifiedMax``.
    private let put = Mutex<[String: ContinuousClock.Instant]>([:])

    /// Makes the directory and removes what an interrupted write left.
    init(path: String) throws(BrumeError) {
        self.path = path
        try DataDirectory.create(path)
        for name in Self.names(in: path) where name.hasSuffix(".tmp") {
            _ = unsafe unlink(path + "/" + name)
        }
    }

    /// Keeps the bytes and returns their digest when they are on disk.
    func put(_ archive: ByteBuffer) async throws -> String {
        try await onQueue { [self] in
            let digest = Self.digest(of: archive)
            let file = file(digest)
            if unsafe access(file, F_OK) == 0, try Self.digest(ofFile: file) == digest {
                // Its age begins again, so that it outlives the deployment that is about to name it.
                guard unsafe utimes(file, nil) == 0 else { throw StoreFailure.system("Touching", file) }
            } else {
                try write(archive, to: file)
            }
            remember(digest)
            put.withLock { put in
                if put.count >= Self.verifiedMax { put.removeAll() }
                put[digest] = .now
            }
            return digest
        }
    }

    /// The file of a package, or nil if there is none.
    ///
    /// - Throws: `BrumeError` (`corrupt`) if its bytes are not the ones that were stored.
    func path(of digest: String) async throws -> String? {
        guard Self.isDigest(digest) else { return nil }
        return try await onQueue { [self] in
            let file = file(digest)
            guard unsafe access(file, F_OK) == 0 else { return nil }
            if verified.withLock({ $0.contains(digest) }) { return file }
            guard try Self.digest(ofFile: file) == digest else {
                throw BrumeError(.corrupt, "The package \(file) is damaged; deploy the function again to replace it.")
            }
            remember(digest)
            return file
        }
    }

    /// Removes packages that are not in `used` and were last put more than `age` ago; returns how many.
    func prune(used: Set<String>, olderThan age: Duration) -> Int {
        let now = time(nil)
        var removed = 0
        for name in Self.names(in: path) where name.hasSuffix(".tar") {
            let digest = String(name.dropLast(4))
            var status = stat()
            guard Self.isDigest(digest), !used.contains(digest), unsafe stat(path + "/" + name, &status) == 0 else { continue }
            // The file's time tells nothing where the clock was moved after the upload.
            if let put = put.withLock({ $0[digest] }), ContinuousClock.now - put < age { continue }
            guard .seconds(now - status.st_mtim.tv_sec) >= age, unsafe unlink(path + "/" + name) == 0 else { continue }
            _ = verified.withLock { $0.remove(digest) }
            _ = put.withLock { $0.removeValue(forKey: digest) }
            removed += 1
        }
        return removed
    }

    // MARK: - Files

    private func file(_ digest: String) -> String { "\(path)/\(digest).tar" }

    private func remember(_ digest: String) {
        verified.withLock { verified in
            if verified.count >= Self.verifiedMax { verified.removeAll() }
            verified.insert(digest)
        }
    }

    /// Writes beside, syncs, renames, and syncs the directory: after that the file survives a power cut.
    private func write(_ archive: ByteBuffer, to file: String) throws {
        let temporary = file + ".tmp"
        let descriptor = unsafe open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw StoreFailure.system("Creating", temporary) }
        do {
            defer { close(descriptor) }
            try unsafe archive.withUnsafeReadableBytes { bytes in
                var offset = 0
                while offset < bytes.count {
                    let count = unsafe Self.write(descriptor, UnsafeRawBufferPointer(rebasing: bytes[offset...]))
                    if count < 0 && errno == EINTR { continue }
                    guard count > 0 else { throw StoreFailure.system("Writing", temporary) }
                    offset += count
                }
            }
            guard fsync(descriptor) == 0 else { throw StoreFailure.system("Syncing", temporary) }
            guard unsafe rename(temporary, file) == 0 else { throw StoreFailure.system("Renaming", temporary) }
        } catch {
            _ = unsafe unlink(temporary)
            throw error
        }
        let directory = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw StoreFailure.system("Opening", path) }
        defer { close(directory) }
        guard fsync(directory) == 0 else { throw StoreFailure.system("Syncing", path) }
    }

    private static func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
        // The member of this type hides the system call of the same name.
        #if canImport(Glibc)
        unsafe Glibc.write(descriptor, bytes.baseAddress, bytes.count)
        #else
        unsafe Darwin.write(descriptor, bytes.baseAddress, bytes.count)
        #endif
    }

    private static func names(in path: String) -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    }

    // MARK: - Digests

    /// 64 lower-case hexadecimal digits: also what keeps a digest from naming a file elsewhere.
    static func isDigest(_ text: String) -> Bool {
        text.utf8.count == 64
            && text.utf8.allSatisfy {
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
            }
    }

    private static func digest(of buffer: ByteBuffer) -> String {
        var hash = SHA256()
        unsafe buffer.withUnsafeReadableBytes { unsafe hash.update(bufferPointer: $0) }
        return hexadecimal(hash.finalize())
    }

    private static func digest(ofFile path: String) throws -> String {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw StoreFailure.system("Opening", path) }
        defer { close(descriptor) }
        var hash = SHA256()
        var chunk = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            let count = unsafe read(descriptor, &chunk, chunk.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw StoreFailure.system("Reading", path) }
            guard count > 0 else { return hexadecimal(hash.finalize()) }
            hash.update(data: chunk[..<count])
        }
    }

    private static func hexadecimal(_ digest: SHA256.Digest) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(64)
        for byte in digest {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    private func onQueue<T: Sendable>(_ work: @escaping @Sendable () throws -> T) async throws -> T {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { continuation.resume(with: Result { try work() }) }
        }
    }
}
