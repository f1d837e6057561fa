// SPDX-License-Identifier: Apache-2.0

/// A list of strings in one text column: one a line, so that a person with the `sqlite3` shell can read it.
///
/// A newline inside a string is written `\n`, a NUL (where SQLite's text would end) `\0`, and a backslash `\\`. The empty list is NULL.
enum EscapedLines {
    static func join(_ strings: [String]) -> String? {
        guard !strings.isEmpty else { return nil }
        var text: [UInt8] = []
        text.reserveCapacity(strings.reduce(strings.count) { $0 + $1.utf8.count })
        for (index, string) in strings.enumerated() {
            if index > 0 { text.append(UInt8(ascii: "\n")) }
            for byte in string.utf8 {
                switch byte {
                case UInt8(ascii: "\n"): text += [UInt8(ascii: "\\"), UInt8(ascii: "n")]
                case 0: text += [UInt8(ascii: "\\"), UInt8(ascii: "0")]
                case UInt8(ascii: "\\"): text += [UInt8(ascii: "\\"), UInt8(ascii: "\\")]
                default: text.append(byte)
                }
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    static func split(_ text: String?) -> [String] {
        guard let text else { return [] }
        return text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map { line in
            guard line.contains(UInt8(ascii: "\\")) else { return String(Substring(line)) }
            var bytes: [UInt8] = []
            var escaped = false
            for byte in line {
                if escaped {
                    switch byte {
                    case UInt8(ascii: "n"): bytes.append(UInt8(ascii: "\n"))
                    case UInt8(ascii: "0"): bytes.append(0)
                    default: bytes.append(byte)
                    }
                    escaped = false
                } else if byte == UInt8(ascii: "\\") {
                    escaped = true
                } else {
                    bytes.append(byte)
                }
            }
            return String(decoding: bytes, as: UTF8.self)
        }
    }
}
