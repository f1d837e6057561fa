// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import NIOCore

/// Writes requests as they go to a function, into a buffer that is used again.
struct RequestWriter {
    /// Up to this size a body is copied behind its head, so that one system call sends both.
    private static let copiedBodyBytesMax = 16 << 10

    private var buffer: ByteBuffer

    init(allocator: ByteBufferAllocator) { buffer = allocator.buffer(capacity: 1024) }

    /// What is sent for a call whose body is there: the head with a short body, and a longer body behind it.
    mutating func whole(_ request: CallRequest<ByteBuffer>, _ body: ByteBuffer) -> (first: ByteBuffer, second: ByteBuffer?) {
        head(of: request)
        if body.readableBytes > 0 || !(request.method == "GET" || request.method == "HEAD") {
            buffer.writeStaticString("Content-Length: ")
            buffer.writeString(String(body.readableBytes))
            buffer.writeStaticString("\r\n\r\n")
        } else {
            buffer.writeStaticString("\r\n")
        }
        guard body.readableBytes <= Self.copiedBodyBytesMax else { return (buffer, body) }
        buffer.writeImmutableBuffer(body)
        return (buffer, nil)
    }

    /// The head of a call whose body is still coming.
    ///
    /// - Parameter length: the length of the body; nil where it will come in chunks.
    mutating func head(of request: CallRequest<ByteBuffer>, length: Int?) -> ByteBuffer {
        head(of: request)
        if let length {
            buffer.writeStaticString("Content-Length: ")
            buffer.writeString(String(length))
            buffer.writeStaticString("\r\n\r\n")
        } else {
            buffer.writeStaticString("Transfer-Encoding: chunked\r\n\r\n")
        }
        return buffer
    }

    /// One chunk with its framing.
    mutating func chunk(_ bytes: ByteBuffer) -> ByteBuffer {
        buffer.clear()
        buffer.writeString(String(bytes.readableBytes, radix: 16))
        buffer.writeStaticString("\r\n")
        buffer.writeImmutableBuffer(bytes)
        buffer.writeStaticString("\r\n")
        return buffer
    }

    /// The end of a body in chunks.
    mutating func lastChunk() -> ByteBuffer {
        buffer.clear()
        buffer.writeStaticString("0\r\n\r\n")
        return buffer
    }

    private mutating func head(of request: CallRequest<ByteBuffer>) {
        buffer.clear()
        buffer.writeString(Header.isToken(request.method) ? request.method : "POST")
        buffer.writeStaticString(" ")
        writeTarget(of: request)
        buffer.writeStaticString(" HTTP/1.1\r\n")
        if !write(request.headers) { buffer.writeStaticString("Host: localhost\r\n") }
    }

    private mutating func writeTarget(of request: CallRequest<ByteBuffer>) {
        if request.query.isEmpty, request.path == "/" {
            buffer.writeStaticString("/")
        } else {
            buffer.writeString(Header.target(path: request.path, query: request.query))
        }
    }

    /// Writes the fields that go to the function all at once: growing the buffer piece by piece would be a good part of what a call costs.
    ///
    /// - Returns: whether `Host` is among them.
    private mutating func write(_ fields: [HeaderField]) -> Bool {
        var hasHost = false
        var size = 0
        for field in fields { size += field.name.utf8.count + field.value.utf8.count + 4 }
        _ = unsafe buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: size) { target in
            var end = 0
            for field in fields {
                switch Header.kind(field.name) {
                case .contentLength, .hopByHop: continue
                case .host: hasHost = true
                case .endToEnd: break
                }
                guard !field.name.isEmpty,
                    let nameEnd = unsafe Self.put(field.name, into: target, at: end, if: { unsafe Header.isToken($0) })
                else { continue }
                let valueStart = unsafe Self.put(": ", into: target, at: nameEnd)
                guard let valueEnd = unsafe Self.put(field.value, into: target, at: valueStart, if: { unsafe Header.isSafe($0) })
                else { continue }
                end = unsafe Self.put("\r\n", into: target, at: valueEnd)
            }
            return end
        }
        return hasHost
    }

    /// - Returns: where the text ends; nil where it may not be sent.
    private static func put(
        _ text: String, into target: UnsafeMutableRawBufferPointer, at start: Int, if isAllowed: (UnsafeBufferPointer<UInt8>) -> Bool
    ) -> Int? {
        unsafe Header.bytes(of: text) { bytes in
            guard unsafe isAllowed(bytes) else { return nil }
            unsafe UnsafeMutableRawBufferPointer(rebasing: target[start...]).copyMemory(from: UnsafeRawBufferPointer(bytes))
            return start + bytes.count
        }
    }

    private static func put(_ text: StaticString, into target: UnsafeMutableRawBufferPointer, at start: Int) -> Int {
        let bytes = unsafe UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
        unsafe UnsafeMutableRawBufferPointer(rebasing: target[start...]).copyMemory(from: bytes)
        return start + bytes.count
    }
}
