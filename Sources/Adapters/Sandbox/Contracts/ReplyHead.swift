// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import NIOCore

/// The head of a function's reply.
struct ReplyHead: Equatable {
    let status: Int
    /// The end-to-end fields without `Content-Length`.
    var fields: [HeaderField] = []
    private(set) var contentLength: Int?
    private(set) var isChunked = false
    /// The function takes another request on this connection.
    private(set) var isKeepAlive: Bool

    /// - Throws: `CallFailure` (`badReply`).
    init(_ lines: ReplyParser.Lines, of buffer: ByteBuffer) throws(CallFailure) {
        (status, isKeepAlive) = try Self.statusLine(lines.first, of: buffer)
        fields.reserveCapacity(lines.fields.count + 1)
        var hasTransferEncoding = false
        for line in lines.fields {
            let (name, value) = try Self.field(line, of: buffer)
            switch Header.kind(name) {
            case .contentLength: try noteLength(value)
            case .hopByHop where Header.equal(name, "connection"):
                let words = value.split(separator: ",").map { $0.filter { $0 != " " && $0 != "\t" }.lowercased() }
                if words.contains("close") { isKeepAlive = false } else if words.contains("keep-alive") { isKeepAlive = true }
            case .hopByHop where Header.equal(name, "transfer-encoding"):
                // Other codings than `chunked`, which must come last and once, are nothing that was asked for (RFC 9112, 6.1).
                guard !hasTransferEncoding, value.lowercased() == "chunked" else {
                    throw .malformedReply("its transfer coding is not just 'chunked'")
                }
                hasTransferEncoding = true
            case .hopByHop: continue
            case .host, .endToEnd: fields.append(HeaderField(name, value))
            }
        }
        isChunked = hasTransferEncoding
        if isChunked, contentLength != nil {
            // The coding counts (RFC 9112, 6.3); who says both is not trusted with another request.
            contentLength = nil
            isKeepAlive = false
        }
    }

    private mutating func noteLength(_ value: String) throws(CallFailure) {
        guard !value.isEmpty, value.utf8.count <= 15, value.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let length = Int(value) else {
            throw .malformedReply("its Content-Length is no number")
        }
        guard contentLength ?? length == length else { throw .malformedReply("it has two different lengths") }
        contentLength = length
    }

    /// `HTTP/1.x NNN reason`.
    private static func statusLine(_ line: Range<Int>, of buffer: ByteBuffer) throws(CallFailure) -> (status: Int, isKeepAlive: Bool) {
        let bytes = buffer.readableBytesUInt8Span
        let version: InlineArray<7, UInt8> = [0x48, 0x54, 0x54, 0x50, 0x2F, 0x31, 0x2E]
        guard line.count >= 12, line.count == 12 || bytes[line.lowerBound + 12] == UInt8(ascii: " "),
            bytes[line.lowerBound + 8] == UInt8(ascii: " ")
        else { throw .malformedReply("it has no status line") }
        for index in version.indices where bytes[line.lowerBound + index] != version[index] {
            throw .malformedReply("it has no status line")
        }
        let minor = bytes[line.lowerBound + 7]
        var status = 0
        for index in 9..<12 {
            guard let digit = bytes[line.lowerBound + index].hexadecimalValue, digit < 10 else {
                throw .malformedReply("its status is no number")
            }
            status = status * 10 + digit
        }
        guard minor == UInt8(ascii: "0") || minor == UInt8(ascii: "1"), status >= 100 else {
            throw .malformedReply("it has no status line")
        }
        return (status, minor == UInt8(ascii: "1"))
    }

    /// - Returns: The fields of trailers.
    static func fields(_ lines: [Range<Int>], of buffer: ByteBuffer) throws(CallFailure) -> [HeaderField] {
        var fields: [HeaderField] = []
        for line in lines {
            let (name, value) = try field(line, of: buffer)
            fields.append(HeaderField(name, value))
        }
        return fields
    }

    private static func field(_ line: Range<Int>, of buffer: ByteBuffer) throws(CallFailure) -> (name: String, value: String) {
        let bytes = buffer.readableBytesUInt8Span
        var colon = line.lowerBound
        // A line that begins with a space would continue the one before, which nobody may send any more.
        while colon < line.upperBound, bytes[colon].isToken { colon += 1 }
        guard colon > line.lowerBound, colon < line.upperBound, bytes[colon] == UInt8(ascii: ":") else {
            throw .malformedReply("a line of its head is no header field")
        }
        var start = colon + 1
        var end = line.upperBound
        while start < end, bytes[start] == 0x20 || bytes[start] == 0x09 { start += 1 }
        while end > start, bytes[end - 1] == 0x20 || bytes[end - 1] == 0x09 { end -= 1 }
        for index in start..<end where bytes[index] < 0x20 && bytes[index] != 0x09 || bytes[index] == 0x7F {
            throw .malformedReply("a header field holds a control character")
        }
        let origin = buffer.readerIndex
        return (
            buffer.getString(at: origin + line.lowerBound, length: colon - line.lowerBound) ?? "",
            buffer.getString(at: origin + start, length: end - start) ?? ""
        )
    }
}
