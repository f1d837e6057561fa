// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Testing

@testable import BrumeWorkload

@Suite("Traces")
struct TraceReaderTests {
    @Test("a row of counts becomes as many calls in each minute", arguments: MinuteExpansion.allCases)
    func freyr(expansion: MinuteExpansion) throws {
        let lines = try Fixture.lines("freyr-invocation.csv")
        let trace = try TraceReader(.azure2019, expansion: expansion, seed: 3).read(lines)
        #expect(trace.calls.count == 268)
        #expect(trace.functions.map(\.name) == ["dh", "eg", "ip", "vp", "ir", "knn", "alu", "ms", "gd", "dv"])
        #expect(trace.functions.map(\.trigger).prefix(3) == ["orchestration", "others", "timer"])
        // Counted in another way: the sum of each column.
        let counts = lines.dropFirst().map { $0.split(separator: ",").dropFirst(2).compactMap { Int($0) } }
        for minute in 0..<60 {
            let calls = trace.calls.filter { $0.offset >= .seconds(60 * minute) && $0.offset < .seconds(60 * (minute + 1)) }
            for function in 0..<10 {
                #expect(calls.count { $0.function == function } == counts[function][minute], "minute \(minute), function \(function)")
            }
        }
        #expect(zip(trace.calls, trace.calls.dropFirst()).allSatisfy { $0.offset <= $1.offset })
        #expect(trace.skipped.count == 0)
    }

    @Test("a day of Azure's trace has its 1440 minutes, its owners and its busiest minutes")
    func azure2019() throws {
        let lines = try Fixture.lines("azure2019-invocations.csv")
        let trace = try TraceReader(.azure2019).read(lines)
        let total = lines.dropFirst().flatMap { $0.split(separator: ",").dropFirst(4) }.compactMap { Int($0) }.reduce(0, +)
        #expect(trace.calls.count == total)
        #expect(total == 4525)
        #expect(trace.functions.count == 4)
        #expect(trace.functions[0].owner == "c455703077a17a9b8d0fc655d939fcc6d24d819fa9a1066b74f710c35a43cbc8")
        #expect(trace.length < .seconds(86_400))
        var window = try TraceReader(.azure2019, minutes: 5..<7).read(lines)
        #expect(window.calls.count == 40)
        #expect(window.length < .seconds(120))
        window.keep(first: 7)
        #expect(window.calls.count == 7)
    }

    @Test("a limit keeps the first calls, the same as without it")
    func limited() throws {
        let lines = try Fixture.lines("azure2019-invocations.csv")
        let all = try TraceReader(.azure2019, seed: 9).read(lines)
        let first = try TraceReader(.azure2019, seed: 9, callsMax: 100).read(lines)
        #expect(first.calls == Array(all.calls.prefix(100)))
    }

    @Test("equal seeds give equal times, others others, and one function's calls do not move another's")
    func seeds() throws {
        let text = "HashFunction,1,2\na,5,3\nb,2,2\n"
        let one = try TraceReader(.azure2019, seed: 1).read(TextLines(text))
        #expect(try TraceReader(.azure2019, seed: 1).read(TextLines(text)) == one)
        #expect(try TraceReader(.azure2019, seed: 2).read(TextLines(text)) != one)
        let busier = try TraceReader(.azure2019, seed: 1).read(TextLines("HashFunction,1,2\na,9,3\nb,2,2\n"))
        #expect(busier.calls.filter { $0.function == 1 } == one.calls.filter { $0.function == 1 })
    }

    @Test("calls within a minute are spread as asked")
    func expansions() {
        var generator = SeededGenerator(seed: 1)
        func offsets(_ expansion: MinuteExpansion, _ count: Int) -> [Double] {
            expansion.offsets(count, limit: .max, &generator).map(\.inSeconds)
        }
        #expect(offsets(.even, 4) == [0, 15, 30, 45])
        #expect(offsets(.libra, 7) == [0, 8, 16, 24, 32, 40, 48])
        #expect(offsets(.libra, 61).allSatisfy { $0 == 0 })
        #expect(abs((offsets(.even, 61).last ?? 0) - 60.0 / 61 * 60) < 1e-9)
        let random = offsets(.random, 60_000)
        #expect(random == random.sorted() && random.allSatisfy { (0..<60).contains($0) })
        for second in [0, 29, 59] {
            #expect(abs(random.count { Int($0) == second } - 1000) < 150, "second \(second)")
        }
    }

    @Test("of Azure's trace of 2021 the beginnings count, in order")
    func azure2021() throws {
        let trace = try TraceReader(.azure2021).read(try Fixture.lines("azure2021.csv"))
        #expect(trace.functions.map(\.name) == ["resize", "mail", "index"])
        #expect(trace.functions.map(\.app) == ["app-one", "app-two", "app-one"])
        #expect(trace.calls.map(\.offset) == [.zero, .milliseconds(1), .milliseconds(1250), .milliseconds(60_500), .seconds(62)])
        #expect(trace.calls.map(\.function) == [1, 0, 0, 2, 1])
        #expect(trace.calls[0].duration == .seconds(2))
        #expect(
            try TraceReader(.azure2021, minutes: 1..<2).read(try Fixture.lines("azure2021.csv")).calls.map(\.offset) == [
                .milliseconds(500), .seconds(2),
            ])
    }

    @Test("the project's own format says what goes into the body")
    func own() throws {
        let trace = try TraceReader(.brume).read(try Fixture.lines("brume.csv"))
        #expect(trace.functions.map(\.name) == ["dynamic-html", "merge-sort", "arithmetic", "with, comma"])
        #expect(trace.calls.map(\.offset.inMilliseconds) == [0, 250.5, 250.5, 1000])
        #expect(trace.calls[1].duration == .microseconds(12_250))
        #expect(
            trace.calls.map { trace.body(of: $0) } == [
                #"{"size": 1000, "seed": 1}"#, #"{"size": 4000, "parallel": 2, "seed": 2}"#, #"{"size": 50000, "parallel": 2}"#,
                #"{"size": 0, "seed": -3.5}"#,
            ])
    }

    @Test("what is written is read again", arguments: 1...10)
    func roundTrip(number: Int) throws {
        let set = try LibraSets.multi(number, sizes: .drawn, seed: 5)
        let read = try TraceReader(.brume).read(set.lines.map { Substring($0) })
        #expect(read.calls == set.calls)
        #expect(read.parameterNames == set.parameterNames)
        let own = try TraceReader(.brume).read(try Fixture.lines("brume.csv"))
        #expect(try TraceReader(.brume).read(own.lines.map { Substring($0) }) == own)
    }

    @Test("the format is seen from the first line")
    func guessed() throws {
        for (file, format) in [
            ("azure2019-invocations.csv", TraceFormat.azure2019), ("freyr-invocation.csv", .azure2019),
            ("libra-invocation.csv", .azure2019),
            ("azure2021.csv", .azure2021), ("brume.csv", .brume),
        ] {
            #expect(TraceReader.guess(from: try Fixture.lines(file)) == format, "\(file)")
        }
        #expect(TraceReader.guess(from: try Fixture.lines("azure2019-durations.csv")) == nil)
        #expect(TraceReader.guess(from: TextLines("")) == nil)
    }

    struct Bad: Sendable, CustomTestStringConvertible {
        let format: TraceFormat
        let text: String
        /// A part of the sentence.
        let says: String
        /// Calls that remain if bad rows are skipped; nil where that does not help.
        let remaining: Int?
        var testDescription: String { says }
    }

    static let bad = [
        Bad(format: .brume, text: "", says: "The trace is empty", remaining: nil),
        Bad(format: .brume, text: "# only a comment\n\n", says: "The trace is empty", remaining: nil),
        Bad(format: .brume, text: "at,function\n", says: "Line 1: there is no column 'at_ms'", remaining: nil),
        Bad(
            format: .brume, text: "at_ms,function,function\n", says: "Line 1, column 3 ('function'): the column is there twice",
            remaining: nil),
        Bad(format: .brume, text: "at_ms,function,\n", says: "Line 1, column 3 (''): the column has no name", remaining: nil),
        Bad(format: .brume, text: "at_ms,function,in put\n", says: "Line 1, column 3 ('in put'): the column is unknown", remaining: nil),
        Bad(format: .brume, text: "at_ms,function,size\n", says: "Line 1, column 3 ('size'): the column is unknown", remaining: nil),
        Bad(
            format: .brume, text: "at_ms,function,input_size\n1,f,-5\n2,f,5\n", says: "Line 2, column 3 ('input_size'): '-5' is no whole",
            remaining: 1),
        Bad(
            format: .brume, text: "at_ms,function,input_size\n1,f,1.5\n2,f,17.0\n", says: "Line 2, column 3 ('input_size'): '1.5' is no",
            remaining: 1),
        Bad(format: .brume, text: "at_ms,function\n-1,f\n", says: "Line 2, column 1 ('at_ms'): '-1' is no number from 0 to", remaining: 0),
        Bad(format: .brume, text: "at_ms,function\nnan,f\n1e999,f\n0,f\n", says: "Line 2, column 1 ('at_ms'): 'nan'", remaining: 1),
        Bad(format: .brume, text: "at_ms,function\n0,\n", says: "Line 2, column 2 ('function'): '' is no name", remaining: 0),
        Bad(
            format: .brume, text: "at_ms,function\n0,f\n7\n", says: "Line 3, column 2 ('function'): the row ends after 1 of 2", remaining: 1
        ),
        Bad(format: .brume, text: "at_ms,function\n0,f,9\n7,g\n", says: "Line 2: the row has 3 fields for 2 columns", remaining: 1),
        Bad(format: .brume, text: "at_ms,function\n0,\"f\n7,g\n", says: "Line 2: a quotation mark is opened and not closed", remaining: 1),
        Bad(
            format: .azure2019, text: "HashFunction,1,2\na,1\n", says: "Line 2, column 3 ('2'): the row ends after 2 of 3 fields",
            remaining: 0),
        Bad(format: .azure2019, text: "HashFunction,1,2\na,1,-2\nb,1,1\n", says: "Line 2, column 3 ('2'): '-2' is no whole", remaining: 2),
        Bad(format: .azure2019, text: "HashFunction,1,3\na,1,2\n", says: "Line 1, column 3 ('3'): the column is unknown", remaining: nil),
        Bad(
            format: .azure2019, text: "HashFunction,Colour,1\na,red,2\n", says: "Line 1, column 2 ('Colour'): the column is unknown",
            remaining: nil),
        Bad(format: .azure2019, text: "HashFunction,Trigger\na,timer\n", says: "Line 1: there is no column '1'", remaining: nil),
        Bad(
            format: .azure2021, text: "app,func,end_timestamp,duration\na,f,5,-1\na,f,5,1\n",
            says: "Line 2, column 4 ('duration'): '-1' is", remaining: 1),
        Bad(
            format: .azure2021, text: "app,func,end_timestamp,duration,memory\n",
            says: "Line 1, column 5 ('memory'): the column is unknown", remaining: nil),
    ]

    @Test("what cannot be read is named with its line and column, or skipped and counted", arguments: bad)
    func refused(bad: Bad) throws {
        let error = #expect(throws: BrumeError.self) { try TraceReader(bad.format).read(TextLines(bad.text)) }
        #expect(error?.message.contains(bad.says) == true, "\(error?.message ?? "")")
        guard let remaining = bad.remaining else {
            #expect(throws: BrumeError.self) { try TraceReader(bad.format, badRows: .skip).read(TextLines(bad.text)) }
            return
        }
        let trace = try TraceReader(bad.format, badRows: .skip).read(TextLines(bad.text))
        #expect(trace.calls.count == remaining)
        #expect(trace.skipped.count >= 1)
        #expect(trace.skipped.sentences.first?.contains(bad.says) == true, "\(trace.skipped)")
    }

    @Test("only the first sentences about bad rows are kept, all are counted")
    func manyBadRows() throws {
        let text = "at_ms,function\n" + String(repeating: "x,f\n", count: 1000)
        let trace = try TraceReader(.brume, badRows: .skip).read(TextLines(text))
        #expect(trace.skipped.count == 1000)
        #expect(trace.skipped.sentences.count == SkippedRows.sentencesMax)
    }

    @Test("time can be made to pass faster")
    func accelerated() throws {
        var trace = try TraceReader(.brume).read(try Fixture.lines("brume.csv"))
        try trace.accelerate(by: 4)
        #expect(trace.calls.map(\.offset.inMilliseconds) == [0, 62.625, 62.625, 250])
        for speed in [0, -1, .nan, .infinity, 1e9] { #expect(throws: BrumeError.self) { try trace.accelerate(by: speed) } }
    }

    @Test("a window of minutes begins and ends where it says, and the first calls are the first, in the formats with a row for each call")
    func rowsInWindow() throws {
        let at = [0, 59_999, 60_000, 119_999, 120_000, 300_000]
        let text = "at_ms,function\n" + at.map { "\($0),f\n" }.joined()
        func times(_ reader: TraceReader, _ text: String) throws -> [Duration] { try reader.read(TextLines(text)).calls.map(\.offset) }
        let window = [Duration.zero, .milliseconds(59_999)]
        #expect(try times(TraceReader(.brume, minutes: 1..<2), text) == window)
        #expect(try times(TraceReader(.brume, minutes: 0..<2), text) == at.prefix(4).map { .milliseconds($0) })
        #expect(try times(TraceReader(.brume, minutes: 2..<Int.max), text) == [.zero, .milliseconds(180_000)])
        #expect(try times(TraceReader(.brume, callsMax: 3), text) == at.prefix(3).map { .milliseconds($0) })
        #expect(try times(TraceReader(.brume, minutes: 1..<2, callsMax: 1), text) == [.zero])
        #expect(try times(TraceReader(.brume, callsMax: 0), text).isEmpty)
        let rows = at.map { "a,f,\(Double($0) / 1000),0\n" }.joined()
        let azure = "app,func,end_timestamp,duration\n" + rows
        #expect(try times(TraceReader(.azure2021, minutes: 1..<2), azure) == window)
        #expect(try times(TraceReader(.azure2021, callsMax: 3), azure).count == 3)
    }
}
