// SPDX-License-Identifier: Apache-2.0

/// A pattern with `*` (any characters) and `?` (one character), as `--filter` takes it.
struct GlobPattern {
    private let pattern: [Character]

    init(_ text: String) { pattern = Array(text) }

    /// Whether the whole text matches. Linear in practice: on a mismatch only the last `*` is tried again.
    func matches(_ text: String) -> Bool {
        let text = Array(text)
        var position = 0
        var cursor = 0
        var lastStar: (pattern: Int, text: Int)?
        while position < text.count {
            if cursor < pattern.count, pattern[cursor] == "*" {
                lastStar = (cursor, position)
                cursor += 1
            } else if cursor < pattern.count, pattern[cursor] == "?" || pattern[cursor] == text[position] {
                cursor += 1
                position += 1
            } else if let star = lastStar {
                lastStar = (star.pattern, star.text + 1)
                cursor = star.pattern + 1
                position = star.text + 1
            } else {
                return false
            }
        }
        return pattern[cursor...].allSatisfy { $0 == "*" }
    }
}
