// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Glibc

/// Unpacks a bundle. A bundle is a stranger's file: nothing of it may end up outside the directory, or be anything but files,
/// directories and links that stay inside; and it has a bounded size.
struct TarExtractor {
    private static let blockSize = 512
    /// Longest path in the archive, and longest record of metadata for one entry.
    private static let pathMax = 4096
    private static let metadataMax = 64 << 10

    let bytesMax: Int
    let entriesMax: Int

    /// - Throws: `BrumeError` (`invalid`, `tooLarge`) that names the entry.
    func extract(_ archive: String, into directory: String) throws(BrumeError) {
        let input = unsafe open(archive, O_RDONLY | O_CLOEXEC)
        guard input >= 0 else { throw BrumeError(.notFound, "The bundle \(archive) cannot be read; deploy the function again.") }
        defer { close(input) }
        var reader = BlockReader(handle: input)
        var pending = Metadata()
        var links: [(path: String, target: String)] = []
        var entries = 0
        var bytes = 0
        while let block = try reader.block() {
            if block.allSatisfy({ $0 == 0 }) { break }
            let header = try TarHeader(block, isFirst: entries == 0)
            entries += 1
            guard entries <= entriesMax else {
                throw BrumeError(.tooLarge, "The bundle has more than \(entriesMax) entries; leave out what the function does not need.")
            }
            if try pending.absorb(header, from: &reader, max: Self.metadataMax) { continue }
            let name = pending.path ?? header.path
            let target = pending.link ?? header.link
            let size = pending.size ?? header.size
            pending = Metadata()
            bytes += size
            guard bytes <= bytesMax else {
                throw BrumeError(
                    .tooLarge, "The bundle unpacks to more than \(bytesMax >> 20) MiB; leave out what the function does not need.")
            }
            let parts = try Self.parts(of: name)
            switch header.kind {
            case .file:
                guard !parts.isEmpty else { throw Self.refusal(name, "has no name") }
                try makeParents(parts, in: directory)
                try write(parts, in: directory, size: size, executable: header.mode & 0o111 != 0, from: &reader)
            case .directory:
                try makeParents(parts + [""], in: directory)
            case .symbolicLink:
                try Self.checkLink(name, parts: parts, target: target)
                try makeParents(parts, in: directory)
                links.append((parts.joined(separator: "/"), target))
            case .hardLink:
                let source = try Self.parts(of: target)
                try makeParents(parts, in: directory)
                let from = directory + "/" + source.joined(separator: "/")
                guard unsafe link(from, directory + "/" + parts.joined(separator: "/")) == 0 else {
                    throw Self.refusal(name, "is a hard link to '\(target)', which is not in the archive before it")
                }
            case .other(let type):
                throw Self.refusal(name, "is of type '\(type)'; only files, directories and links are allowed")
            }
            if header.kind != .file { try reader.skip(size) }
        }
        guard entries > 0 else { throw BrumeError(.invalid, "The bundle is empty; it must be a tar archive with the function's files.") }
        // Only now, so that no file was written through one.
        for entry in links {
            guard unsafe symlink(entry.target, directory + "/" + entry.path) == 0 else {
                throw Self.refusal(entry.path, "is a link where something else is already")
            }
        }
    }

    private static func refusal(_ name: String, _ why: String) -> BrumeError {
        BrumeError(.invalid, "The bundle is refused: its entry '\(name.prefix(200))' \(why).")
    }

    /// The components of a relative path that never leaves its directory.
    private static func parts(of path: String) throws(BrumeError) -> [String] {
        guard path.utf8.count <= pathMax else { throw refusal(path, "has a path of more than \(pathMax) bytes") }
        guard !path.hasPrefix("/") else { throw refusal(path, "has an absolute path") }
        let parts = path.split(separator: "/").map(String.init).filter { $0 != "." }
        guard !parts.contains("..") else { throw refusal(path, "leaves the bundle with '..'") }
        return parts
    }

    /// `..` is allowed at the beginning of a link, and only as far up as the link is deep; after a name it could follow another link.
    private static func checkLink(_ name: String, parts: [String], target: String) throws(BrumeError) {
        guard !parts.isEmpty, !target.isEmpty else { throw refusal(name, "is a link without a target") }
        guard !target.hasPrefix("/") else { throw refusal(name, "is a link to the absolute path '\(target)'") }
        let steps = target.split(separator: "/").filter { $0 != "." }
        let climbs = steps.prefix { $0 == ".." }.count
        guard climbs < parts.count, !steps.dropFirst(climbs).contains("..") else {
            throw refusal(name, "is a link out of the bundle ('\(target)')")
        }
    }

    private func makeParents(_ parts: [String], in directory: String) throws(BrumeError) {
        var path = directory
        for part in parts.dropLast() {
            path += "/" + part
            if unsafe mkdir(path, 0o755) != 0, errno != EEXIST { throw Self.refusal(path, "cannot be made: \(reason())") }
        }
    }

    private func write(
        _ parts: [String], in directory: String, size: Int, executable: Bool, from reader: inout BlockReader
    ) throws(BrumeError) {
        let path = directory + "/" + parts.joined(separator: "/")
        unsafe unlink(path)
        let output = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard output >= 0 else { throw Self.refusal(parts.joined(separator: "/"), "cannot be written: \(reason())") }
        defer { close(output) }
        // The process's mask must not make files unreadable to the function's user.
        guard fchmod(output, executable ? 0o755 : 0o644) == 0 else { throw Self.refusal(path, "cannot be written: \(reason())") }
        try reader.read(size) { (piece: Span<UInt8>) throws(BrumeError) in
            var done = 0
            while done < piece.count {
                let written = unsafe piece.withUnsafeBytes {
                    unsafe Glibc.write(output, $0.baseAddress?.advanced(by: done), piece.count - done)
                }
                guard written > 0 else { throw BrumeError(.failed, "The bundle could not be unpacked to \(path): \(reason()).") }
                done += written
            }
        }
    }

    private func reason() -> String { unsafe String(cString: strerror(errno)) }
}

/// What GNU and pax archives say about the next entry.
private struct Metadata {
    var path: String?
    var link: String?
    var size: Int?

    /// True if the entry was such metadata and has been read.
    mutating func absorb(_ header: TarHeader, from reader: inout BlockReader, max: Int) throws(BrumeError) -> Bool {
        guard case .other(let type) = header.kind, ["L", "K", "x", "g"].contains(type) else { return false }
        guard header.size <= max else {
            throw BrumeError(.invalid, "The bundle is refused: one entry's metadata has \(header.size) bytes.")
        }
        var bytes: [UInt8] = []
        try reader.read(header.size) { (piece: Span<UInt8>) throws(BrumeError) in
            for index in piece.indices { bytes.append(piece[index]) }
        }
        switch type {
        case "L": path = Self.text(bytes[...])
        case "K": link = Self.text(bytes[...])
        case "x": absorbPax(bytes)
        default: break
        }
        return true
    }

    /// Records of the form `LENGTH KEY=VALUE\n`.
    private mutating func absorbPax(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while let space = rest.firstIndex(of: UInt8(ascii: " ")), let length = Int(Self.text(rest[..<space])), length > 0 {
            guard length <= rest.count, space < rest.startIndex + length else { return }
            let record = rest[(space + 1)..<(rest.startIndex + length)].dropLast()
            rest = rest.dropFirst(length)
            guard let equals = record.firstIndex(of: UInt8(ascii: "=")) else { continue }
            let value = Self.text(record[(equals + 1)...])
            switch Self.text(record[..<equals]) {
            case "path": path = value
            case "linkpath": link = value
            case "size": size = Int(value).flatMap { $0 >= 0 ? $0 : nil }
            default: break
            }
        }
    }

    static func text(_ bytes: ArraySlice<UInt8>) -> String { String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self) }
}

/// One header block.
private struct TarHeader {
    enum Kind: Equatable { case file, directory, symbolicLink, hardLink, other(Character) }

    let path: String
    let link: String
    let size: Int
    let mode: Int
    let kind: Kind

    init(_ block: [UInt8], isFirst: Bool) throws(BrumeError) {
        let hint = isFirst ? "it must be a plain tar archive (not compressed)" : "it is damaged"
        let sum = block.enumerated().reduce(0) { $0 + ((148..<156).contains($1.offset) ? 32 : Int($1.element)) }
        guard Self.number(block[148..<156]) == sum else { throw BrumeError(.invalid, "The bundle cannot be read: \(hint).") }
        guard let size = Self.number(block[124..<136]), size >= 0 else {
            throw BrumeError(.invalid, "The bundle cannot be read: \(hint).")
        }
        self.size = size
        mode = Self.number(block[100..<108]) ?? 0
        let isUstar = block[257..<262].elementsEqual("ustar".utf8)
        let prefix = isUstar && block[262] == 0 ? Metadata.text(block[345..<500]) : ""
        let name = Metadata.text(block[0..<100])
        path = prefix.isEmpty ? name : prefix + "/" + name
        link = Metadata.text(block[157..<257])
        switch block[156] {
        case 0, UInt8(ascii: "0"), UInt8(ascii: "7"): kind = name.hasSuffix("/") ? .directory : .file
        case UInt8(ascii: "1"): kind = .hardLink
        case UInt8(ascii: "2"): kind = .symbolicLink
        case UInt8(ascii: "5"): kind = .directory
        case let type: kind = .other(Character(UnicodeScalar(type)))
        }
    }

    /// Octal digits, or GNU's binary form for large sizes.
    private static func number(_ field: ArraySlice<UInt8>) -> Int? {
        guard let first = field.first else { return nil }
        if first == 0x80 {
            return field.dropFirst().suffix(7).reduce(0) { $0 << 8 | Int($1) }
        }
        let digits = field.drop { $0 == UInt8(ascii: " ") }.prefix { (UInt8(ascii: "0")...UInt8(ascii: "7")).contains($0) }
        return digits.isEmpty ? 0 : Int(String(decoding: digits, as: UTF8.self), radix: 8)
    }
}

/// Reads an archive in pieces of at most 64 KiB.
private struct BlockReader {
    let handle: CInt
    private var buffer = [UInt8](repeating: 0, count: 64 << 10)

    init(handle: CInt) { self.handle = handle }

    private mutating func fill(_ count: Int) throws(BrumeError) -> Int {
        var have = 0
        while have < count {
            let got = unsafe buffer.withUnsafeMutableBytes { unsafe Glibc.read(handle, $0.baseAddress?.advanced(by: have), count - have) }
            guard got >= 0 else { throw BrumeError(.failed, "The bundle cannot be read: \(unsafe String(cString: strerror(errno))).") }
            if got == 0 { break }
            have += got
        }
        return have
    }

    /// The next 512 bytes, or nil at the end.
    mutating func block() throws(BrumeError) -> [UInt8]? {
        let got = try fill(512)
        guard got > 0 else { return nil }
        guard got == 512 else { throw BrumeError(.invalid, "The bundle is cut off; deploy the function again.") }
        return Array(buffer[..<512])
    }

    /// Hands over `size` bytes piece by piece and passes the padding.
    mutating func read(_ size: Int, _ use: (Span<UInt8>) throws(BrumeError) -> Void) throws(BrumeError) {
        var left = (size + 511) / 512 * 512
        var useful = size
        while left > 0 {
            let count = min(left, buffer.count)
            guard try fill(count) == count else { throw BrumeError(.invalid, "The bundle is cut off; deploy the function again.") }
            if useful > 0 { try use(buffer.span.extracting(first: min(useful, count))) }
            useful -= count
            left -= count
        }
    }

    mutating func skip(_ size: Int) throws(BrumeError) { try read(size) { (_: Span<UInt8>) throws(BrumeError) in } }
}
