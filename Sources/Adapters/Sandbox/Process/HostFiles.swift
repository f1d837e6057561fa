// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import CBrumeLinux
import Glibc

/// The few file operations that sandboxes need, with errors that say what to do.
enum HostFiles {
    /// Largest kernel file read whole: `/proc/self/mountinfo` of a busy host stays below it.
    static let readBytesMax = 1 << 20

    /// The text of a small file, or nil if it cannot be read.
    static func read(_ path: String, limit: Int = 4096) -> String? {
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            let got = unsafe brume_read_file(path, buffer.baseAddress, limit)
            count = max(0, got)
        }
        return bytes.isEmpty && !exists(path) ? nil : String(decoding: bytes, as: UTF8.self)
    }

    /// The whole number that a kernel file holds, or nil.
    static func number(_ path: String) -> Int? {
        guard let text = read(path, limit: 64) else { return nil }
        return Int(text.prefix { $0.isNumber || $0 == "-" })
    }

    /// Writes a kernel file in one write.
    ///
    /// - Returns: 0 or an errno.
    static func tryWrite(_ text: String, to path: String) -> CInt {
        var text = text
        return text.withUTF8 { unsafe -brume_write_file(path, $0.baseAddress, $0.count) }
    }

    static func write(_ text: String, to path: String) throws(BrumeError) {
        let error = tryWrite(text, to: path)
        if error != 0 { throw failure("write '\(text)' to", path, error) }
    }

    static func create(_ path: String, _ bytes: [UInt8], mode: mode_t) throws(BrumeError) {
        let error = unsafe bytes.withUnsafeBytes { unsafe -brume_create_file(path, $0.baseAddress, $0.count, mode) }
        if error != 0 { throw failure("make", path, error) }
    }

    /// Makes a directory and those above it.
    static func makeDirectory(_ path: String, mode: mode_t = 0o755) throws(BrumeError) {
        if let slash = path.lastIndex(of: "/"), slash != path.startIndex {
            let parent = String(path[..<slash])
            if !exists(parent) { try makeDirectory(parent) }
        }
        let error = unsafe -brume_make_directory(path, mode)
        if error != 0 { throw failure("make the directory", path, error) }
    }

    /// Makes one directory where the one above it may refuse.
    ///
    /// - Returns: 0 or an errno.
    static func tryMakeDirectory(_ path: String) -> CInt { unsafe -brume_make_directory(path, 0o755) }

    /// Removes an empty directory.
    ///
    /// - Returns: whether it is not there any more.
    @discardableResult
    static func removeDirectory(_ path: String) -> Bool {
        let error = unsafe rmdir(path) == 0 ? 0 : errno
        return error == 0 || error == ENOENT
    }

    /// Gives a file another name on the same file system; a socket is reached by both.
    static func link(_ path: String, at name: String) throws(BrumeError) {
        removeFile(name)
        guard unsafe Glibc.link(path, name) == 0 else { throw failure("link", name, errno) }
    }

    /// Removes a file; one that is not there is fine.
    static func removeFile(_ path: String) { _ = unsafe unlink(path) }

    /// Sets a mode; a file that is gone is fine.
    static func setMode(_ path: String, _ mode: mode_t) { _ = unsafe chmod(path, mode) }

    /// Removes a tree; one that is not there is fine.
    @discardableResult
    static func remove(_ path: String) -> Bool { unsafe brume_remove_tree(path) == 0 }

    static func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

    static func isExecutable(_ path: String) -> Bool { unsafe access(path, X_OK) == 0 && !isDirectory(path) }

    static func isWritable(_ path: String) -> Bool { unsafe access(path, W_OK) == 0 }

    static func isDirectory(_ path: String) -> Bool {
        var about = stat()
        return unsafe stat(path, &about) == 0 && about.st_mode & S_IFMT == S_IFDIR
    }

    /// Names in a directory, sorted, without `.` and `..`; empty if it cannot be read.
    static func names(in directory: String) -> [String] {
        guard let stream = unsafe opendir(directory) else { return [] }
        defer { unsafe closedir(stream) }
        var names: [String] = []
        while let entry = unsafe readdir(stream) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// The path without symbolic links, or nil if it does not exist.
    static func resolved(_ path: String) -> String? {
        guard let real = unsafe realpath(path, nil) else { return nil }
        defer { unsafe free(real) }
        return unsafe String(cString: real)
    }

    /// The first executable of this name in the usual places.
    static func program(_ name: String) -> String? {
        ["/usr/bin", "/usr/local/bin", "/bin", "/usr/sbin", "/usr/local/sbin", "/sbin"].map { "\($0)/\(name)" }.first(where: isExecutable)
    }

    /// Two pipes: reading and writing end of the first, then of the second.
    ///
    /// - Returns: 0 or an errno.
    static func pipes(_ ends: inout [CInt]) -> CInt {
        precondition(ends.count == 4)
        var first: [CInt] = [-1, -1]
        var second: [CInt] = [-1, -1]
        let error = unsafe min(brume_pipe(&first), brume_pipe(&second))
        ends = first + second
        return -error
    }

    static func reason(_ error: CInt) -> String { unsafe String(cString: strerror(error)) }

    static func failure(_ what: String, _ path: String, _ error: CInt) -> BrumeError {
        let code: BrumeError.Code = error == EACCES || error == EPERM ? .permission : .failed
        return BrumeError(code, "Cannot \(what) \(path): \(reason(error)). Check the rights of the node's user and the space on that disk.")
    }
}
