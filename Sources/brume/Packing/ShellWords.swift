// SPDX-License-Identifier: Apache-2.0

/// A command line as a shell splits it: quotes and backslashes are respected, nothing is expanded.
enum ShellWords {
    /// - Throws: `CommandFailure` (words) for a quote that is never closed.
    static func split(_ text: String) throws(CommandFailure) -> [String] {
        var words: [String] = []
        var word: String?
        var quote: Character?
        var isEscaped = false
        for character in text {
            if isEscaped {
                word = (word ?? "") + (quote == "\"" && !"\"\\$`".contains(character) ? "\\" : "") + String(character)
                isEscaped = false
            } else if character == "\\", quote != "'" {
                isEscaped = true
                word = word ?? ""
            } else if let open = quote {
                if character == open { quote = nil } else { word = (word ?? "") + String(character) }
            } else if character == "'" || character == "\"" {
                quote = character
                word = word ?? ""
            } else if character.isWhitespace {
                if let done = word { words.append(done) }
                word = nil
            } else {
                word = (word ?? "") + String(character)
            }
        }
        guard quote == nil, !isEscaped else { throw .words("The command \(text) has a quote that is not closed.") }
        if let word { words.append(word) }
        return words
    }

    /// The words as one line that splits into the same words again.
    static func join(_ words: [String]) -> String { words.map(quoted).joined(separator: " ") }

    private static func quoted(_ word: String) -> String {
        let isPlain = word.utf8.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
                || (UInt8(ascii: "+")...UInt8(ascii: ":")).contains(byte)
                || [UInt8(ascii: "="), UInt8(ascii: "_"), UInt8(ascii: "@")].contains(byte)
        }
        return isPlain && !word.isEmpty ? word : "'" + word.replacing("'", with: "'\\''") + "'"
    }
}
