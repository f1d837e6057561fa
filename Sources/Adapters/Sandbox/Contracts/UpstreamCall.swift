// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import NIOCore

/// One call on its way through a channel, with the two callbacks that end it.
final class UpstreamCall: Sendable {
    let id: CallID
    let request: CallRequest<ByteBuffer>
    let reply: @Sendable (Result<CallResponse<ByteBuffer>, CallFailure>) -> Void
    let finished: @Sendable (CallFailure?) -> Void
    /// Whether the request was sent once already and the server had closed the connection before it read it.
    let isRepeated: Bool

    init(
        id: CallID, request: CallRequest<ByteBuffer>, reply: @escaping @Sendable (Result<CallResponse<ByteBuffer>, CallFailure>) -> Void,
        finished: @escaping @Sendable (CallFailure?) -> Void, isRepeated: Bool = false
    ) {
        (self.id, self.request, self.reply, self.finished, self.isRepeated) = (id, request, reply, finished, isRepeated)
    }

    /// The same call, sent for the second time.
    func repeated() -> UpstreamCall { UpstreamCall(id: id, request: request, reply: reply, finished: finished, isRepeated: true) }

    func fail(_ failure: CallFailure) {
        reply(.failure(failure))
        finished(failure)
    }
}

extension CallFailure {
    /// Nothing of the call reached the function, so that another replica may take it.
    static let unsentToReplica = CallFailure(.unsent, "The replica was gone before the call reached it; try again.")
}

extension UpstreamCall {
    /// A request that its reader takes in one piece: unread by a worker that is gone, it has certainly not been begun.
    private static let onePieceMax = 32 << 10

    var isOnePiece: Bool { if case .whole(let bytes) = request.body { bytes.readableBytes <= Self.onePieceMax } else { false } }

    /// Sending it twice does what sending it once does (RFC 9110, 9.2.2), and it can be sent twice.
    var mayRepeat: Bool {
        guard !isRepeated, case .whole = request.body else { return false }
        switch request.method {
        case "GET", "HEAD", "PUT", "DELETE", "OPTIONS": return true
        default: return false
        }
    }

    /// The length that the caller announced for a body that is still coming; nil where it comes in chunks.
    var announcedLength: Int? {
        let given = request.headers.first { Header.kind($0.name) == .contentLength }.flatMap { Int($0.value) }
        return given.flatMap { $0 >= 0 ? $0 : nil }
    }
}

/// What a header field means to a hop.
enum Header {
    enum Kind { case endToEnd, hopByHop, contentLength, host }

    static func kind(_ name: String) -> Kind {
        // By length first: this runs for each header of each call.
        switch name.utf8.count {
        case 2: equal(name, "te") ? .hopByHop : .endToEnd
        case 4: equal(name, "host") ? .host : .endToEnd
        case 6: equal(name, "expect") ? .hopByHop : .endToEnd
        case 7: equal(name, "trailer") || equal(name, "upgrade") ? .hopByHop : .endToEnd
        case 10: equal(name, "connection") || equal(name, "keep-alive") ? .hopByHop : .endToEnd
        case 14: equal(name, "content-length") ? .contentLength : .endToEnd
        case 16: equal(name, "proxy-connection") ? .hopByHop : .endToEnd
        case 17: equal(name, "transfer-encoding") ? .hopByHop : .endToEnd
        default: .endToEnd
        }
    }

    static func equal(_ name: String, _ lower: StaticString) -> Bool {
        let count = lower.utf8CodeUnitCount
        guard name.utf8.count == count else { return false }
        return unsafe bytes(of: name) { bytes in
            for index in 0..<count {
                let byte = unsafe bytes[index]
                let folded = byte &- UInt8(ascii: "A") < 26 ? byte | 0x20 : byte
                guard unsafe folded == lower.utf8Start[index] else { return false }
            }
            return true
        }
    }

    /// The characters of a field's name or a method.
    static func isToken(_ text: String) -> Bool { text.isEmpty ? false : unsafe bytes(of: text) { unsafe isToken($0) } }

    /// No control characters: they could end a header and begin another.
    static func isSafe(_ text: String) -> Bool { unsafe bytes(of: text) { unsafe isSafe($0) } }

    static func isToken(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        for unsafebyte in unsafe bytes where !byte.isToken { return false }
        return true
    }

    static func isSafe(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        let raw = UnsafeRawBufferPointer(bytes)
        var index = 0
        // Eight at a time: words that hold something below a space, or the delete character, are looked at again.
        while index + 8 <= raw.count {
            let word = unsafe raw.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            let deleted = word ^ 0x7F7F_7F7F_7F7F_7F7F
            let low = (word &- 0x2020_2020_2020_2020) & ~word
            let suspicious = (low | (deleted &- 0x0101_0101_0101_0101) & ~deleted) & 0x8080_8080_8080_8080
            if suspicious != 0 {
                for place in index..<index + 8 where unsafe !isSafe(raw[place]) { return false }
            }
            index += 8
        }
        while index < raw.count {
            guard unsafe isSafe(raw[index]) else { return false }
            index += 1
        }
        return true
    }

    private static func isSafe(_ byte: UInt8) -> Bool { byte >= 0x20 && byte != 0x7F || byte == 0x09 }

    /// The bytes of a text where they are: its views would look up each of them.
    static func bytes<Value>(of text: String, _ body: (UnsafeBufferPointer<UInt8>) -> Value) -> Value {
        if let value = unsafe text.utf8.withContiguousStorageIfAvailable(body) { return value }
        var copy = text
        return copy.withUTF8(body)
    }

    /// Path and query for the request line; bytes that would break the line are percent-encoded.
    static func target(path: String, query: String) -> String {
        var target = path.hasPrefix("/") ? path : "/" + path
        if !query.isEmpty { target += "?" + query }
        let isWritable = unsafe bytes(of: target) { bytes in unsafe bytes.allSatisfy { $0 > 0x20 && $0 != 0x7f } }
        guard !isWritable else { return target }
        let digits = Array("0123456789ABCDEF".utf8)
        var encoded: [UInt8] = []
        for byte in target.utf8 {
            if byte > 0x20 && byte != 0x7f {
                encoded.append(byte)
            } else {
                encoded += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: encoded, as: UTF8.self)
    }

    /// The header by which Brume's own agent and shims say that a reply stands for a failure: `KIND SENTENCE`.
    static let failure: StaticString = "brume-failure"

    static func parseFailure(_ text: String) -> CallFailure {
        let parts = text.split(separator: " ", maxSplits: 1)
        let kind = parts.first.flatMap { CallFailure.Kind(rawValue: String($0)) }
        return CallFailure(kind ?? .handlerError, parts.count > 1 ? String(parts[1]) : text)
    }
}
