// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// What the node answered to one command.
public enum Reply: Sendable, Equatable {
    case simple(String)
    case refused(StateFailure)
    case integer(Int64)
    case bytes(ByteBuffer)
    case array([Reply])
    case nothing

    /// The whole number that this is or spells; nil where it is neither.
    public var integer: Int64? {
        if case .integer(let value) = self { return value }
        return text.flatMap { Int64($0) }
    }

    /// The text that this is; nil for numbers, arrays and nothing.
    public var text: String? {
        switch self {
        case .simple(let text): text
        case .bytes(let bytes): String(buffer: bytes)
        default: nil
        }
    }

    public var elements: [Reply] {
        if case .array(let elements) = self { return elements }
        return []
    }
}

/// Why something with state did not work.
public struct StateFailure: Error, Sendable, Equatable, CustomStringConvertible {
    /// The first word of the node's answer (`WRONGTYPE`, `NOAUTH`, ...), or one said here: `NOSTATE`, `CLOSED`, `PROTOCOL`, `VALUE`.
    public let code: String
    /// One sentence.
    public let description: String

    public init(code: String, _ description: String) {
        self.code = code
        self.description = description
    }

    /// - Parameter line: an error reply without its dash.
    init(line: String) {
        code = String(line.prefix { $0 != " " })
        description = line
    }
}

/// Limits of what is read from the node.
enum ReplyLimits {
    /// Longest line: an error message, or a number.
    static let lineBytes = 64 << 10
    /// Longest byte string: no object of a node is larger.
    static let bytesMax = 64 << 20
    /// Most elements of one array: a set with millions of members is read whole only by mistake, but it may be.
    static let elementsMax = 64 << 20
    /// Arrays in arrays: replies have two or three levels.
    static let depthMax = 16
}

/// Cuts a stream of bytes into replies (RESP2).
struct ReplyDecoder: ByteToMessageDecoder {
    typealias InboundOut = Reply

    mutating func decode(context: ChannelHandlerContext, buffer: inout ByteBuffer) throws -> DecodingState {
        var ahead = buffer
        guard let reply = try Self.read(&ahead, depth: 0) else { return .needMoreData }
        buffer = ahead
        context.fireChannelRead(wrapInboundOut(reply))
        return .continue
    }

    mutating func decodeLast(context: ChannelHandlerContext, buffer: inout ByteBuffer, seenEOF: Bool) throws -> DecodingState {
        while try decode(context: context, buffer: &buffer) == .continue {}
        return .needMoreData
    }

    /// One whole reply, or nil if it is not all there.
    static func read(_ buffer: inout ByteBuffer, depth: Int) throws(StateFailure) -> Reply? {
        guard depth <= ReplyLimits.depthMax else { throw broken("arrays are nested too deeply") }
        guard let line = try line(&buffer) else { return nil }
        guard let kind = line.utf8.first else { throw broken("a line is empty") }
        let rest = String(line.dropFirst())
        switch kind {
        case UInt8(ascii: "+"): return .simple(rest)
        case UInt8(ascii: "-"): return .refused(StateFailure(line: rest))
        case UInt8(ascii: ":"):
            guard let value = Int64(rest) else { throw broken("'\(rest.prefix(20))' is no number") }
            return .integer(value)
        case UInt8(ascii: "$"):
            guard let count = try length(rest, max: ReplyLimits.bytesMax) else { return .nothing }
            guard buffer.readableBytes >= count + 2, let bytes = buffer.readSlice(length: count) else { return nil }
            buffer.moveReaderIndex(forwardBy: 2)
            return .bytes(bytes)
        case UInt8(ascii: "*"):
            guard let count = try length(rest, max: ReplyLimits.elementsMax) else { return .nothing }
            var elements: [Reply] = []
            // What was announced is believed only as far as there are bytes for it.
            elements.reserveCapacity(min(count, buffer.readableBytes / 3))
            for _ in 0..<count {
                guard let element = try read(&buffer, depth: depth + 1) else { return nil }
                elements.append(element)
            }
            return .array(elements)
        default: throw broken("'\(line.prefix(1))' begins no reply")
        }
    }

    private static func line(_ buffer: inout ByteBuffer) throws(StateFailure) -> String? {
        let view = buffer.readableBytesView
        guard let end = view.firstIndex(of: UInt8(ascii: "\r")) else {
            guard view.count <= ReplyLimits.lineBytes else { throw broken("a line is too long") }
            return nil
        }
        let count = end - view.startIndex
        guard view.count >= count + 2 else { return nil }
        guard let line = buffer.readString(length: count) else { return nil }
        buffer.moveReaderIndex(forwardBy: 2)
        return line
    }

    /// Nil for the length -1, which stands for nothing.
    private static func length(_ text: String, max: Int) throws(StateFailure) -> Int? {
        guard let value = Int(text), value >= -1, value <= max else { throw broken("'\(text.prefix(20))' is no length") }
        return value < 0 ? nil : value
    }

    private static func broken(_ reason: String) -> StateFailure {
        StateFailure(code: "PROTOCOL", "What the node sent is not RESP2: \(reason).")
    }
}
