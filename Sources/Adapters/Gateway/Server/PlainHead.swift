// SPDX-License-Identifier: Apache-2.0

/// The head of a request to a function as nearly all clients send it: HTTP/1.1, with a length and without anything that asks for more
/// than an answer.
///
/// It is read in one pass and in less than half the time that the general parser takes. Whatever is not exactly of this form is left to
/// that parser, which also says what is wrong with it; what is read here it would have read alike.
struct PlainHead {
    /// Longest head that is read here, and longest beginning of a request that is kept for its end: more than clients send.
    static let bytesMax = 16 << 10
    /// Header fields at most, far below the general parser's own limit.
    static let fieldsMax = 100

    enum Finding {
        case head(PlainHead)
        /// So far it is one.
        case unfinished
        /// Something for the general parser.
        case other
    }

    let method: String
    let target: String
    let fields: [(name: String, value: String)]
    let bodyLength: Int
    /// Of the head, with the empty line that ends it.
    let byteCount: Int

    /// The methods that are read here: `OPTIONS` may be a browser's question, which is answered elsewhere.
    private static func methods(beginningWith byte: UInt8) -> (StaticString, StaticString, StaticString)? {
        switch byte {
        case UInt8(ascii: "P"): ("POST ", "PUT ", "PATCH ")
        case UInt8(ascii: "G"): ("GET ", "GET ", "GET ")
        case UInt8(ascii: "H"): ("HEAD ", "HEAD ", "HEAD ")
        case UInt8(ascii: "D"): ("DELETE ", "DELETE ", "DELETE ")
        default: nil
        }
    }
    private static var prefix: StaticString { "/function/" }
    private static var version: StaticString { " HTTP/1.1\r\n" }

    static func find(in bytes: Span<UInt8>) -> Finding {
        let (methodEnd, targetEnd, fieldsStart): (Int, Int, Int)
        switch requestLine(bytes) {
        case .at(let ends): (methodEnd, targetEnd, fieldsStart) = ends
        case .early: return bytes.count < bytesMax ? .unfinished : .other
        case .other: return .other
        }
        var fields: [(name: String, value: String)] = []
        fields.reserveCapacity(16)
        var bodyLength: Int?
        var position = fieldsStart
        while true {
            switch bytes.line(at: position) {
            case .unfinished: return bytes.count < bytesMax ? .unfinished : .other
            case .other: return .other
            case .end(let end):
                return .head(
                    PlainHead(
                        method: bytes.text(0..<methodEnd), target: bytes.text(methodEnd + 1..<targetEnd), fields: fields,
                        bodyLength: bodyLength ?? 0, byteCount: end))
            case .field(let nameRange, let value, let next):
                let name = bytes.text(nameRange)
                switch role(of: name) {
                case .ordinary: break
                case .special: return .other
                case .connection: guard bytes.equals(value, "keep-alive") else { return .other }
                case .contentLength:
                    guard bodyLength == nil, let length = bytes.number(value) else { return .other }
                    bodyLength = length
                }
                guard fields.count < fieldsMax else { return .other }
                fields.append((name, bytes.text(value)))
                position = next
            }
        }
    }

    /// - Returns: where the method, the target and the whole line end.
    private static func requestLine(_ bytes: Span<UInt8>) -> PlainStep<(Int, Int, Int)> {
        guard bytes.count > 0 else { return .early }
        guard let names = methods(beginningWith: bytes[0]) else { return .other }
        var found = bytes.skip(names.0, at: 0)
        if case .other = found { found = bytes.skip(names.1, at: 0) }
        if case .other = found { found = bytes.skip(names.2, at: 0) }
        guard case .at(let start) = found else { return found.nothing() }
        let prefixed = bytes.skip(prefix, at: start)
        guard case .at(var position) = prefixed else { return prefixed.nothing() }
        while position < bytes.count {
            let byte = bytes[position]
            if byte == UInt8(ascii: " ") {
                let rest = bytes.skip(version, at: position)
                guard case .at(let end) = rest else { return rest.nothing() }
                return .at((start - 1, position, end))
            }
            // A fragment is nothing for a server.
            guard byte > 0x20, byte < 0x7F, byte != UInt8(ascii: "#") else { return .other }
            position += 1
        }
        return .early
    }

    private enum Role { case ordinary, special, connection, contentLength }

    /// By length first: this runs for each field of each request.
    private static func role(of name: String) -> Role {
        let bytes = name.utf8
        switch bytes.count {
        case 2: return HeaderNames.matches(bytes, "te") ? .special : .ordinary
        case 6: return HeaderNames.matches(bytes, "expect") ? .special : .ordinary
        case 7: return HeaderNames.matches(bytes, "upgrade") || HeaderNames.matches(bytes, "trailer") ? .special : .ordinary
        case 10: return HeaderNames.matches(bytes, "connection") ? .connection : .ordinary
        case 14: return HeaderNames.matches(bytes, "content-length") ? .contentLength : .ordinary
        case 16: return HeaderNames.matches(bytes, "proxy-connection") ? .special : .ordinary
        case 17: return HeaderNames.matches(bytes, "transfer-encoding") ? .special : .ordinary
        default: return .ordinary
        }
    }
}

/// How far something was found in bytes of which more may come.
private enum PlainStep<Value> {
    case at(Value)
    /// The bytes end before it does.
    case early
    case other

    func nothing<Wanted>() -> PlainStep<Wanted> { if case .early = self { .early } else { .other } }
}

private enum PlainLine {
    case field(name: Range<Int>, value: Range<Int>, next: Int)
    /// The empty line, and what comes after it.
    case end(Int)
    case unfinished
    case other
}

extension Span<UInt8> {
    /// - Returns: what comes after these bytes.
    fileprivate func skip(_ expected: StaticString, at start: Int) -> PlainStep<Int> {
        for index in 0..<expected.utf8CodeUnitCount {
            guard start + index < count else { return .early }
            guard unsafe self[start + index] == expected.utf8Start[index] else { return .other }
        }
        return .at(start + expected.utf8CodeUnitCount)
    }

    fileprivate func line(at start: Int) -> PlainLine {
        guard start + 1 < count else { return .unfinished }
        if self[start] == 0x0D { return self[start + 1] == 0x0A ? .end(start + 2) : .other }
        var colon = start
        while colon < count, HeaderBytes.isToken(self[colon]) { colon += 1 }
        guard colon < count else { return .unfinished }
        guard colon > start, self[colon] == UInt8(ascii: ":") else { return .other }
        var first = colon + 1
        while first < count, self[first] == 0x20 || self[first] == 0x09 { first += 1 }
        var end = first
        while end < count, (self[end] >= 0x20 && self[end] < 0x7F) || self[end] == 0x09 { end += 1 }
        guard end + 1 < count else { return .unfinished }
        guard self[end] == 0x0D, self[end + 1] == 0x0A else { return .other }
        // Where white space at the end belongs to is a matter on which parsers differ.
        guard end > first, self[end - 1] != 0x20, self[end - 1] != 0x09 else { return .other }
        return .field(name: start..<colon, value: first..<end, next: end + 2)
    }

    fileprivate func text(_ range: Range<Int>) -> String {
        unsafe extracting(range).withUnsafeBufferPointer { unsafe String(decoding: $0, as: UTF8.self) }
    }

    fileprivate func equals(_ range: Range<Int>, _ lower: StaticString) -> Bool {
        guard range.count == lower.utf8CodeUnitCount else { return false }
        for index in 0..<range.count where unsafe self[range.lowerBound + index] | 0x20 != lower.utf8Start[index] { return false }
        return true
    }

    /// Up to nine digits: no body is longer than that.
    fileprivate func number(_ range: Range<Int>) -> Int? {
        guard range.count <= 9 else { return nil }
        var number = 0
        for index in range {
            let digit = self[index] &- UInt8(ascii: "0")
            guard digit < 10 else { return nil }
            number = number * 10 + Int(digit)
        }
        return number
    }
}
