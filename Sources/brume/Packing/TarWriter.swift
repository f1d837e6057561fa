// SPDX-License-Identifier: Apache-2.0

/// Writes a tar archive (POSIX ustar, with pax headers for names that ustar cannot hold).
///
/// The bytes depend on names, contents and execute permission only: owner 0, time 0. The same files make the same archive on every machine.
struct TarWriter {
    private static let blockBytes = 512
    private static let nameBytesMax = 100
    private static let prefixBytesMax = 155

    private enum Kind: UInt8 {
        case file = 0x30
        case link = 0x32
        case directory = 0x35
        case pax = 0x78
    }

    private(set) var bytes: [UInt8] = []

    mutating func addDirectory(_ name: String) { add(name + "/", kind: .directory, mode: 0o755, content: []) }

    mutating func addFile(_ name: String, isExecutable: Bool, content: [UInt8]) {
        add(name, kind: .file, mode: isExecutable ? 0o755 : 0o644, content: content)
    }

    mutating func addLink(_ name: String, to target: String) { add(name, kind: .link, mode: 0o777, content: [], target: target) }

    /// Two empty blocks end an archive.
    mutating func finish() { bytes.append(contentsOf: repeatElement(0, count: 2 * Self.blockBytes)) }

    private mutating func add(_ name: String, kind: Kind, mode: Int, content: [UInt8], target: String = "") {
        var extended: [UInt8] = []
        let split = Self.split(Array(name.utf8))
        if split == nil { extended += Self.record("path", name) }
        if target.utf8.count > Self.nameBytesMax { extended += Self.record("linkpath", target) }
        if !extended.isEmpty {
            appendHeader(name: Array("pax".utf8), prefix: [], kind: .pax, mode: 0o644, size: extended.count, target: [])
            append(extended)
        }
        let short = split ?? (prefix: [], name: Array(name.utf8.prefix(Self.nameBytesMax)))
        appendHeader(
            name: short.name, prefix: short.prefix, kind: kind, mode: mode, size: content.count,
            target: Array(target.utf8.prefix(Self.nameBytesMax)))
        append(content)
    }

    /// Cuts a name at a slash so that both halves fit, or nil where no cut does.
    private static func split(_ name: [UInt8]) -> (prefix: [UInt8], name: [UInt8])? {
        if name.count <= nameBytesMax { return ([], name) }
        let slash = UInt8(ascii: "/")
        for index in name.indices.dropLast() where name[index] == slash && name.count - index - 1 <= nameBytesMax {
            return index <= prefixBytesMax ? (Array(name[..<index]), Array(name[(index + 1)...])) : nil
        }
        return nil
    }

    /// `LENGTH KEY=VALUE\n`, where the length counts itself.
    private static func record(_ key: String, _ value: String) -> [UInt8] {
        let rest = " \(key)=\(value)\n"
        var length = rest.utf8.count
        while "\(length)".utf8.count + rest.utf8.count != length { length = "\(length)".utf8.count + rest.utf8.count }
        return Array("\(length)\(rest)".utf8)
    }

    private mutating func append(_ content: [UInt8]) {
        bytes.append(contentsOf: content)
        let excess = content.count % Self.blockBytes
        if excess > 0 { bytes.append(contentsOf: repeatElement(0, count: Self.blockBytes - excess)) }
    }

    private mutating func appendHeader(name: [UInt8], prefix: [UInt8], kind: Kind, mode: Int, size: Int, target: [UInt8]) {
        var header = [UInt8](repeating: 0, count: Self.blockBytes)
        func put(_ field: [UInt8], at offset: Int) { header.replaceSubrange(offset..<(offset + field.count), with: field) }
        func octal(_ value: Int, digits: Int) -> [UInt8] {
            let text = String(value, radix: 8)
            return Array((String(repeating: "0", count: digits - text.count) + text).utf8)
        }
        put(name, at: 0)
        put(octal(mode, digits: 7), at: 100)
        put(octal(0, digits: 7), at: 108)
        put(octal(0, digits: 7), at: 116)
        put(octal(size, digits: 11), at: 124)
        put(octal(0, digits: 11), at: 136)
        header[156] = kind.rawValue
        put(target, at: 157)
        put(Array("ustar\u{0}00".utf8), at: 257)
        put(prefix, at: 345)
        // The checksum is taken with spaces in its own field.
        put(Array("        ".utf8), at: 148)
        put(octal(header.reduce(0) { $0 + Int($1) }, digits: 6) + [0, UInt8(ascii: " ")], at: 148)
        bytes.append(contentsOf: header)
    }
}
