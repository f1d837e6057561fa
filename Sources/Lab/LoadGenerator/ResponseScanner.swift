// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Finds the end of an HTTP/1 response, and its status, without building anything: a load generator wants no more from it.
struct ResponseScanner {
    enum Progress: Equatable {
        /// The response goes on.
        case incomplete
        /// The response is complete. `reusable` is false when the server will close the connection.
        case complete(status: Int, reusable: Bool)
        /// These bytes are not an HTTP/1 response, or more follow than the response holds.
        case malformed
    }

    /// Longest head, in bytes: twice what common servers accept from clients.
    static let headBytesMax = 64 << 10

    private enum State {
        case head
        case fixedBody(remaining: Int)
        case chunkSize(value: Int, digits: Int, inExtension: Bool)
        case chunkData(remaining: Int)
        case trailer(lineBytes: Int)
        case untilClose
    }

    private var state = State.head
    /// The beginning of a head that arrived in pieces.
    private var carried: ByteBuffer?
    private var status = 0
    private var reusable = true
    /// Whether the last head is kept, for somebody who wants to read its fields.
    var keepsHead = false
    /// The head of the last response, if it is kept.
    private(set) var head: ByteBuffer?

    /// Takes the next bytes from the connection.
    mutating func feed(_ bytes: ByteBuffer) -> Progress {
        var buffer = bytes
        if case .head = state {
            if var whole = carried {
                whole.writeBuffer(&buffer)
                buffer = whole
                carried = nil
            }
            switch readHead(&buffer) {
            case .some(let progress): return progress
            case .none: break
            }
        }
        return readBody(&buffer)
    }

    /// The status, if the response is one that ends when the server closes the connection.
    var statusAtClose: Int? {
        if case .untilClose = state { status } else { nil }
    }

    /// Reads heads, skipping interim ones (1xx). Nil means that a body follows or that an empty one ends here.
    private mutating func readHead(_ buffer: inout ByteBuffer) -> Progress? {
        while true {
            let head = ResponseHead.scan(buffer.readableBytesUInt8Span)
            switch head {
            case .malformed: return .malformed
            case .incomplete:
                guard buffer.readableBytes <= Self.headBytesMax else { return .malformed }
                carried = buffer
                return .incomplete
            case .found(let head):
                if keepsHead { self.head = buffer.getSlice(at: buffer.readerIndex, length: head.byteCount) }
                buffer.moveReaderIndex(forwardBy: head.byteCount)
                if (100..<200).contains(head.status) { continue }
                status = head.status
                reusable = head.keepsAlive
                if head.status == 204 || head.status == 304 {
                    state = .fixedBody(remaining: 0)
                } else if head.isChunked {
                    state = .chunkSize(value: 0, digits: 0, inExtension: false)
                } else if let length = head.contentLength {
                    state = .fixedBody(remaining: length)
                } else {
                    state = .untilClose
                }
                return nil
            }
        }
    }

    private mutating func readBody(_ buffer: inout ByteBuffer) -> Progress {
        while true {
            switch state {
            case .head: return .incomplete
            case .untilClose: return .incomplete
            case .fixedBody(let remaining):
                guard buffer.readableBytes >= remaining else {
                    state = .fixedBody(remaining: remaining - buffer.readableBytes)
                    return .incomplete
                }
                buffer.moveReaderIndex(forwardBy: remaining)
                return end(buffer)
            case .chunkData(let remaining):
                guard buffer.readableBytes >= remaining else {
                    state = .chunkData(remaining: remaining - buffer.readableBytes)
                    return .incomplete
                }
                buffer.moveReaderIndex(forwardBy: remaining)
                state = .chunkSize(value: 0, digits: 0, inExtension: false)
            case .chunkSize(let value, let digits, let inExtension):
                guard let byte: UInt8 = buffer.readInteger() else { return .incomplete }
                guard let next = Self.afterChunkSizeByte(byte, value: value, digits: digits, inExtension: inExtension) else {
                    return .malformed
                }
                state = next
            case .trailer(let lineBytes):
                guard let byte: UInt8 = buffer.readInteger() else { return .incomplete }
                if byte == UInt8(ascii: "\n") {
                    if lineBytes == 0 { return end(buffer) }
                    state = .trailer(lineBytes: 0)
                } else if byte != UInt8(ascii: "\r") {
                    guard lineBytes < Self.headBytesMax else { return .malformed }
                    state = .trailer(lineBytes: lineBytes + 1)
                }
            }
        }
    }

    /// One byte of a chunk's size line; nil if it cannot stand there.
    private static func afterChunkSizeByte(_ byte: UInt8, value: Int, digits: Int, inExtension: Bool) -> State? {
        if byte == UInt8(ascii: "\n") {
            guard digits > 0 else { return nil }
            // The data is followed by CR LF, which is skipped with it.
            return value == 0 ? .trailer(lineBytes: 0) : .chunkData(remaining: value + 2)
        }
        if inExtension || byte == UInt8(ascii: ";") || byte == UInt8(ascii: "\r") || byte == UInt8(ascii: " ") {
            return .chunkSize(value: value, digits: digits, inExtension: true)
        }
        // Fifteen hexadecimal digits are as many as fit.
        guard digits < 15, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else { return nil }
        return .chunkSize(value: value << 4 | digit, digits: digits + 1, inExtension: false)
    }

    private mutating func end(_ rest: ByteBuffer) -> Progress {
        state = .head
        // Nothing was asked for that could be answered by further bytes.
        guard rest.readableBytes == 0 else { return .malformed }
        return .complete(status: status, reusable: reusable)
    }
}

/// What the head of a response says about where the response ends.
struct ResponseHead: Equatable {
    enum Scan: Equatable {
        case found(ResponseHead)
        case incomplete
        case malformed
    }

    var byteCount: Int
    var status: Int
    var keepsAlive: Bool
    var isChunked = false
    var contentLength: Int?

    /// Reads the status line and the three headers that matter.
    static func scan(_ bytes: Span<UInt8>) -> Scan {
        let prefix: StaticString = "HTTP/1."
        for index in 0..<min(7, bytes.count) where bytes[index] != prefix.byte(index) { return .malformed }
        guard bytes.count >= 13 else { return .incomplete }
        var status = 0
        for index in 9..<12 {
            guard bytes[index] >= UInt8(ascii: "0"), bytes[index] <= UInt8(ascii: "9") else { return .malformed }
            status = status * 10 + Int(bytes[index] - UInt8(ascii: "0"))
        }
        guard bytes[8] == UInt8(ascii: " "), status >= 100 else { return .malformed }
        var head = ResponseHead(byteCount: 0, status: status, keepsAlive: bytes[7] != UInt8(ascii: "0"))
        var lineStart = 0
        for index in 12..<bytes.count where bytes[index] == UInt8(ascii: "\n") {
            let lineEnd = index > 0 && bytes[index - 1] == UInt8(ascii: "\r") ? index - 1 : index
            if lineEnd == lineStart {
                head.byteCount = index + 1
                return .found(head)
            }
            if lineStart > 0, !head.read(bytes, lineStart, lineEnd) { return .malformed }
            lineStart = index + 1
        }
        return .incomplete
    }

    /// Reads one header line. False if it is a length that is not a number.
    private mutating func read(_ bytes: Span<UInt8>, _ start: Int, _ end: Int) -> Bool {
        switch bytes[start] | 0x20 {
        case UInt8(ascii: "c"):
            if let value = Self.value(of: "content-length:", bytes, start, end) {
                var length = 0
                guard value < end, end - value <= 15 else { return false }
                for index in value..<end {
                    guard bytes[index] >= UInt8(ascii: "0"), bytes[index] <= UInt8(ascii: "9") else { return false }
                    length = length * 10 + Int(bytes[index] - UInt8(ascii: "0"))
                }
                contentLength = length
            } else if let value = Self.value(of: "connection:", bytes, start, end) {
                if Self.matches("close", bytes, value, end) { keepsAlive = false }
                if Self.matches("keep-alive", bytes, value, end) { keepsAlive = true }
            }
        case UInt8(ascii: "t"):
            if let value = Self.value(of: "transfer-encoding:", bytes, start, end), Self.matches("chunked", bytes, value, end) {
                isChunked = true
            }
        default: break
        }
        return true
    }

    /// Where the value begins if the line has this name, which ends with a colon.
    private static func value(of name: StaticString, _ bytes: Span<UInt8>, _ start: Int, _ end: Int) -> Int? {
        guard matches(name, bytes, start, end) else { return nil }
        var index = start + name.utf8CodeUnitCount
        while index < end, bytes[index] == UInt8(ascii: " ") || bytes[index] == UInt8(ascii: "\t") { index += 1 }
        return index
    }

    /// Whether the bytes from `start` on begin with `word`, which is written in lower case.
    private static func matches(_ word: StaticString, _ bytes: Span<UInt8>, _ start: Int, _ end: Int) -> Bool {
        guard end - start >= word.utf8CodeUnitCount else { return false }
        for index in 0..<word.utf8CodeUnitCount {
            let byte = bytes[start + index]
            let lower = byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
            guard lower == word.byte(index) else { return false }
        }
        return true
    }
}

extension StaticString {
    fileprivate func byte(_ index: Int) -> UInt8 {
        precondition(index >= 0 && index < utf8CodeUnitCount)
        return unsafe utf8Start[index]
    }
}
