// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// Reads JSON (RFC 8259) and says at which line and column it stops being JSON.
///
/// Foundation's decoder accepts commas before a closing bracket and tells no place, so a deployer would have to search for the mistake.
struct JSONParser {
    /// Deepest nesting that is read: no document of the API has more than four levels, and recursion has to end somewhere.
    static let depthMax = 64

    private let bytes: [UInt8]
    private var position = 0

    private init(bytes: [UInt8]) { self.bytes = bytes }

    /// - Throws: `BrumeError` (`invalid`).
    static func parse(_ bytes: [UInt8]) throws(BrumeError) -> JSONValue {
        var parser = JSONParser(bytes: bytes)
        // A byte order mark is what some editors put in front.
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { parser.position = 3 }
        let value = try parser.value(depth: 0)
        parser.skipBlanks()
        guard parser.position == bytes.count else { throw parser.mistake("more text after the end of the document") }
        return value
    }

    private mutating func value(depth: Int) throws(BrumeError) -> JSONValue {
        skipBlanks()
        guard depth <= Self.depthMax else { throw mistake("more than \(Self.depthMax) levels of nesting") }
        switch peek {
        case UInt8(ascii: "{"): return .object(try object(depth: depth))
        case UInt8(ascii: "["): return .array(try array(depth: depth))
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case let byte? where byte == UInt8(ascii: "-") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte):
            return .number(try number())
        default: throw mistake("\(found) where a value should be")
        }
    }

    private mutating func object(depth: Int) throws(BrumeError) -> [String: JSONValue] {
        position += 1
        var fields: [String: JSONValue] = [:]
        skipBlanks()
        if take("}") { return fields }
        while true {
            skipBlanks()
            guard peek == UInt8(ascii: "\"") else { throw mistake("\(found) where a key in quotes should be") }
            let key = try string()
            skipBlanks()
            guard take(":") else { throw mistake("\(found) where a colon should be") }
            fields[key] = try value(depth: depth + 1)
            skipBlanks()
            if take("}") { return fields }
            guard take(",") else { throw mistake("\(found) where a comma or a closing brace should be") }
        }
    }

    private mutating func array(depth: Int) throws(BrumeError) -> [JSONValue] {
        position += 1
        var items: [JSONValue] = []
        skipBlanks()
        if take("]") { return items }
        while true {
            items.append(try value(depth: depth + 1))
            skipBlanks()
            if take("]") { return items }
            guard take(",") else { throw mistake("\(found) where a comma or a closing bracket should be") }
        }
    }

    private mutating func string() throws(BrumeError) -> String {
        position += 1
        var text: [UInt8] = []
        while let byte = peek {
            switch byte {
            case UInt8(ascii: "\""):
                position += 1
                guard let result = String(validating: text, as: UTF8.self) else { throw mistake("text that is not UTF-8") }
                return result
            case UInt8(ascii: "\\"):
                position += 1
                try escape(into: &text)
            case 0..<0x20: throw mistake("a control character inside a string")
            default:
                position += 1
                text.append(byte)
            }
        }
        throw mistake("the end of the document inside a string")
    }

    private mutating func escape(into text: inout [UInt8]) throws(BrumeError) {
        guard let byte = peek else { throw mistake("the end of the document inside a string") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
        case UInt8(ascii: "b"): text.append(8)
        case UInt8(ascii: "f"): text.append(12)
        case UInt8(ascii: "n"): text.append(10)
        case UInt8(ascii: "r"): text.append(13)
        case UInt8(ascii: "t"): text.append(9)
        case UInt8(ascii: "u"):
            var code = try codeUnit()
            if (0xD800..<0xDC00).contains(code), take("\\"), take("u") {
                let low = try codeUnit()
                // An unpaired surrogate becomes the replacement character, as Go has it.
                code = (0xDC00..<0xE000).contains(low) ? 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00) : 0xFFFD
            }
            text.append(contentsOf: String(Character(Unicode.Scalar(code) ?? "\u{FFFD}")).utf8)
        default:
            position -= 1
            throw mistake("an escape that JSON does not know")
        }
    }

    private mutating func codeUnit() throws(BrumeError) -> UInt32 {
        var code: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = peek, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw mistake("an escape without four hexadecimal digits")
            }
            code = code << 4 | UInt32(digit)
            position += 1
        }
        return code
    }

    private mutating func number() throws(BrumeError) -> String {
        let start = position
        _ = take("-")
        if !take("0") { try digits() }
        if take(".") { try digits() }
        if take("e") || take("E") {
            if !take("+") { _ = take("-") }
            try digits()
        }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    private mutating func digits() throws(BrumeError) {
        let start = position
        while let byte = peek, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position += 1 }
        guard position > start else { throw mistake("\(found) where a digit should be") }
    }

    private mutating func word(_ word: String, _ value: JSONValue) throws(BrumeError) -> JSONValue {
        guard bytes[position...].starts(with: word.utf8) else { throw mistake("\(found) where a value should be") }
        position += word.utf8.count
        return value
    }

    private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func take(_ byte: Unicode.Scalar) -> Bool {
        guard peek == UInt8(ascii: byte) else { return false }
        position += 1
        return true
    }

    private mutating func skipBlanks() {
        while let byte = peek, byte == 32 || byte == 9 || byte == 10 || byte == 13 { position += 1 }
    }

    private var found: String {
        guard let byte = peek else { return "the end of the document" }
        return byte > 32 && byte < 127 ? "'\(Character(Unicode.Scalar(byte)))'" : "a byte of value \(byte)"
    }

    /// Counts lines and columns from one, columns in bytes.
    private func mistake(_ what: String) -> BrumeError {
        let read = bytes[..<position]
        let line = read.count { $0 == UInt8(ascii: "\n") } + 1
        let column = position - (read.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0) + 1
        return BrumeError(.invalid, "The request body is not valid JSON: line \(line), column \(column) has \(what).")
    }
}
