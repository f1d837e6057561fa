// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Testing

@testable import BrumeFunctions

@Suite("Replies of the node")
struct ReplyTests {
    private func read(_ text: String) throws -> Reply? {
        var buffer = ByteBuffer(string: text)
        return try ReplyDecoder.read(&buffer, depth: 0)
    }

    @Test("each kind of reply is read")
    func kinds() throws {
        #expect(try read("+OK\r\n") == .simple("OK"))
        #expect(try read(":-42\r\n") == .integer(-42))
        #expect(try read("$5\r\na\r\nbc\r\n") == .bytes(ByteBuffer(string: "a\r\nbc")))
        #expect(try read("$0\r\n\r\n") == .bytes(ByteBuffer()))
        #expect(try read("$-1\r\n") == .nothing)
        #expect(try read("*-1\r\n") == .nothing)
        #expect(try read("*2\r\n:1\r\n*1\r\n+a\r\n") == .array([.integer(1), .array([.simple("a")])]))
        guard case .refused(let failure) = try read("-WRONGTYPE Operation\r\n") else {
            Issue.record("no refusal")
            return
        }
        #expect(failure.code == "WRONGTYPE" && failure.description == "WRONGTYPE Operation")
    }

    @Test("a reply that is not all there waits for the rest, wherever it is cut")
    func cut() throws {
        let whole = "*3\r\n$5\r\nhello\r\n:7\r\n*2\r\n+a\r\n$-1\r\n"
        for count in 0..<whole.utf8.count {
            #expect(try read(String(decoding: whole.utf8.prefix(count), as: UTF8.self)) == nil, "cut at \(count)")
        }
        #expect(try read(whole) != nil)
    }

    @Test(
        "what is no reply is refused",
        arguments: [
            "hello\r\n", ":x\r\n", "$-2\r\n", "$99999999999\r\n", "*-7\r\n", "\r\n", "$x\r\n", String(repeating: "*1\r\n", count: 40),
        ])
    func broken(text: String) {
        let failure = #expect(throws: StateFailure.self) { try read(text) }
        #expect(failure?.code == "PROTOCOL")
    }

    @Test(
        "addresses are read",
        arguments: [
            ("unix:///run/s.sock", StateAddress.Place.unix(path: "/run/s.sock"), nil, nil, 0),
            ("unix://u:p%40x@/run/s.sock?db=3", .unix(path: "/run/s.sock"), "u", "p@x", 3),
            ("redis://host", .tcp(host: "host", port: 6379), nil, nil, 0),
            ("redis://:secret@host:7000/2", .tcp(host: "host", port: 7000), nil, "secret", 2),
            ("redis://[::1]:7000", .tcp(host: "::1", port: 7000), nil, nil, 0),
        ] as [(String, StateAddress.Place, String?, String?, Int)])
    func addresses(url: String, place: StateAddress.Place, user: String?, password: String?, database: Int) throws {
        let address = try StateAddress(url)
        #expect(address.place == place && address.user == user && address.password == password && address.database == database)
    }
}
