// SPDX-License-Identifier: Apache-2.0

/// Splits a command line into words as a shell does: blanks separate, quotes and backslashes protect. Nothing is expanded.
public enum ShellWords {
    /// - Throws: `BrumeError` (`invalid`) where a quote is not closed or the line ends with a backslash.
    public static func split(_ line: String) throws(BrumeError) -> [String] {
        enum Quote { case none, single, double }
        var words: [String] = []
        var word: String?
        var quote = Quote.none
        var escaped = false
        for scalar in line.unicodeScalars {
            if escaped {
                // Inside double quotes a backslash protects only what would otherwise mean something there.
                if quote == .double, !"\"\\$`".unicodeScalars.contains(scalar) { word = (word ?? "") + "\\" }
                word = append(scalar, to: word)
                escaped = false
                continue
            }
            switch (quote, scalar) {
            case (.none, " "), (.none, "\t"), (.none, "\n"), (.none, "\r"):
                if let complete = word { words.append(complete) }
                word = nil
            case (.none, "'"):
                quote = .single
                word = word ?? ""
            case (.none, "\""):
                quote = .double
                word = word ?? ""
            case (.single, "'"), (.double, "\""): quote = .none
            case (.none, "\\"), (.double, "\\"): escaped = true
            default: word = append(scalar, to: word)
            }
        }
        guard quote == .none else {
            throw BrumeError(.invalid, "The command '\(line.prefix(80))' opens a quote that it does not close; add the closing quote.")
        }
        guard !escaped else {
            throw BrumeError(.invalid, "The command '\(line.prefix(80))' ends with a backslash; remove it or write what it should protect.")
        }
        if let word { words.append(word) }
        return words
    }

    /// Writes words so that `split` gives them back.
    public static func join(_ words: [String]) -> String {
        words.map { word in
            let plain = word.unicodeScalars.allSatisfy { scalar in
                scalar.value > 32 && scalar != "'" && scalar != "\"" && scalar != "\\"
            }
            if plain && !word.isEmpty { return word }
            var quoted = "'"
            for scalar in word.unicodeScalars {
                if scalar == "'" { quoted += "'\\''" } else { quoted.unicodeScalars.append(scalar) }
            }
            return quoted + "'"
        }.joined(separator: " ")
    }

    private static func append(_ scalar: Unicode.Scalar, to word: String?) -> String {
        var word = word ?? ""
        word.unicodeScalars.append(scalar)
        return word
    }
}
