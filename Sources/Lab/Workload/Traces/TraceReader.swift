// SPDX-License-Identifier: Apache-2.0

public import BrumeModel

/// How a trace is written down.
public enum TraceFormat: String, Hashable, Sendable, CaseIterable {
    /// Calls per minute of each function: Azure Functions 2019, with or without owner and app.
    case azure2019
    /// One row per call with its end and duration: Azure Functions 2021.
    case azure2021
    /// One row per call with its time, function, size and parameters: the project's own.
    case brume
}

/// How so many calls in a minute become times.
public enum MinuteExpansion: String, Hashable, Sendable, CaseIterable {
    /// Drawn evenly over the minute from the seed: what a Poisson process looks like once its count is known.
    case random
    /// With equal gaps, the first at the beginning.
    case even
    /// As Libra's driver does: the i-th of n at `int(60 / n) * i` seconds, so that more than 60 all come at once.
    case libra
}

/// Reads traces out of text. Pure: it gets lines and gives calls.
public struct TraceReader: Sendable {
    public var format: TraceFormat
    public var badRows: BadRows
    /// How counts per minute become times; matters for `azure2019` only.
    public var expansion: MinuteExpansion
    /// Seed of the times within a minute.
    public var seed: UInt64
    /// The minutes that are read, from 0; others are as if the file did not have them.
    public var minutes: Range<Int>
    /// The first calls that are kept.
    public var callsMax: Int

    /// - Parameter callsMax: lowered to ``Trace/callsMax``.
    public init(
        _ format: TraceFormat, badRows: BadRows = .refuse, expansion: MinuteExpansion = .random, seed: UInt64 = 1,
        minutes: Range<Int> = 0..<Int.max, callsMax: Int = Trace.callsMax
    ) {
        self.format = format
        self.badRows = badRows
        self.expansion = expansion
        self.seed = seed
        self.minutes = minutes
        self.callsMax = min(max(0, callsMax), Trace.callsMax)
    }

    /// Reads one trace.
    ///
    /// - Parameter lines: without their ends; ``TextLines`` makes them out of bytes.
    /// - Throws: `BrumeError` (`corrupt`) that names line and column; (`tooLarge`) for more functions or calls than one trace may have.
    public func read(_ lines: some Sequence<Substring>) throws(BrumeError) -> Trace {
        var trace =
            switch format {
            case .azure2019: try readAzure2019(lines)
            case .azure2021: try readAzure2021(lines)
            case .brume: try readBrume(lines)
            }
        if format != .azure2019, minutes != 0..<Int.max {
            let end = minutes.upperBound > 1_000_000 ? Trace.offsetMax + .seconds(1) : Duration.seconds(60 * minutes.upperBound)
            trace.keep(from: .seconds(60 * min(minutes.lowerBound, 1_000_000)), to: end)
        }
        trace.keep(first: callsMax)
        return trace
    }

    /// - Throws: `BrumeError` (`corrupt`) if the first line shows that this is no text.
    public static func checkEncoding(of lines: some Sequence<Substring>) throws(BrumeError) {
        for line in lines { return try TableText.checkEncoding(line, line: 1) }
    }

    /// Guesses the format from the first line that means something.
    public static func guess(from lines: some Sequence<Substring>) -> TraceFormat? {
        let first = lines.lazy.map(TextMark.withoutByteOrderMark).first { !$0.isEmpty && $0.first != "#" }
        guard let first else { return nil }
        let names = first.split(separator: ",").map { $0.unicodeScalars.filter { !["\"", "\r", TextMark.cut].contains($0) } }.map(
            String.init)
        if names.contains("at_ms") { return .brume }
        if names.contains("end_timestamp") { return .azure2021 }
        return names.contains("HashFunction") && names.contains("1") ? .azure2019 : nil
    }
}

/// The functions of a trace while it is read, each once.
struct FunctionTable {
    private(set) var all: [TraceFunction] = []
    private var positions: [TraceFunction: Int] = [:]

    /// The position of a function, new or known; nil if there are too many.
    mutating func position(of function: TraceFunction) -> Int? {
        // The trigger is what is said about a function, not part of its name.
        let key = TraceFunction(function.name, app: function.app, owner: function.owner)
        if let known = positions[key] { return known }
        guard all.count < Trace.functionsMax else { return nil }
        positions[key] = all.count
        all.append(function)
        return all.count - 1
    }
}
