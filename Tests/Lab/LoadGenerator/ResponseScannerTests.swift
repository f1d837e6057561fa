// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Testing

@testable import BrumeLoad

@Suite("Finding the end of a response")
struct ResponseScannerTests {

    static let responses: [(String, ResponseScanner.Progress)] = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", .complete(status: 200, reusable: true)),
        ("HTTP/1.1 200 OK\r\ncontent-LENGTH:0\r\n\r\n", .complete(status: 200, reusable: true)),
        ("HTTP/1.1 404 Not Found\r\nDate: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno", .complete(status: 404, reusable: false)),
        ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", .complete(status: 200, reusable: false)),
        ("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx", .complete(status: 200, reusable: true)),
        ("HTTP/1.1 204 No Content\r\nX: y\r\n\r\n", .complete(status: 204, reusable: true)),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", .complete(status: 202, reusable: true)),
        ("HTTP/1.1 200 OK\nContent-Length: 2\n\nok", .complete(status: 200, reusable: true)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", .complete(status: 200, reusable: true)),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\nA;name=v\r\n0123456789\r\n1\r\nx\r\n00\r\nTrailer: 1\r\n\r\n",
            .complete(status: 200, reusable: true)
        ),
        // A body that looks like a head.
        ("HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\nHTTP/1.1 500 No\r\n\r\n", .complete(status: 200, reusable: true)),
    ]

    @Test("a response is complete at its last byte and not before, however it is cut", arguments: responses)
    func complete(text: String, expected: ResponseScanner.Progress) {
        let bytes = Array(text.utf8)
        for cut in 0..<bytes.count {
            var scanner = ResponseScanner()
            #expect(scanner.feed(ByteBuffer(bytes: bytes[..<cut])) == .incomplete, "cut at \(cut)")
            #expect(scanner.feed(ByteBuffer(bytes: bytes[cut...])) == expected, "cut at \(cut)")
        }
        // Byte by byte, twice over the same connection.
        var scanner = ResponseScanner()
        for _ in 0..<2 {
            for byte in bytes.dropLast() { #expect(scanner.feed(ByteBuffer(bytes: [byte])) == .incomplete) }
            #expect(scanner.feed(ByteBuffer(bytes: bytes.suffix(1))) == expected)
        }
    }

    @Test(
        "what is no response is malformed",
        arguments: [
            "SSH-2.0-OpenSSH", "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 20x OK\r\n\r\n", "HTTP/1.1 099 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 9999999999999999999\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxy",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        ])
    func malformed(text: String) {
        var scanner = ResponseScanner()
        #expect(scanner.feed(ByteBuffer(string: text)) == .malformed)
    }

    @Test("a response without a length ends with its connection")
    func untilClose() {
        var scanner = ResponseScanner()
        #expect(scanner.statusAtClose == nil)
        #expect(scanner.feed(ByteBuffer(string: "HTTP/1.1 200 OK\r\n\r\nsome")) == .incomplete)
        #expect(scanner.feed(ByteBuffer(string: "thing")) == .incomplete)
        #expect(scanner.statusAtClose == 200)
    }

    @Test("an endless head is refused at its limit")
    func endlessHead() {
        var scanner = ResponseScanner()
        var progress = scanner.feed(ByteBuffer(string: "HTTP/1.1 200 OK\r\n"))
        for _ in 0..<200 where progress == .incomplete {
            progress = scanner.feed(ByteBuffer(string: "X: " + String(repeating: "y", count: 1000) + "\r\n"))
        }
        #expect(progress == .malformed)
    }
}
