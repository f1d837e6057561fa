// SPDX-License-Identifier: Apache-2.0

/// The mounts of control groups, from `/proc/self/mountinfo`.
struct MountTable: Sendable, Hashable {
    /// Mount point of the cgroup2 hierarchy.
    private(set) var unified: String?
    /// Mount point of each cgroup v1 controller.
    private(set) var legacy: [String: String] = [:]

    /// - Parameter text: lines of the form `36 35 98:0 /root /mount options - type source super-options`.
    init(parsing text: String) {
        for line in text.split(separator: "\n") {
            let halves = line.split(separator: " - ", maxSplits: 1)
            guard halves.count == 2 else { continue }
            let left = halves[0].split(separator: " ")
            let right = halves[1].split(separator: " ")
            guard left.count >= 5, let type = right.first else { continue }
            let point = Self.unescaped(left[4])
            if type == "cgroup2" {
                // A later mount hides nothing here; the shortest path is the system's own.
                if unified.map({ point.utf8.count < $0.utf8.count }) ?? true { unified = point }
            } else if type == "cgroup", let options = right.last {
                for option in options.split(separator: ",") where legacy[String(option)] == nil { legacy[String(option)] = point }
            }
        }
    }

    static func current() -> MountTable {
        MountTable(parsing: HostFiles.read("/proc/self/mountinfo", limit: HostFiles.readBytesMax) ?? "")
    }

    /// The kernel writes space, tab, newline and backslash as three octal digits.
    private static func unescaped(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "\\"), rest.count >= 3, let value = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8) {
                bytes.append(value)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
