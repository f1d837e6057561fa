// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import NIOCore

/// Reads a function's HTTP/1 reply from bytes as they come, without building more than a call needs of it.
///
/// What it reads is framed anew for the caller, so a reply that two readers might understand differently never gets further than here.
struct ReplyParser {
    enum Part: Equatable {
        case head(ReplyHead)
        case body(ByteBuffer)
        /// The reply is complete.
        case end(trailers: [HeaderField])
    }

    private enum State {
        case head
        case body(remaining: Int)
        case chunkSize
        case chunk(remaining: Int)
        case chunkEnd
        case trailers
        case untilClose
    }

    /// Longest line that announces a chunk: sixteen digits and what some servers add to them.
    private static let chunkLineBytesMax = 1024

    private let headBytesMax: Int
    private let answersHead: Bool
    private var state = State.head
    private var buffer = ByteBuffer()
    /// How much of the buffer is known to hold no end of a head.
    private var scanned = 0
    private var isOver = false

    /// - Parameters:
    ///   - headBytesMax: bound on a head, and on the trailers.
    ///   - answersHead: the request was a `HEAD`, whose reply has no body whatever it says.
    init(headBytesMax: Int, answersHead: Bool) {
        self.headBytesMax = headBytesMax
        self.answersHead = answersHead
    }

    /// Bytes that no part has been made of.
    var rest: Int { buffer.readableBytes }
    /// The reply ends where the connection does.
    var endsWithConnection: Bool { if case .untilClose = state { true } else { false } }

    mutating func feed(_ bytes: ByteBuffer) {
        if buffer.readableBytes == 0 {
            buffer = bytes
        } else {
            buffer.writeImmutableBuffer(bytes)
        }
    }

    /// The next part, or nil where more bytes are needed first.
    ///
    /// - Throws: `CallFailure` (`badReply`).
    mutating func next() throws(CallFailure) -> Part? {
        while !isOver {
            switch state {
            case .head:
                guard let lines = try completeLines() else { return nil }
                let head = try ReplyHead(lines, of: buffer)
                consume(lines)
                // An interim reply (RFC 9110, 15.2) announces the real one. Nobody asked for another protocol.
                if (100..<200).contains(head.status), head.status != 101 { continue }
                state = try firstState(after: head)
                return .head(head)
            case .body(0): return end([])
            case .body(let remaining):
                guard let bytes = take(remaining) else { return nil }
                state = .body(remaining: remaining - bytes.readableBytes)
                return .body(bytes)
            case .untilClose: return take(.max).map { .body($0) }
            case .chunkSize:
                guard let size = try chunkSize() else { return nil }
                state = size == 0 ? .trailers : .chunk(remaining: size)
            case .chunk(0): state = .chunkEnd
            case .chunk(let remaining):
                guard let bytes = take(remaining) else { return nil }
                state = .chunk(remaining: remaining - bytes.readableBytes)
                return .body(bytes)
            case .chunkEnd:
                guard let ended = try lineBreak() else { return nil }
                if ended { state = .chunkSize }
            case .trailers:
                // Without trailers the end is an empty line alone.
                if let ended = try lineBreak(orNothing: true), ended { return end([]) }
                guard let lines = try completeLines() else { return nil }
                let trailers = try ReplyHead.fields(lines.fields, of: buffer)
                consume(lines)
                return end(trailers)
            }
        }
        return nil
    }

    private mutating func end(_ trailers: [HeaderField]) -> Part {
        isOver = true
        return .end(trailers: trailers)
    }

    private func firstState(after head: ReplyHead) throws(CallFailure) -> State {
        if answersHead || head.status == 204 || head.status == 304 { return .body(remaining: 0) }
        if head.isChunked { return .chunkSize }
        if let length = head.contentLength { return .body(remaining: length) }
        return .untilClose
    }

    // MARK: Bytes

    private mutating func take(_ count: Int) -> ByteBuffer? {
        guard buffer.readableBytes > 0 else { return nil }
        return buffer.readSlice(length: min(count, buffer.readableBytes))
    }

    private mutating func consume(_ lines: Lines) {
        buffer.moveReaderIndex(forwardBy: lines.byteCount)
        scanned = 0
    }

    /// Lines up to and with the empty one that ends them; offsets from the buffer's reader index.
    struct Lines {
        /// The first line of a head; empty for trailers.
        var first = 0..<0
        var fields: [Range<Int>] = []
        var byteCount = 0
    }

    private mutating func completeLines() throws(CallFailure) -> Lines? {
        guard let end = endOfLines() else {
            guard buffer.readableBytes <= headBytesMax else { throw .overlongHead(headBytesMax) }
            return nil
        }
        guard end <= headBytesMax else { throw .overlongHead(headBytesMax) }
        let bytes = buffer.readableBytesUInt8Span
        var lines = Lines(byteCount: end)
        lines.fields.reserveCapacity(12)
        var start = 0
        for index in 0..<end where bytes[index] == .lineFeed {
            let lineEnd = index > start && bytes[index - 1] == .carriageReturn ? index - 1 : index
            if lineEnd > start { lines.fields.append(start..<lineEnd) }
            start = index + 1
        }
        if case .head = state, !lines.fields.isEmpty { lines.first = lines.fields.removeFirst() }
        return lines
    }

    /// How many bytes there are up to and with the first empty line.
    private mutating func endOfLines() -> Int? {
        let end = Self.endOfLines(buffer.readableBytesUInt8Span, from: scanned)
        if end == nil { scanned = buffer.readableBytes }
        return end
    }

    private static func endOfLines(_ bytes: Span<UInt8>, from start: Int) -> Int? {
        for index in start..<bytes.count where bytes[index] == .lineFeed {
            let before = index > 0 && bytes[index - 1] == .carriageReturn ? index - 2 : index - 1
            if before < 0 || bytes[before] == .lineFeed { return index + 1 }
        }
        return nil
    }

    /// Takes a line break. Nil: it has not come whole. False: something else stands there, which only `orNothing` permits.
    private mutating func lineBreak(orNothing: Bool = false) throws(CallFailure) -> Bool? {
        guard let length = Self.lineBreakLength(buffer.readableBytesUInt8Span) else { return nil }
        guard length > 0 || orNothing else { throw .malformedReply("a chunk is longer than it says") }
        buffer.moveReaderIndex(forwardBy: length)
        return length > 0
    }

    /// How many of the first bytes are a line break; nil where that is not known yet.
    private static func lineBreakLength(_ bytes: Span<UInt8>) -> Int? {
        guard bytes.count > 0 else { return nil }
        if bytes[0] == .lineFeed { return 1 }
        guard bytes[0] == .carriageReturn else { return 0 }
        guard bytes.count > 1 else { return nil }
        return bytes[1] == .lineFeed ? 2 : 0
    }

    private mutating func chunkSize() throws(CallFailure) -> Int? {
        guard let (size, byteCount) = try Self.chunkSize(buffer.readableBytesUInt8Span) else { return nil }
        buffer.moveReaderIndex(forwardBy: byteCount)
        return size
    }

    private static func chunkSize(_ bytes: Span<UInt8>) throws(CallFailure) -> (size: Int, byteCount: Int)? {
        var size = 0
        var digits = 0
        var inExtension = false
        for index in 0..<min(bytes.count, chunkLineBytesMax) {
            let byte = bytes[index]
            if byte == .lineFeed, digits > 0 { return (size, index + 1) }
            if inExtension { continue }
            if digits > 0, byte == UInt8(ascii: ";") || byte == UInt8(ascii: " ") || byte == .carriageReturn {
                inExtension = true
                continue
            }
            // Fifteen hexadecimal digits are as many as fit.
            guard digits < 15, let digit = byte.hexadecimalValue else { throw .malformedReply("a chunk has no size") }
            size = size << 4 | digit
            digits += 1
        }
        guard bytes.count < chunkLineBytesMax else { throw .malformedReply("a chunk has no size") }
        return nil
    }
}

extension CallFailure {
    static func malformedReply(_ why: String) -> CallFailure {
        CallFailure(.badReply, "The function's reply is not valid HTTP/1.1: \(why).")
    }

    static func overlongHead(_ limit: Int) -> CallFailure {
        CallFailure(.badReply, "The function's reply has a head or trailer of more than \(limit) bytes.")
    }
}

extension UInt8 {
    static let lineFeed = UInt8(ascii: "\n")
    static let carriageReturn = UInt8(ascii: "\r")

    /// The value of a hexadecimal digit.
    var hexadecimalValue: Int? {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): Int(self - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): Int(self - UInt8(ascii: "a")) + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): Int(self - UInt8(ascii: "A")) + 10
        default: nil
        }
    }

    /// A character of a field's name (RFC 9110, 5.6.2): a bit for each, as this is asked for every byte of every name.
    var isToken: Bool {
        let bits: UInt64 = self < 64 ? 0x03FF_6CFA_0000_0000 : self < 128 ? 0x57FF_FFFF_C7FF_FFFE : 0
        return bits >> UInt64(self & 63) & 1 == 1
    }
}
