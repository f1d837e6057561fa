// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Testing

@testable import BrumeWorkload

/// A small file that makes sense, and what reads it.
struct TraceSample: Sendable, CustomTestStringConvertible {
    let name: String
    let text: String
    /// Comes to what was read, as text, and the line that had no end.
    let read: @Sendable (String) throws(BrumeError) -> (result: String, openLine: Int?)
    var testDescription: String { name }
}

/// Everything that a file with a trace may be instead of a trace: each kind is refused with its place, or told, and never read wrongly.
@Suite("Bad traces")
struct BadTraceTests {
    private static func trace(_ format: TraceFormat, _ text: String) -> TraceSample {
        TraceSample(name: format.rawValue, text: text) { text throws(BrumeError) in
            let trace = try TraceReader(format, expansion: .even).read(TextLines(text))
            return (trace.lines.joined(separator: "\n"), trace.skipped.openLine)
        }
    }

    private static func show(_ quantiles: Quantiles?) -> String {
        quantiles?.points.map { "\($0.share):\($0.value)" }.joined(separator: " ") ?? "-"
    }

    static let traces: [TraceSample] = [
        trace(.azure2019, "HashOwner,HashApp,HashFunction,Trigger,1,2,3\no,a,resize,http,1,0,2\no,a,mail,timer,10,3,25\n"),
        trace(.azure2021, "app,func,end_timestamp,duration\na,resize,7.25,1.5\nb,mail,12.75,0.25\n"),
        trace(.brume, "at_ms,function,input_size,duration_ms,seed\n0,resize,1000,12.5,1\n250.75,mail,2000,30,22\n"),
    ]
    static let tables: [TraceSample] = [
        TraceSample(
            name: "durations",
            text: "HashFunction,Average,Count,percentile_Average_0,percentile_Average_100\nresize,15,2,10,200\nmail,50,9,25,75\n"
        ) { text throws(BrumeError) in
            var profiles = AzureProfiles()
            try profiles.readDurations(TextLines(text))
            let shown = ["resize", "mail"].map { show(profiles.durations(of: TraceFunction($0))) }
            return (shown.joined(separator: ";"), profiles.skipped.openLine)
        },
        TraceSample(
            name: "memory", text: "HashApp,SampleCount,AverageAllocatedMb,AverageAllocatedMb_pct50\na,5,100,90\nb,7,200,190\n"
        ) { text throws(BrumeError) in
            var profiles = AzureProfiles()
            try profiles.readMemory(TextLines(text))
            let shown = ["a", "b"].map { show(profiles.memory(of: TraceFunction("f", app: $0))) }
            return (shown.joined(separator: ";"), profiles.skipped.openLine)
        },
        TraceSample(name: "input sizes", text: "1,2,3\n1000,20,300\n") { text throws(BrumeError) in
            ("\(try LibraInputSizes.read(TextLines(text)))", nil)
        },
    ]

    static let all: [TraceSample] = traces + tables

    private static func expectPlaced(_ error: BrumeError, _ place: String) {
        #expect(error.code == .corrupt, "\(place): \(error.message)")
        #expect(error.message.contains("Line ") || error.message.contains("is empty"), "\(place): \(error.message)")
        #expect(error.message.hasSuffix(".") || error.message.hasSuffix("?"), "\(place): \(error.message)")
    }

    // MARK: Truncation

    @Test(
        "a file that was cut off at any byte is refused with line and column, or its last line is told, unless the cut is at a line's end",
        arguments: all, ["\n", "\r\n"])
    func cut(sample: TraceSample, ending: String) throws {
        let text = sample.text.replacing("\n", with: ending)
        let whole = try sample.read(text)
        #expect(whole.openLine == nil)
        let bytes = Array(text.utf8)
        for count in 0..<bytes.count {
            let piece = String(decoding: bytes[..<count], as: UTF8.self)
            let place = "\(sample.name), \(count) of \(bytes.count) bytes"
            let lines = bytes[..<count].count { $0 == UInt8(ascii: "\n") }
            do throws(BrumeError) {
                let (result, openLine) = try sample.read(piece)
                if bytes[count - 1] == UInt8(ascii: "\n") {
                    // Nobody can see that: what stands there is what was written.
                    #expect(openLine == nil, "\(place)")
                } else {
                    #expect(openLine == lines + 1, "\(place): read as if it were whole: \(result)")
                }
            } catch {
                Self.expectPlaced(error, place)
                if lines > 0 { #expect(error.message.contains("Line \(lines + 1)"), "\(place): \(error.message)") }
                // In the header there may be no column yet to name.
                let namesColumn = error.message.contains("column") || error.message.contains("is empty") || error.message.contains("no end")
                #expect(namesColumn, "\(place): \(error.message)")
            }
        }
    }

    @Test("what stands before the cut is read as in the whole file", arguments: traces)
    func beforeTheCut(sample: TraceSample) throws {
        let rows = sample.text.split(separator: "\n").map(String.init)
        let first = try sample.read(rows.prefix(2).joined(separator: "\n") + "\n").result
        let cut = try sample.read(rows.prefix(2).joined(separator: "\n") + "\n" + rows[2].dropLast()).result
        #expect(cut.split(separator: "\n").filter { !first.contains($0) }.allSatisfy { $0.contains("mail") }, "\(cut)")
    }

    @Test("a published file whose last line has no end is read, and the line is told")
    func published() throws {
        let trace = try TraceReader(.azure2019).read(try Fixture.lines("libra-invocation.csv"))
        #expect(trace.calls.count == 10 && trace.skipped.openLine == 11 && trace.skipped.count == 0)
    }

    // MARK: Encodings

    @Test("a byte order mark, \\r\\n, quotes and blank lines change nothing", arguments: all)
    func dressed(sample: TraceSample) throws {
        let plain = try sample.read(sample.text).result
        let crlf = sample.text.replacing("\n", with: "\r\n")
        for (name, text) in [
            ("CRLF", crlf), ("BOM", "\u{FEFF}" + sample.text), ("both", "\u{FEFF}" + crlf), ("comment", "# by hand\n" + sample.text),
            ("BOM and comment", "\u{FEFF}# by hand\r\n" + crlf), ("blank lines", "\n\n" + sample.text.replacing("\n", with: "\n\n")),
            (
                "quotes",
                sample.text.split(separator: "\n").map { $0.split(separator: ",").map { "\"\($0)\"" }.joined(separator: ",") }
                    .joined(separator: "\n") + "\n"
            ),
        ] {
            #expect(try sample.read(text).result == plain, "\(name)")
            guard let format = TraceFormat(rawValue: sample.name) else { continue }
            #expect(TraceReader.guess(from: TextLines(text)) == format, "\(name)")
        }
    }

    @Test("what is no UTF-8 is named as such", arguments: all)
    func encodings(sample: TraceSample) throws {
        func utf16(_ text: String, _ bytes: (UInt16) -> [UInt8]) -> [UInt8] { text.utf16.flatMap(bytes) }
        let little = utf16("\u{FEFF}" + sample.text) { [UInt8($0 & 0xFF), UInt8($0 >> 8)] }
        let big = utf16(sample.text) { [UInt8($0 >> 8), UInt8($0 & 0xFF)] }
        let zipped: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 0x4B, 0x2C, 0xC8, 0x89, 0x2F, 0xD4, 1, 0xF2, 0xD2]
        for (name, bytes) in [("UTF-16 LE", little), ("UTF-16 BE", big), ("gzip", zipped)] {
            let error = #expect(throws: BrumeError.self) { try sample.read(String(decoding: bytes, as: UTF8.self)) }
            #expect(error?.message.contains("no text in UTF-8") == true, "\(name): \(error?.message ?? "")")
            #expect(TraceReader.guess(from: TextLines(CollectionOfOne(bytes))) == nil, "\(name)")
        }
    }

    @Test(
        "a name in another encoding than UTF-8 is refused with its place",
        arguments: [("owner", 0), ("app", 1), ("resize", 2), ("http", 3)])
    func latin(word: String, column: Int) throws {
        let text = "HashOwner,HashApp,HashFunction,Trigger,1\nowner,app,resize,http,1\n"
        let bytes = Array(text.utf8).split(separator: UInt8(ascii: "\n")).map(Array.init)
        let row = Array(String(decoding: bytes[1], as: UTF8.self).replacing(word, with: "caf?").utf8).map {
            $0 == UInt8(ascii: "?") ? 0xE9 : $0
        }
        let error = #expect(throws: BrumeError.self) {
            try TraceReader(.azure2019).read(TextLines([bytes[0], [0x0A], row, [0x0A]]))
        }
        #expect(error?.message.hasPrefix("Line 2, column \(column + 1) ") == true && error?.message.contains("UTF-8") == true)
    }

    @Test("rubbish is refused by every reader", arguments: all, 0..<20)
    func rubbish(sample: TraceSample, seed: Int) {
        var chance = SeededGenerator(seed: UInt64(seed))
        let bytes = (0..<chance.draw(1...3000)).map { _ in UInt8(chance.below(256)) }
        do throws(BrumeError) {
            _ = try sample.read(String(decoding: bytes, as: UTF8.self))
            Issue.record("seed \(seed): \(sample.name) read rubbish")
        } catch {
            Self.expectPlaced(error, "seed \(seed)")
        }
    }

    // MARK: Amounts

    /// Amounts that no column takes.
    private static let never = [
        "-1", "-0.5", "nan", "NaN", "inf", "-inf", "Infinity", "1e999", "-1e999", "99999999999999999999", "1e30", "0x10", "1,5", "1 000",
        "one", "--1", "\u{FF11}", "1e", ".", "+", "\u{221E}",
    ]
    /// Which column of the first row, and what it refuses besides.
    private static let amountColumns: [(sample: TraceSample, column: Int, others: [String])] = [
        (traces[0], 4, ["1.5", "100000001", ""]), (traces[0], 6, ["1.5", "9223372036854775808", ""]),
        (traces[1], 2, ["31622401", ""]), (traces[1], 3, ["31622401", ""]), (traces[2], 0, ["31622400001", ""]),
        (traces[2], 2, ["1.5", "9007199254740993", "9223372036854775807"]), (traces[2], 3, ["31622400001"]), (tables[0], 3, ["1e13", ""]),
        (tables[1], 3, ["1e13", ""]), (tables[2], 1, ["1.5", "9007199254740993", ""]),
    ]

    @Test("negative amounts, such as are none and such as overflow are refused with line and column", arguments: amountColumns.indices)
    func amounts(index: Int) throws {
        let (sample, column, others) = Self.amountColumns[index]
        let rows = sample.text.split(separator: "\n").map(String.init)
        for bad in Self.never + others {
            var fields = rows[1].split(separator: ",", omittingEmptySubsequences: false).map(String.init)
            fields[column] = bad.contains(",") ? "\"\(bad)\"" : bad
            let text = ([rows[0], fields.joined(separator: ",")] + rows.dropFirst(2)).joined(separator: "\n") + "\n"
            let error = #expect(throws: BrumeError.self, "\(sample.name), column \(column): '\(bad)' was taken") { try sample.read(text) }
            #expect(error?.message.hasPrefix("Line 2, column \(column + 1) ") == true, "\(bad): \(error?.message ?? "")")
        }
    }

    @Test("a parameter may be negative, but not without bounds", arguments: ["nan", "1e301", "-1e301", "word"])
    func parameters(bad: String) throws {
        let header = "at_ms,function,weight\n"
        #expect(try TraceReader(.brume).read(TextLines(header + "0,f,-7.5\n")).calls[0].parameters == [-7.5])
        let error = #expect(throws: BrumeError.self) { try TraceReader(.brume).read(TextLines(header + "0,f,\(bad)\n")) }
        #expect(error?.message.hasPrefix("Line 2, column 3 ('weight')") == true)
    }

    // MARK: Columns

    @Test("a column that is missing, there twice, unknown or without a name is named", arguments: all)
    func badColumns(sample: TraceSample) throws {
        let rows = sample.text.split(separator: "\n").map { $0.split(separator: ",").map(String.init) }
        func text(_ change: ([String]) -> [String]) -> String { rows.map { change($0).joined(separator: ",") + "\n" }.joined() }
        let twice = text { [$0[0]] + $0 }
        let changes = [
            ("missing", text { Array($0.dropFirst(sample.name == "azure2019" ? 3 : 1)) }), ("twice", twice),
            (
                "unknown",
                rows[0].joined(separator: ",") + ",in put\n" + rows.dropFirst().map { $0.joined(separator: ",") + ",1\n" }.joined()
            ),
            ("nameless", rows[0].joined(separator: ",") + ",\n"),
            ("too many", (1...5001).map { "\($0)" }.joined(separator: ",") + "\n"),
        ]
        for (name, text) in changes {
            let error = #expect(throws: BrumeError.self, "\(sample.name), \(name)") { try sample.read(text) }
            #expect(error?.message.hasPrefix("Line 1") == true, "\(name): \(error?.message ?? "")")
        }
        let error = #expect(throws: BrumeError.self) { try sample.read(twice) }
        #expect(error?.message.contains("column 2") == true && error?.message.contains("twice") == true, "\(error?.message ?? "")")
    }

    @Test("nothing at all is said to be empty", arguments: all, ["", "\n", "# nothing\n", "\u{FEFF}", "\r\n\r\n"])
    func empty(sample: TraceSample, text: String) {
        let error = #expect(throws: BrumeError.self) { try sample.read(text) }
        #expect(error?.message.contains("is empty; its first line must name its columns") == true, "\(error?.message ?? "")")
    }

    // MARK: Order and number

    @Test("rows in any order give the same calls", arguments: [1, 2] as [Int], [1, 2, 3] as [UInt64])
    func order(index: Int, seed: UInt64) throws {
        let sample = Self.traces[index]
        let header = sample.text.prefix { $0 != "\n" }
        var rows = (0..<50).map { index == 1 ? "a,f\($0),\($0 + 10).5,2\n" : "\($0 * 7),f\($0),\($0),1,\($0)\n" }
        let ordered = try sample.read("\(header)\n" + rows.joined()).result
        var chance = SeededGenerator(seed: seed)
        rows.shuffle(using: &chance)
        #expect(try sample.read("\(header)\n" + rows.joined()).result == ordered)
    }

    @Test("the first calls of a busy minute are the first, not fewer all over it", arguments: [MinuteExpansion.random, .even])
    func busyMinute(expansion: MinuteExpansion) throws {
        let text = "HashFunction,1\n" + (1...4).map { "f\($0),100000\n" }.joined()
        let trace = try TraceReader(.azure2019, expansion: expansion, seed: 3, callsMax: 1000).read(TextLines(text))
        #expect(trace.calls.count == 1000)
        // 400 000 calls a minute: a thousand of them take 150 ms.
        #expect(abs(trace.length.inMilliseconds - 150) < 30, "\(trace.length)")
        let small = "HashFunction,1\n" + (1...4).map { "f\($0),500\n" }.joined()
        let all = try TraceReader(.azure2019, expansion: expansion, seed: 3).read(TextLines(small))
        let first = try TraceReader(.azure2019, expansion: expansion, seed: 3, callsMax: 100).read(TextLines(small))
        #expect(first.calls == Array(all.calls.prefix(100)))
    }

    @Test("more calls than a trace may have are refused, not left out without a word")
    func tooMany() throws {
        let text = "HashFunction,1,2\na,9000000,0\nb,0,9000000\n"
        let error = #expect(throws: BrumeError.self) { try TraceReader(.azure2019).read(TextLines(text)) }
        #expect(error?.code == .tooLarge && error?.message.contains("18000000 calls") == true, "\(error?.message ?? "")")
        let crowd = "HashFunction,1\n" + (1...11).map { "f\($0),100000000\n" }.joined()
        let crowded = #expect(throws: BrumeError.self) { try TraceReader(.azure2019, callsMax: 10).read(TextLines(crowd)) }
        #expect(crowded?.code == .tooLarge, "\(crowded?.message ?? "")")
    }

    @Test("a process whose silences add up to ages ends, and does not overflow")
    func silences() {
        let process = ArrivalProcess.onOff(rate: 1e-9, on: .nanoseconds(1), off: .seconds(366 * 86_400))
        for offset in Arrivals(process, seed: 1).prefix(5) { #expect(offset >= Trace.offsetMax) }
        for offset in Arrivals(.onOff(rate: 1, on: Duration(attoseconds: 1), off: .seconds(1)), seed: 1).prefix(5) {
            #expect(offset > .zero)
        }
    }
}
