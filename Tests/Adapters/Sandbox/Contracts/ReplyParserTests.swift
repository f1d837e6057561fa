// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing

@testable import BrumeSandbox

struct ReplyParserTests {
    /// What a reply says, whatever pieces it came in.
    struct Reply: Equatable, CustomStringConvertible {
        var status = 0
        var fields: [HeaderField] = []
        var body = ""
        var trailers: [HeaderField] = []
        var isComplete = false
        var failed = false

        var description: String { "\(status) \(fields.map { "\($0.name): \($0.value)" }) '\(body)' \(trailers) \(isComplete) \(failed)" }
    }

    /// Reads `text`, cut at the given places.
    static func read(_ text: String, cuts: [Int] = [], answersHead: Bool = false, headBytesMax: Int = 4096) -> Reply {
        var parser = ReplyParser(headBytesMax: headBytesMax, answersHead: answersHead)
        var reply = Reply()
        do throws(CallFailure) {
            for piece in pieces(text, cuts) {
                parser.feed(piece)
                while let part = try parser.next() {
                    switch part {
                    case .head(let head): (reply.status, reply.fields) = (head.status, head.fields)
                    case .body(let bytes): reply.body += String(buffer: bytes)
                    case .end(let trailers):
                        reply.trailers = trailers
                        reply.isComplete = true
                    }
                }
            }
            if parser.endsWithConnection { reply.isComplete = true }
        } catch {
            reply.failed = true
        }
        return reply
    }

    static func pieces(_ text: String, _ cuts: [Int]) -> [ByteBuffer] {
        let bytes = Array(text.utf8)
        var pieces: [ByteBuffer] = []
        var start = 0
        for cut in cuts.filter({ $0 < bytes.count }).sorted() + [bytes.count] where cut > start {
            pieces.append(ByteBuffer(bytes: bytes[start..<cut]))
            start = cut
        }
        return pieces
    }

    @Test(
        "framing follows RFC 9112",
        arguments: [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "200 [] 'ok' [] true false"),
            ("HTTP/1.1 200\r\ncontent-length: 0\r\nX-A:  b \r\n\r\n", "200 [\"X-A: b\"] '' [] true false"),
            ("HTTP/1.0 404 Not Found\r\n\r\nall of it", "404 [] 'all of it' [] true false"),
            ("HTTP/1.1 204 No Content\r\n\r\n", "204 [] '' [] true false"),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\nx", "201 [] 'x' [] true false"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "200 [] 'ok' [] true false"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\nA;x=y\r\n0123456789\r\n00\r\n\r\n", "200 [] '0123456789' [] true false"),
            ("HTTP/1.1 200 OK\nContent-Length: 2\n\nok", "200 [] 'ok' [] true false"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", "200 [] 'ok' [] true false"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", "200 [] 'a' [] true false"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", "200 [] 'ok' [] false false"),
        ])
    func framing(_ text: String, _ expected: String) {
        #expect("\(Self.read(text))" == expected)
        // Byte by byte it says the same.
        #expect("\(Self.read(text, cuts: Array(1..<text.utf8.count)))" == expected)
    }

    @Test("trailers are told apart from the head")
    func trailers() {
        let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nBrume-Failure: exited code 3\r\n\r\n"
        #expect(Self.read(text).trailers == [HeaderField("Brume-Failure", "exited code 3")])
    }

    @Test("the reply to HEAD has no body, whatever length it tells")
    func head() {
        let reply = Self.read("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", answersHead: true)
        #expect(reply.isComplete && reply.body.isEmpty && !reply.failed)
    }

    @Test(
        "what readers might understand differently is refused",
        arguments: [
            "SSH-2.0-x\r\n\r\n", "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n", "HTTP/1.1 099 No\r\n\r\n", "HTTP/1.1  200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok", "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\n\r\n", "HTTP/1.1 200 OK\r\nX A: b\r\n\r\n", "HTTP/1.1 200 OK\r\n: b\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX-A: b\u{0}c\r\n\r\n", "HTTP/1.1 200 OK\r\nX-A: b\rc\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        ])
    func refused(_ text: String) {
        #expect(Self.read(text).failed)
        #expect(Self.read(text, cuts: Array(1..<text.utf8.count)).failed)
    }

    @Test("a head, a trailer and a chunk's line have an end")
    func bounds() {
        let long = String(repeating: "a", count: 5000)
        #expect(Self.read("HTTP/1.1 200 OK\r\nX-A: \(long)").failed)
        #expect(Self.read("HTTP/1.1 200 OK\r\nX-A: \(long)\r\n\r\n").failed)
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        #expect(Self.read(chunked + "0\r\nX-A: \(long)").failed)
        #expect(Self.read(chunked + "1;\(long)").failed)
    }

    @Test("random replies in random pieces read as another parser reads them", arguments: 1...300 as ClosedRange<UInt64>)
    func sameAsAnother(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let text = Self.randomReply(&random)
        let cuts = (0..<Int.random(in: 0...6, using: &random)).map { _ in Int.random(in: 1...text.utf8.count, using: &random) }
        #expect(Self.read(text, cuts: cuts) == (try Self.readWithNIO(text, cuts: cuts)), "seed \(seed): \(text.debugDescription)")
    }

    @Test("random bytes never do more than fail", arguments: 1...300 as ClosedRange<UInt64>)
    func fuzz(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var bytes = Array(Self.randomReply(&random).utf8)
        for _ in 0..<Int.random(in: 1...8, using: &random) {
            let at = Int.random(in: 0..<bytes.count, using: &random)
            bytes[at] = UInt8.random(in: 0...255, using: &random)
        }
        var parser = ReplyParser(headBytesMax: 4096, answersHead: false)
        var produced = 0
        do throws(CallFailure) {
            parser.feed(ByteBuffer(bytes: bytes))
            while let part = try parser.next() { if case .body(let body) = part { produced += body.readableBytes } }
        } catch {
            #expect(error.kind == .badReply)
        }
        #expect(produced <= bytes.count, "seed \(seed)")
    }

    static func randomReply(_ random: inout SeededGenerator) -> String {
        let status = [200, 201, 204, 304, 404, 500].randomElement(using: &random) ?? 200
        var text = "HTTP/1.1 \(status) Some Words\r\n"
        for number in 0..<Int.random(in: 0...5, using: &random) { text += "X-Field-\(number): value \(random.next() % 1000)\r\n" }
        if status == 204 || status == 304 { return text + "\r\n" }
        let body = String(repeating: "0123456789", count: Int.random(in: 0...30, using: &random))
        if Bool.random(using: &random) { return text + "Content-Length: \(body.utf8.count)\r\n\r\n" + body }
        text += "Transfer-Encoding: chunked\r\n\r\n"
        var rest = Substring(body)
        while !rest.isEmpty {
            let piece = rest.prefix(Int.random(in: 1...40, using: &random))
            rest = rest.dropFirst(piece.count)
            text += String(piece.utf8.count, radix: 16) + "\r\n" + piece + "\r\n"
        }
        return text + (Bool.random(using: &random) ? "0\r\n\r\n" : "0\r\nX-Trailer: t\r\n\r\n")
    }

    static func readWithNIO(_ text: String, cuts: [Int]) throws -> Reply {
        let channel = EmbeddedChannel()
        try channel.pipeline.syncOperations.addHandlers([
            HTTPRequestEncoder(), ByteToMessageHandler(HTTPResponseDecoder(leftOverBytesStrategy: .dropBytes)),
        ])
        try channel.writeOutbound(HTTPClientRequestPart.head(HTTPRequestHead(version: .http1_1, method: .GET, uri: "/")))
        try channel.writeOutbound(HTTPClientRequestPart.end(nil))
        var reply = Reply()
        for piece in pieces(text, cuts) {
            try channel.writeInbound(piece)
            while let part = try channel.readInbound(as: HTTPClientResponsePart.self) {
                switch part {
                case .head(let head):
                    reply.status = Int(head.status.code)
                    reply.fields = head.headers.filter { Header.kind($0.name) == .endToEnd }.map { HeaderField($0.name, $0.value) }
                case .body(let bytes): reply.body += String(buffer: bytes)
                case .end(let trailers):
                    reply.trailers = (trailers ?? [:]).map { HeaderField($0.name, $0.value) }
                    reply.isComplete = true
                }
            }
        }
        _ = try channel.finish(acceptAlreadyClosed: true)
        return reply
    }
}
