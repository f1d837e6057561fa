// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Testing

@testable import BrumeWorkload

/// Files that were damaged at random: they are read, or refused with a sentence, and nothing else.
@Suite("Damaged traces")
struct TraceFuzzTests {
    static let files: [(name: String, format: TraceFormat)] = [
        ("azure2021.csv", .azure2021), ("brume.csv", .brume), ("freyr-invocation.csv", .azure2019), ("libra-invocation.csv", .azure2019),
    ]

    /// One damage: bytes changed, taken out, repeated or put in, or the end cut off.
    private func damage(_ bytes: inout [UInt8], _ generator: inout SeededGenerator) {
        guard !bytes.isEmpty else { return }
        let place = generator.below(bytes.count)
        let end = min(bytes.count, place + 1 + generator.below(20))
        switch generator.below(7) {
        case 0: bytes[place] = UInt8(generator.below(256))
        case 1: bytes.removeSubrange(place..<end)
        case 2: bytes.insert(contentsOf: bytes[place..<end], at: place)
        case 3: bytes.removeSubrange(place...)
        case 4: bytes.insert(contentsOf: Array(",,-1e308\"\n\r,\u{FEFF}99999999999999999999,".utf8).prefix(generator.below(30)), at: place)
        case 5: bytes[place] = [UInt8(ascii: ","), UInt8(ascii: "\n"), UInt8(ascii: "-"), UInt8(ascii: "\"")][generator.below(4)]
        default: bytes[place] ^= 1 << UInt8(generator.below(8))
        }
    }

    @Test("no damage makes a reader crash or give an impossible call", arguments: 0..<250)
    func damaged(seed: Int) throws {
        for (name, format) in Self.files {
            var generator = SeededGenerator(seed: UInt64(seed))
            var bytes = try Fixture.bytes(name)
            for _ in 0...generator.below(6) { damage(&bytes, &generator) }
            let pieces = stride(from: 0, to: bytes.count, by: 1 + generator.below(50)).map { $0 }
            let cut = zip(pieces, pieces.dropFirst() + [bytes.count]).map { Array(bytes[$0..<$1]) }
            for badRows in BadRows.allCases {
                do {
                    let reader = TraceReader(format, badRows: badRows, seed: 7, callsMax: 2000)
                    let trace = try reader.read(TextLines(cut))
                    try check(trace, "seed \(seed), \(name)")
                    #expect(trace == (try reader.read(TextLines(CollectionOfOne(bytes)))), "seed \(seed), \(name)")
                    #expect(badRows == .skip || trace.skipped.count == 0)
                } catch let error as BrumeError {
                    #expect(
                        error.message.contains("Line ") || error.message.contains("is empty"), "seed \(seed), \(name): \(error.message)")
                    #expect([.corrupt, .tooLarge].contains(error.code), "seed \(seed), \(name): \(error.message)")
                }
            }
        }
    }

    private func check(_ trace: Trace, _ place: String) throws {
        #expect(trace.calls.count <= 2000, "\(place)")
        for call in trace.calls {
            let isSound =
                call.offset >= .zero && call.offset <= Trace.offsetMax && trace.functions.indices.contains(call.function)
                && call.inputSize ?? 0 >= 0 && call.duration ?? .zero >= .zero && call.parameters.count == trace.parameterNames.count
            #expect(isSound, "\(place): \(call)")
        }
        #expect(zip(trace.calls, trace.calls.dropFirst()).allSatisfy { $0.offset <= $1.offset }, "\(place)")
        // What was read can be written and read again.
        let again = try TraceReader(.brume).read(trace.lines.map { Substring($0) })
        #expect(again.calls.map(\.offset) == trace.calls.map(\.offset), "\(place)")
        #expect(again.calls.map { again.functions[$0.function].name } == trace.calls.map { trace.functions[$0.function].name }, "\(place)")
    }

    @Test("damaged profiles and sizes are refused with a sentence", arguments: 0..<100)
    func profiles(seed: Int) throws {
        for name in ["azure2019-durations.csv", "libra-duration.csv", "libra-memory.csv", "libra-input_size.csv"] {
            var generator = SeededGenerator(seed: UInt64(seed))
            var bytes = try Fixture.bytes(name)
            for _ in 0...generator.below(4) { damage(&bytes, &generator) }
            let lines = TextLines(CollectionOfOne(bytes))
            do {
                var profiles = AzureProfiles()
                switch name {
                case "libra-memory.csv": try profiles.readMemory(lines, badRows: .skip)
                case "libra-input_size.csv": #expect(try LibraInputSizes.read(lines).allSatisfy { $0 >= 0 })
                default: try profiles.readDurations(lines)
                }
            } catch {
                #expect(error.message.contains("Line ") || error.message.contains("is empty"), "seed \(seed), \(name): \(error.message)")
            }
        }
    }
}
