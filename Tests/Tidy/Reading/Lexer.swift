// SPDX-License-Identifier: Apache-2.0

/// One word or sign of a Swift file; comments and white space are left out.
struct Token {
    enum Kind { case identifier, number, string, symbol }

    let kind: Kind
    /// The word, one sign, or the inside of a string literal.
    var text: String
    /// Counted from 1.
    let line: Int
    /// Whether it is the first token of its line.
    let startsLine: Bool
    /// Whether white space stands before it.
    let spaced: Bool

    func `is`(_ text: String) -> Bool { kind != .string && self.text == text }
}

/// Cuts a Swift source into tokens: enough of the language to tell code from comments and strings.
///
/// Expressions inside string interpolations are code and are kept. Regex literals are not understood; the tree uses none.
struct Lexer {
    private let bytes: [UInt8]
    private var position = 0
    private var line = 1
    private var lastTokenLine = 0
    private var spaced = false
    private(set) var tokens: [Token] = []

    static func tokens(of text: String) -> [Token] {
        var lexer = Lexer(bytes: Array(text.utf8))
        lexer.run(untilClosing: false)
        return lexer.tokens
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private func peek(_ offset: Int = 0) -> UInt8 {
        position + offset < bytes.count ? bytes[position + offset] : 0
    }

    private mutating func advance(_ count: Int = 1) {
        for _ in 0..<count where position < bytes.count {
            if bytes[position] == UInt8(ascii: "\n") { line += 1 }
            position += 1
        }
    }

    private mutating func append(_ kind: Token.Kind, _ text: String, at line: Int) {
        tokens.append(Token(kind: kind, text: text, line: line, startsLine: line != lastTokenLine, spaced: spaced))
        lastTokenLine = line
        spaced = false
    }

    /// Reads to the end of the file, or to the parenthesis that closes an interpolation.
    private mutating func run(untilClosing: Bool) {
        var depth = 0
        while position < bytes.count {
            let byte = peek()
            if byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\r") {
                spaced = true
                advance()
            } else if byte == UInt8(ascii: "/"), peek(1) == UInt8(ascii: "/") {
                skipLineComment()
            } else if byte == UInt8(ascii: "/"), peek(1) == UInt8(ascii: "*") {
                skipBlockComment()
            } else if let hashes = stringStart() {
                string(hashes: hashes)
            } else if isWordStart(byte) {
                word()
            } else if (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
                number()
            } else {
                if byte == UInt8(ascii: "(") { depth += 1 }
                if byte == UInt8(ascii: ")") { depth -= 1 }
                append(.symbol, String(decoding: [byte], as: UTF8.self), at: line)
                advance()
                if untilClosing, depth == 0 { return }
            }
        }
    }

    private func isWordStart(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "$")
            || byte == UInt8(ascii: "`") || byte >= 0x80
    }

    private mutating func word() {
        let start = position
        let quoted = peek() == UInt8(ascii: "`")
        advance()
        while position < bytes.count {
            let byte = peek()
            if quoted {
                advance()
                if byte == UInt8(ascii: "`") { break }
            } else if isWordStart(byte) && byte != UInt8(ascii: "`") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
                advance()
            } else {
                break
            }
        }
        append(.identifier, String(decoding: bytes[start..<position], as: UTF8.self), at: line)
    }

    private mutating func number() {
        let start = position
        while isWordStart(peek()) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(peek())
            || peek() == UInt8(ascii: ".") && (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(peek(1))
        { advance() }
        append(.number, String(decoding: bytes[start..<position], as: UTF8.self), at: line)
    }

    private mutating func skipLineComment() {
        while position < bytes.count, peek() != UInt8(ascii: "\n") { advance() }
        spaced = true
    }

    private mutating func skipBlockComment() {
        var depth = 0
        repeat {
            if peek() == UInt8(ascii: "/"), peek(1) == UInt8(ascii: "*") {
                depth += 1
                advance(2)
            } else if peek() == UInt8(ascii: "*"), peek(1) == UInt8(ascii: "/") {
                depth -= 1
                advance(2)
            } else {
                advance()
            }
        } while depth > 0 && position < bytes.count
        spaced = true
    }

    /// The number of `#` before a quotation mark that begins here, or nil.
    private func stringStart() -> Int? {
        var hashes = 0
        while peek(hashes) == UInt8(ascii: "#") { hashes += 1 }
        return peek(hashes) == UInt8(ascii: "\"") ? hashes : nil
    }

    private func repeats(_ byte: UInt8, _ count: Int, from offset: Int) -> Bool {
        (0..<count).allSatisfy { peek(offset + $0) == byte }
    }

    private mutating func string(hashes: Int) {
        let index = tokens.count
        append(.string, "", at: line)
        advance(hashes)
        let quotes = repeats(UInt8(ascii: "\""), 3, from: 0) ? 3 : 1
        advance(quotes)
        var content: [UInt8] = []
        while position < bytes.count {
            let byte = peek()
            if byte == UInt8(ascii: "\""), repeats(UInt8(ascii: "\""), quotes, from: 0), repeats(UInt8(ascii: "#"), hashes, from: quotes) {
                advance(quotes + hashes)
                break
            }
            if byte == UInt8(ascii: "\n"), quotes == 1 { break }  // unterminated: go on with the next line
            if byte == UInt8(ascii: "\\"), repeats(UInt8(ascii: "#"), hashes, from: 1) {
                advance(1 + hashes)
                if peek() == UInt8(ascii: "(") {
                    run(untilClosing: true)
                    continue
                }
                content.append(byte)
            }
            content.append(peek())
            advance()
        }
        tokens[index].text = String(decoding: content, as: UTF8.self)
        lastTokenLine = line
    }
}
