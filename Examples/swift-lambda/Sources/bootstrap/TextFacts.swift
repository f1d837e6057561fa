// SPDX-License-Identifier: Apache-2.0

/// What there is to count in a text.
struct TextFacts {
    /// As a reader counts them: a family emoji is one.
    let characters: Int
    let scalars: Int
    let bytes: Int
    let words: Int
    let longestWord: String

    init(_ text: String) {
        let parts = text.split { !$0.isLetter && !$0.isNumber }
        characters = text.count
        scalars = text.unicodeScalars.count
        bytes = text.utf8.count
        words = parts.count
        longestWord = parts.max { $0.count < $1.count }.map(String.init) ?? ""
    }

    /// Letters and digits need no escape, so the longest word can stand as it is.
    var json: String {
        #"{"characters":\#(characters),"scalars":\#(scalars),"bytes":\#(bytes),"words":\#(words),"longestWord":"\#(longestWord)"}"# + "\n"
    }
}
