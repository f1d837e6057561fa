// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import BrumeCRDT

@Suite("Sequences: encoding")
struct SequenceCodingTests {
    @Test("states and deltas come back from their encoding as they were", arguments: 0..<15)
    func roundTrip(seed: Int) throws {
        var history = ListHistory(seed: 6_000 + UInt64(seed), replicas: 3)
        for _ in 0..<100 { history.step() }
        for text in history.replicas.map(\.text) + history.messages.map(\.delta) {
            let back = try Text(decoding: text.encoded)
            #expect(back == text, "seed \(seed)")
            #expect(back.string == text.string, "seed \(seed)")
            #expect(back.digest == text.digest, "seed \(seed)")
            #expect(back.known == text.known, "seed \(seed)")
            #expect(back.encoded.count == text.encoded.count, "seed \(seed)")
        }
    }

    @Test("what one site typed is one run: little more than its UTF-8")
    func typedTextIsCompact() {
        var text = Text()
        for (position, scalar) in String(repeating: "typed ", count: 500).unicodeScalars.enumerated() {
            _ = text.insert(String(scalar), at: position, by: SiteID(rawValue: .max))
        }
        #expect(text.encoded.count < 3_000 + 40)
        #expect(text.scalars.blockCount == 1)
        #expect(text.memoryBytes < 3_000 * 8)
    }

    @Test("a removed run is a range without content, in memory and on the wire")
    func removedRunIsARange() {
        let site = SiteID(rawValue: .max)
        var list = ReplicatedList<Bytes>()
        _ = list.append((0..<20_000).map { Bytes("element number \($0)") }, by: site)
        let full = list.memoryBytes
        for _ in 0..<200 { _ = list.remove(5_000..<5_050, by: site) }
        _ = list.remove(1..<9_999, by: site)
        #expect(list.count == 2)
        #expect(list.blockCount == 3)
        #expect(list.encoded.count < 150)
        #expect(list.memoryBytes * 50 < full)
        #expect(list.elements == ["element number 0", "element number 19999"])
    }

    @Test("bytes that are no encoding are refused, and what is accepted can be used", arguments: 0..<12)
    func fuzzed(seed: Int) {
        var history = ListHistory(seed: 7_000 + UInt64(seed), replicas: 3)
        for _ in 0..<60 { history.step() }
        var accepted = 0
        for round in 0..<250 {
            let source =
                history.draw.chance(1, in: 2) && !history.messages.isEmpty
                ? history.messages[history.draw.below(history.messages.count)].delta : history.replicas[round % 3].text
            var bytes = source.encoded
            for _ in 0...history.draw.below(4) where !bytes.isEmpty {
                let index = history.draw.below(bytes.count)
                switch history.draw.below(5) {
                case 0: bytes.remove(at: index)
                case 1: bytes.insert(UInt8(history.draw.below(256)), at: index)
                case 2: bytes.removeLast(min(bytes.count, 1 + history.draw.below(8)))
                default: bytes[index] = history.draw.chance(1, in: 3) ? 0xFF : UInt8(history.draw.below(256))
                }
            }
            guard var text = try? Text(decoding: bytes) else { continue }
            accepted += 1
            let again = try? Text(decoding: text.encoded)
            #expect(again == text, "seed \(seed), round \(round)")
            text.merge(history.replicas[(round + 1) % 3].text)
            var other = history.replicas[(round + 1) % 3].text
            other.merge(text)
            other.merge(text.delta(since: other.known))
            _ = other.insert("x", at: other.count / 2, by: SiteID(rawValue: 77))
            _ = other.remove(0..<1, by: SiteID(rawValue: 77))
            other.collect(stable: other.context.vector)
            expectConsistent(other, "seed \(seed), round \(round)")
        }
        #expect(accepted > 0, "seed \(seed)")
    }

    @Test("bytes made up from nothing are refused without much memory", arguments: 0..<4)
    func random(seed: Int) {
        var draw = Draw(seed: 8_000 + UInt64(seed))
        for _ in 0..<2_000 {
            var bytes: [UInt8] = (0..<draw.below(60)).map { _ in UInt8(draw.below(draw.chance(1, in: 2) ? 256 : 8)) }
            if !bytes.isEmpty { bytes[0] = UInt8(draw.below(2)) }
            guard let list = try? ReplicatedList<Bytes>(decoding: bytes) else { continue }
            #expect(list.elements.count == list.count)
            #expect(list.memoryBytes < 100_000)
        }
    }

    @Test("a scalar has one UTF-8 form, and others are refused")
    func strictUTF8() throws {
        for bytes: [UInt8] in [[0xC0, 0x80], [0xE0, 0x80, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0x80], [0xC3, 0x28]] {
            var reader = ByteReader(bytes)
            #expect(throws: DecodingFailure.self) { try Unicode.Scalar.decode(1, from: &reader) }
        }
        let scalars: [Unicode.Scalar] = ["a", "\u{7F}", "\u{80}", "\u{7FF}", "\u{800}", "\u{FFFF}", "\u{10000}", "\u{10FFFF}"]
        var writer = ByteWriter()
        Unicode.Scalar.encode(scalars[...], into: &writer)
        #expect(writer.bytes == scalars.flatMap { Array(String($0).utf8) })
        var reader = ByteReader(writer.bytes)
        #expect(try Unicode.Scalar.decode(scalars.count, from: &reader) == scalars)
    }
}
