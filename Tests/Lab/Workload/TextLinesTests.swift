// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Testing

@testable import BrumeWorkload

@Suite("Lines and tables")
struct TextLinesTests {
    @Test(
        "lines are the same however the text is cut into pieces",
        arguments: ["", "\n", "a", "a\n", "a\nb", "a\r\nb\r\n", "\n\na\n\n", "ä,€\r\n\u{1F600}\n", "a\rb\n"])
    func pieces(text: String) {
        let bytes = Array(text.utf8)
        let whole = Array(TextLines(text))
        for size in 1...max(1, bytes.count) {
            let pieces = stride(from: 0, to: bytes.count, by: size).map { Array(bytes[$0..<min($0 + size, bytes.count)]) }
            #expect(Array(TextLines(pieces)) == whole, "pieces of \(size)")
            #expect(Array(TextLines([[]] + pieces.flatMap { [$0, []] })) == whole, "pieces of \(size) with empty ones")
        }
        var expected = text.replacing("\r\n", with: "\n").split(separator: "\n", omittingEmptySubsequences: false)
        // What stands behind the last end, if anything does, has none.
        if expected.last == "" { expected.removeLast() } else { expected[expected.count - 1] += String(TextMark.cut) }
        #expect(whole == expected)
    }

    @Test("a line without an end does not fill the memory, and is refused")
    func endless() throws {
        let piece = [UInt8](repeating: UInt8(ascii: "1"), count: 1 << 16)
        let pieces = [Array("at_ms,function\n".utf8)] + Array(repeating: piece, count: 64) + [Array(",f\n5,f\n".utf8)]
        let lines = Array(TextLines(pieces))
        #expect(lines.map(\.utf8.count) == [14, (1 << 20) + 2, 3])
        let error = #expect(throws: BrumeError.self) { try TraceReader(.brume).read(lines) }
        #expect(error?.message.contains("Line 2: the line is longer than 1048576 bytes") == true)
        let trace = try TraceReader(.brume, badRows: .skip).read(lines)
        #expect(trace.calls.count == 1)
        #expect(trace.skipped.count == 1)
    }

    @Test("numbers are read as decimals only")
    func numbers() {
        for (text, value) in ["0": 0, "-0.5": -0.5, "1e3": 1000, "+7": 7, ".5": 0.5, "12.": 12] as [Substring: Double] {
            #expect(NumberText.parse(text) == value, "\(text)")
        }
        for text in ["", " 1", "1 ", "nan", "inf", "0x10", "1e999", "1,5", "--1", "one", "1e", "\u{FFFD}"] as [Substring] {
            #expect(NumberText.parse(text) == nil, "\(text)")
        }
    }

    @Test("numbers are written as they were read")
    func written() {
        #expect(NumberText.milliseconds(.nanoseconds(1_234_567)) == "1.234567")
        #expect(NumberText.milliseconds(.milliseconds(20)) == "20")
        #expect(NumberText.seconds(.nanoseconds(-1_500_000_000)) == "-1.5")
        #expect(NumberText.seconds(.nanoseconds(1)) == "0.000000001")
        #expect(NumberText.of(4_503_599_627_370_496) == "4503599627370496")
        #expect(NumberText.of(0.1) == "0.1")
        #expect(NumberText.decimal(2.5, places: 3) == "2.5")
    }
}
