// SPDX-License-Identifier: Apache-2.0

/// A pattern of `KEYS`, `SCAN MATCH` and `PSUBSCRIBE`: `*`, `?`, `[a-c]`, `[^x]`, and `\` before what is meant literally.
struct GlobPattern {
    let pattern: [UInt8]
    /// Whether everything matches, which needs no look at the text.
    let matchesAll: Bool

    init(_ pattern: [UInt8]) {
        self.pattern = pattern
        self.matchesAll = pattern == [UInt8(ascii: "*")]
    }

    /// Whether the whole text matches. Time is bounded by pattern times text: only the last `*` is gone back to.
    func matches(_ text: [UInt8]) -> Bool {
        if matchesAll { return true }
        var index = 0
        var position = 0
        var star: (pattern: Int, text: Int)?
        while position < text.count {
            if index < pattern.count, pattern[index] == UInt8(ascii: "*") {
                star = (index + 1, position)
                index += 1
            } else if let next = step(index, text[position]) {
                index = next
                position += 1
            } else if let (behind, from) = star {
                index = behind
                position = from + 1
                star = (behind, from + 1)
            } else {
                return false
            }
        }
        while index < pattern.count, pattern[index] == UInt8(ascii: "*") { index += 1 }
        return index == pattern.count
    }

    /// The place behind the element at `index`, if the element matches the byte.
    private func step(_ index: Int, _ byte: UInt8) -> Int? {
        guard index < pattern.count else { return nil }
        switch pattern[index] {
        case UInt8(ascii: "?"): return index + 1
        case UInt8(ascii: "["): return choice(index + 1, byte)
        case UInt8(ascii: "\\") where index + 1 < pattern.count: return pattern[index + 1] == byte ? index + 2 : nil
        case let literal: return literal == byte ? index + 1 : nil
        }
    }

    private func choice(_ from: Int, _ byte: UInt8) -> Int? {
        var index = from
        let isNegated = index < pattern.count && pattern[index] == UInt8(ascii: "^")
        if isNegated { index += 1 }
        var isFound = false
        while index < pattern.count, pattern[index] != UInt8(ascii: "]") {
            if pattern[index] == UInt8(ascii: "\\"), index + 1 < pattern.count {
                index += 1
                isFound = isFound || pattern[index] == byte
                index += 1
            } else if index + 2 < pattern.count, pattern[index + 1] == UInt8(ascii: "-") {
                let low = min(pattern[index], pattern[index + 2])
                let high = max(pattern[index], pattern[index + 2])
                isFound = isFound || (low...high).contains(byte)
                index += 3
            } else {
                isFound = isFound || pattern[index] == byte
                index += 1
            }
        }
        guard isFound != isNegated else { return nil }
        return min(index + 1, pattern.count)
    }
}
