// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import BrumeCRDT

/// The same histories through other people's CRDTs. All in one run of the script, which takes some seconds.
@Suite("CRDTs against pycrdt, loro and crdts")
struct DifferentialTests {
    @Test("texts and lists, maps and sets, and counters show what other CRDTs show wherever the answer is not a matter of taste")
    func agree() throws {
        let texts = (0..<60).map { TextHistory(seed: UInt64($0), isCrowded: $0 % 3 == 0) }
        let maps = (0..<40).map { MapHistory(seed: 100 + UInt64($0)) }
        let counters = try (0..<20).map { try CounterHistory(seed: 200 + UInt64($0)) }
        let reply = try Oracle.run(
            Oracle.Request(texts: texts.map(\.history), maps: maps.map(\.history), counters: counters.map(\.history)))
        #expect(reply.texts.keys.sorted() == ["loro list", "loro text", "pycrdt array", "pycrdt text"])
        #expect(reply.maps.keys.sorted() == ["crdts set", "loro map", "pycrdt map"])
        #expect(reply.counters.keys.sorted() == ["crdts counter", "loro counter"])
        compareTexts(texts, reply)
        compareMaps(maps, reply)
        for (system, results) in reply.counters {
            #expect(results.count == counters.count)
            for (index, result) in results.enumerated() {
                #expect(result.shown == counters[index].shown, "\(system), seed \(200 + index)")
            }
        }
    }

    private func compareTexts(_ texts: [TextHistory], _ reply: Oracle.Reply) {
        let meets = texts.map(\.hasMeeting)
        // Both kinds must be there, or something is not compared.
        #expect(meets.count { $0 } >= 10)
        #expect(meets.count { !$0 } >= 10)
        for (index, text) in texts.enumerated() {
            #expect(Set(text.end).count == 1, "ours, seed \(index)")
            #expect(text.listEnd == text.end, "our list, seed \(index)")
        }
        for (system, results) in reply.texts {
            #expect(results.count == texts.count)
            for (index, result) in results.enumerated() {
                #expect(Set(result.end).count == 1, "\(system) agrees with itself, seed \(index)")
                guard !meets[index] else { continue }
                #expect(result.shown == texts[index].shown, "\(system), seed \(index)")
                #expect(result.end == texts[index].end, "\(system), seed \(index)")
            }
        }
    }

    private func compareMaps(_ maps: [MapHistory], _ reply: Oracle.Reply) {
        for (system, results) in reply.maps {
            #expect(results.count == maps.count)
            for (index, result) in results.enumerated() {
                if system != "crdts set" { #expect(result.shown == maps[index].maps, "\(system), seed \(100 + index)") }
                #expect(result.shown.map { $0.keys.sorted() } == maps[index].sets, "\(system) as a set, seed \(100 + index)")
            }
        }
    }
}
