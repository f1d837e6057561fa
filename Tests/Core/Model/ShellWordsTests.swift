// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Testing

@Suite("Shell words")
struct ShellWordsTests {
    @Test(
        "a command line is split as a shell splits it, and words that are joined split into themselves",
        arguments: [
            ("", []), ("cat", ["cat"]), ("  cat   -n ", ["cat", "-n"]), ("tr a-z A-Z", ["tr", "a-z", "A-Z"]),
            ("sh -c 'echo hi; cat'", ["sh", "-c", "echo hi; cat"]), ("a \"b c\" d\\ e", ["a", "b c", "d e"]), ("''", [""]),
            ("a'b'\"c\"d", ["abcd"]), ("'a\\b'", ["a\\b"]), ("a \"x\\\"y\" ''", ["a", "x\"y", ""]),
            ("'$HOME' \"\\n\"", ["$HOME", "\\n"]), ("echo $HOME *", ["echo", "$HOME", "*"]), ("a\tb\nc\r", ["a", "b", "c"]),
            ("\"it's\"", ["it's"]),
        ] as [(String, [String])])
    func splitting(line: String, words: [String]) throws {
        #expect(try ShellWords.split(line) == words)
        #expect(try ShellWords.split(ShellWords.join(words)) == words)
    }

    @Test("a quote or a backslash that protects nothing is refused with the line", arguments: ["'a", "a \"b", "a\\", "\"a\\\""])
    func badQuotes(line: String) throws {
        let error = #expect(throws: BrumeError.self) { try ShellWords.split(line) }
        #expect(error?.code == .invalid)
        #expect(error?.message.contains(line) == true)
    }
}
