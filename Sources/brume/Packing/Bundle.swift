// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import FoundationEssentials
import NIOCore
import SystemPackage

/// The files of a function on their way into an archive, each under its name inside the package.
struct Bundle {
    /// Largest archive that a node takes.
    static let bytesMax = FunctionSpec.packageBytesMax
    /// A file's content in the archive fills whole blocks, behind one for its name.
    private static let blockBytes = 512
    /// Most files: a Node project with all its modules has some ten thousand.
    static let entriesMax = 50_000
    /// Left out of directories: what version control, interpreters and Brume itself leave behind.
    static let ignored: Set<String> = [".git", ".hg", ".svn", "__pycache__", ".DS_Store", "brume-data"]

    private enum Entry {
        case directory
        case file(path: String, isExecutable: Bool)
        case link(target: String)
    }

    private var entries: [String: Entry] = [:]
    private var archiveBytes = 2 * blockBytes

    var isEmpty: Bool { entries.isEmpty }

    func contains(_ name: String) -> Bool { entries[name] != nil }

    /// Names inside the package, in the archive's order.
    var names: [String] { entries.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) } }

    /// Adds one file, following symbolic links. A file that is there already under this name is replaced.
    ///
    /// - Parameter isExecutable: nil takes the file's own permission.
    /// - Throws: `CommandFailure` (words) where there is no such file.
    mutating func add(file path: String, as name: String, isExecutable: Bool? = nil) throws(CommandFailure) {
        let stat = try Self.status(of: path, following: true)
        guard stat.type == .regular else { throw .words("\(path) is not a file.") }
        try insert(name, .file(path: path, isExecutable: isExecutable ?? Self.isExecutable(stat)), bytes: Int(stat.size))
    }

    /// Adds everything under a directory.
    ///
    /// - Throws: `CommandFailure` (words) for a link that leads outside, a socket or device, or more than the limits allow.
    mutating func add(directory root: String) throws(CommandFailure) {
        let stat = try Self.status(of: root, following: true)
        guard stat.type == .directory else { throw .words("\(root) is not a directory.") }
        var pending = [""]
        while let folder = pending.popLast() {
            for child in try Self.children(of: Self.join(root, folder)) where !Self.ignored.contains(child) {
                let name = folder.isEmpty ? child : "\(folder)/\(child)"
                if try addEntry(named: name, under: root) { pending.append(name) }
            }
        }
    }

    /// Returns whether the entry is a directory, to be walked.
    private mutating func addEntry(named name: String, under root: String) throws(CommandFailure) -> Bool {
        let path = Self.join(root, name)
        let stat = try Self.status(of: path, following: false)
        switch stat.type {
        case .directory:
            try insert(name, .directory, bytes: 0)
            return true
        case .regular:
            try insert(name, .file(path: path, isExecutable: Self.isExecutable(stat)), bytes: Int(stat.size))
        case .symbolicLink:
            guard let target = try? FileManager.default.destinationOfSymbolicLink(atPath: path) else {
                throw .words("The symbolic link \(path) cannot be read.")
            }
            guard Self.staysInside(target, from: name) else {
                throw .words(
                    "The symbolic link \(path) leads out of the package, to \(target); put the file itself there."
                )
            }
            try insert(name, .link(target: target), bytes: 0)
        default:
            throw .words("\(path) is neither a file, a directory nor a symbolic link; it cannot be part of a package.")
        }
        return false
    }

    private mutating func insert(_ name: String, _ entry: Entry, bytes: Int) throws(CommandFailure) {
        entries[name] = entry
        archiveBytes += Self.blockBytes + (bytes + Self.blockBytes - 1) / Self.blockBytes * Self.blockBytes
        guard archiveBytes <= Self.bytesMax else {
            throw .words("The package is larger than \(Wording.bytes(Self.bytesMax)) (at \(name)); deploy an image instead with --image.")
        }
        guard entries.count <= Self.entriesMax else {
            throw .words("The package has more than \(Self.entriesMax) files (at \(name)); deploy an image instead with --image.")
        }
    }

    /// The archive. The same files give the same bytes.
    ///
    /// - Throws: `CommandFailure` (words) where a file cannot be read, or changed while it was read.
    func archive() throws(CommandFailure) -> ByteBuffer {
        var writer = TarWriter()
        for name in names {
            switch entries[name] {
            case .directory: writer.addDirectory(name)
            case .link(let target): writer.addLink(name, to: target)
            case .file(let path, let isExecutable):
                guard let content = FileManager.default.contents(atPath: path) else {
                    throw .words("\(path) cannot be read; check its permissions.")
                }
                guard writer.bytes.count + content.count <= 2 * Self.bytesMax else { throw .words("\(path) grew while it was packed.") }
                writer.addFile(name, isExecutable: isExecutable, content: Array(content))
            case nil: break
            }
        }
        writer.finish()
        return ByteBuffer(bytes: writer.bytes)
    }

    // MARK: Files

    static func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

    static func isDirectory(_ path: String) -> Bool {
        var isDirectory = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) && isDirectory
    }

    private static func status(of path: String, following: Bool) throws(CommandFailure) -> Stat {
        do {
            return try Stat(FilePath(path), followTargetSymlink: following)
        } catch Errno.noSuchFileOrDirectory {
            throw .words("There is no file \(path).")
        } catch {
            throw .words("\(path) cannot be read: \(error).")
        }
    }

    private static func children(of path: String) throws(CommandFailure) -> [String] {
        do {
            return try FileManager.default.contentsOfDirectory(atPath: path)
        } catch {
            throw .words("The directory \(path) cannot be read; check its permissions.")
        }
    }

    private static func isExecutable(_ stat: Stat) -> Bool { stat.permissions.contains(.ownerExecute) }

    private static func join(_ root: String, _ name: String) -> String { name.isEmpty ? root : FilePath(root).appending(name).string }

    /// Whether a link's target, seen from the link, stays inside the package.
    static func staysInside(_ target: String, from name: String) -> Bool {
        guard !target.hasPrefix("/") else { return false }
        var depth = name.split(separator: "/").count - 1
        for part in target.split(separator: "/") {
            if part == ".." { depth -= 1 } else if part != "." { depth += 1 }
            if depth < 0 { return false }
        }
        return true
    }
}
