// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing

@testable import BrumeGateway

/// Requests that are read without the general parser: never otherwise than it would have read them.
struct PlainHeadTests {
    private static let plain =
        "POST /function/echo.space/path?a=b HTTP/1.1\r\nHost: h:8080\r\nContent-Type:text/plain\r\nX-Tabs:\t a \t b\r\n"
        + "Connection: keep-alive\r\nContent-Length: 3\r\n\r\n"

    private static func find(_ text: String) -> PlainHead.Finding { PlainHead.find(in: ByteBuffer(string: text).readableBytesUInt8Span) }

    @Test("a head of the usual form is read whole")
    func usual() throws {
        guard case .head(let head) = Self.find(Self.plain + "abcGET /") else {
            Issue.record("it was not read")
            return
        }
        #expect(head.method == "POST" && head.target == "/function/echo.space/path?a=b")
        #expect(
            head.fields.map { "\($0.name)=\($0.value)" }
                == ["Host=h:8080", "Content-Type=text/plain", "X-Tabs=a \t b", "Connection=keep-alive", "Content-Length=3"])
        #expect(head.bodyLength == 3 && head.byteCount == Self.plain.utf8.count)
    }

    @Test("every beginning of such a head waits for the rest")
    func beginnings() {
        for count in 1..<Self.plain.utf8.count {
            guard case .unfinished = Self.find(String(decoding: Self.plain.utf8.prefix(count), as: UTF8.self)) else {
                Issue.record("the first \(count) bytes do not wait")
                return
            }
        }
    }

    @Test(
        "whatever else there is goes to the general parser",
        arguments: [
            "POST /system/functions HTTP/1.1\r\n\r\n", "OPTIONS /function/f HTTP/1.1\r\n\r\n", "POST /function/f HTTP/1.0\r\n\r\n",
            "POST  /function/f HTTP/1.1\r\n\r\n", "POST /function/f HTTP/1.1\n\n", "\r\nPOST /function/f HTTP/1.1\r\n\r\n",
            "POST /function/f#x HTTP/1.1\r\n\r\n", "POST /function/\u{e9} HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "POST /function/f HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            "POST /function/f HTTP/1.1\r\nContent-Length: +1\r\n\r\n", "POST /function/f HTTP/1.1\r\nContent-Length: 1 1\r\n\r\n",
            "POST /function/f HTTP/1.1\r\nContent-Length: 1234567890\r\n\r\n",
            "POST /function/f HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST /function/f HTTP/1.1\r\nContent-Length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
            "POST /function/f HTTP/1.1\r\nExpect: 100-continue\r\n\r\n", "POST /function/f HTTP/1.1\r\nConnection: close\r\n\r\n",
            "POST /function/f HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", "POST /function/f HTTP/1.1\r\nA : b\r\n\r\n",
            "POST /function/f HTTP/1.1\r\nA: b\r\n c\r\n\r\n", "POST /function/f HTTP/1.1\r\nA: b \r\n\r\n",
            "POST /function/f HTTP/1.1\r\nA: b\nC: d\r\n\r\n",
            "POST /function/f HTTP/1.1\r\nA: b\rC: d\r\n\r\n", "POST /function/f HTTP/1.1\r\nA: \u{0}\r\n\r\n",
            "POST /function/f HTTP/1.1\r\nA: \u{e9}\r\n\r\n", "POST /function/f HTTP/1.1\r\n: b\r\n\r\n",
            "POST /function/f HTTP/1.1\r\nA\r\n\r\n", "POST /function/f HTTP/1.1\r\n\rX",
            "POST /function/f HTTP/1.1\r\nA: " + String(repeating: "b", count: PlainHead.bytesMax),
            "POST /function/f HTTP/1.1\r\n" + String(repeating: "A: b\r\n", count: PlainHead.fieldsMax + 1) + "\r\n",
        ])
    func others(text: String) {
        if case .other = Self.find(text) { return }
        Issue.record("it was not left to the general parser")
    }

    /// Pieces that requests are put together from, some of which no request may have.
    private static let pieces: [[String]] = [
        ["POST ", "GET ", "PUT ", "HEAD ", "DELETE ", "PATCH ", "POST", "post ", "OPTIONS "],
        ["/function/echo", "/function/echo", "/function/a.b/c?d=%20", "/function/", "/function/x y", "/function/\u{7f}", "/other", "*"],
        [" HTTP/1.1\r\n", " HTTP/1.1\r\n", " HTTP/1.1\r\n", " HTTP/1.0\r\n", " HTTP/1.1\n", "  HTTP/1.1\r\n", " HTTP/1.1 \r\n"],
    ]
    private static let lines = [
        "Host: h\r\n", "Accept: */*\r\n", "X-A:b\r\n", "X-A:  b c \t\r\n", "X-A: \"b\", c;d=\"\\\"\"\r\n", "X-Empty:\r\n", "X-Empty: \r\n",
        "Connection: keep-alive\r\n", "Connection: Keep-Alive\r\n", "Connection: close\r\n", "Content-Length: 0\r\n",
        "content-length: 5\r\n",
        "Content-Length: 007\r\n", "Content-Length: -1\r\n", "Content-Length: 5, 5\r\n", "Transfer-Encoding: chunked\r\n", "X A: b\r\n",
        "X-A: b\n", "X-A: b\r", " folded\r\n", "X-Call-Id: c\r\n", "!#$%&'*+-.^_`|~1a: ok\r\n", "X(: b\r\n", "X-\u{e9}: b\r\n",
        "X-A: \u{e9}\r\n",
        "X-A: \u{1}\r\n", "Keep-Alive: timeout=5\r\n",
    ]

    @Test("what is read here, the general parser reads alike", arguments: 0..<40)
    func alike(seed: Int) throws {
        var generator = SeededGenerator(seed: UInt64(seed))
        var readCount = 0
        for _ in 0..<500 {
            var text = Self.pieces.map { $0[Int.random(in: 0..<$0.count, using: &generator)] }.joined()
            for _ in 0..<Int.random(in: 0...4, using: &generator) {
                text += Self.lines[Int.random(in: 0..<Self.lines.count, using: &generator)]
            }
            text += "\r\n"
            var bytes = ByteBuffer(string: text)
            if Int.random(in: 0..<3, using: &generator) == 0 {
                let place = Int.random(in: 0..<bytes.readableBytes, using: &generator)
                bytes.setInteger(UInt8.random(in: 0...255, using: &generator), at: place)
            }
            guard case .head(let head) = PlainHead.find(in: bytes.readableBytesUInt8Span) else { continue }
            readCount += 1
            try Self.expectAlike(head, bytes)
        }
        #expect(readCount > 0)
    }

    private static func expectAlike(_ head: PlainHead, _ bytes: ByteBuffer) throws {
        let channel = EmbeddedChannel(handler: ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes)))
        var request = try #require(bytes.getSlice(at: 0, length: head.byteCount))
        request.writeRepeatingByte(UInt8(ascii: "x"), count: head.bodyLength)
        try channel.writeInbound(request)
        guard case .head(let other) = try channel.readInbound(as: HTTPServerRequestPart.self) else {
            Issue.record("the general parser finds no head in \(String(buffer: bytes).debugDescription)")
            return
        }
        let text = String(buffer: bytes).debugDescription
        #expect(other.method.rawValue == head.method && other.uri == head.target && other.version == .http1_1, "\(text)")
        #expect(other.isKeepAlive, "\(text)")
        #expect(other.headers.map { "\($0.name)|\($0.value)" } == head.fields.map { "\($0.name)|\($0.value)" }, "\(text)")
        var bodyLength = 0
        var hasEnded = false
        while let part = try channel.readInbound(as: HTTPServerRequestPart.self) {
            switch part {
            case .head: Issue.record("the general parser finds two heads in \(text)")
            case .body(let body): bodyLength += body.readableBytes
            case .end: hasEnded = true
            }
        }
        #expect(hasEnded && bodyLength == head.bodyLength, "\(text)")
        _ = try channel.finish(acceptAlreadyClosed: true)
    }
}
