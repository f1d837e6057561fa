// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeState
import Testing

@testable import BrumeRedis

/// Takes what a session writes.
private final class Collector: SessionTransport {
    private(set) var bytes: [UInt8] = []
    private(set) var isClosing = false
    var unsentBytes: Int { 0 }

    func send(_ bytes: inout [UInt8]) {
        self.bytes += bytes
        bytes = []
    }

    func closeWhenSent() { isClosing = true }
    func abort() { isClosing = true }
    func setReading(_ isReading: Bool) {}
}

/// Bytes come in the pieces that the network makes of them; a session is given them one read at a time, without a kernel that joins them.
@Suite("Pipelines in fragments")
struct FragmentTests {
    private static let whole = Array(
        """
        *3\r\n$3\r\nset\r\n$3\r\nkey\r\n$5\r\nv\r\n\0w\r\nget key\r\n*2\r\n$3\r\nGET\r\n$3\r\nkey\r\nset k 'a b' \r\n\r\n*0\r\nget "k"\r\n\
        *1\r\n$5\r\nmulti\r\n*2\r\n$4\r\nincr\r\n$1\r\nn\r\n*1\r\n$4\r\nexec\r\n*1\r\n$-1\r\n
        """.utf8)

    /// What a session answers to bytes that come in pieces of the given ends.
    private static func answer(cutAt ends: [Int]) throws -> (reply: [UInt8], isClosing: Bool) {
        let core = ServerCore(
            access: try LocalState(), settings: RedisSettings(), clock: { .zero }, post: { _ in },
            postLater: { delay, _ in
                var unused = TimerQueue<Int>()
                return unused.add(at: .zero + delay, 0)
            }, cancelLater: { _ in })
        let collector = Collector()
        let session = try #require(core.open(door: .namespace("default"), addresses: (peer: "unix:0", own: "unix:0")))
        session.transport = collector
        var start = 0
        for end in ends + [whole.count] {
            unsafe whole[start..<end].withUnsafeBytes { unsafe session.receive($0) }
            start = end
        }
        core.ended(session)
        return (collector.bytes, collector.isClosing)
    }

    @Test("are answered like whole ones, cut at any byte, at any two, and at all")
    func cuts() throws {
        let expected = try Self.answer(cutAt: [])
        let text = String(decoding: expected.reply, as: UTF8.self)
        #expect(
            text.hasPrefix("+OK\r\n$5\r\nv\r\n\0w\r\n$5\r\nv\r\n\0w\r\n+OK\r\n$3\r\na b\r\n+OK\r\n+QUEUED\r\n*1\r\n:1\r\n-ERR"), "\(text)")
        #expect(expected.isClosing)
        for first in 1..<Self.whole.count {
            #expect(try Self.answer(cutAt: [first]) == expected, "cut at \(first)")
            for second in stride(from: first + 1, to: Self.whole.count, by: 7) {
                let answer = try Self.answer(cutAt: [first, second])
                if answer != expected { Issue.record("cut at \(first) and \(second): \(String(decoding: answer.reply, as: UTF8.self))") }
            }
        }
        #expect(try Self.answer(cutAt: Array(1..<Self.whole.count)) == expected)
    }
}
