// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// `[HashOwner,HashApp,]HashFunction[,Trigger],1,2,...,N`: one row per function, one column per minute.
extension TraceReader {
    /// Minutes with calls that are kept at most: 400 MB of them. A window of minutes (``TraceReader/minutes``) makes do with fewer.
    private static let busyMinutesMax = 20_000_000
    /// Calls of one function in one minute at most: far above the busiest of the published ones.
    private static let callsPerMinuteMax = 100_000_000
    /// Calls of all functions in one minute at most: each is drawn before the first ones are known, which takes seconds.
    private static let callsPerMinuteOfAllMax = 1_000_000_000

    /// The calls of a function in a minute.
    private struct Busy {
        var minute: Int32
        var function: Int32
        var count: Int
    }

    private struct Columns {
        var function = 0
        var app: Int?
        var owner: Int?
        var trigger: Int?
        var firstMinute = 0

        init() {}

        init(_ header: TableText.Header) throws(BrumeError) {
            function = try header.required("HashFunction")
            app = header.index(of: "HashApp")
            owner = header.index(of: "HashOwner")
            trigger = header.index(of: "Trigger")
            firstMinute = try header.required("1")
            let described = [function, app, owner, trigger]
            for (index, name) in header.names.enumerated() where !described.contains(index) {
                guard name == "\(index - firstMinute + 1)" else {
                    throw header.unknown(index, "the column is unknown; after the names come the minutes 1, 2, 3 and so on.")
                }
            }
        }
    }

    func readAzure2019(_ lines: some Sequence<Substring>) throws(BrumeError) -> Trace {
        var columns = Columns()
        var table = FunctionTable()
        var busy: [Busy] = []
        var isTooLarge = false
        let skipped = try TableText.read(lines, what: "trace", badRows: badRows) { header throws(BrumeError) in
            columns = try Columns(header)
        } row: { row throws(BrumeError) in
            let function = TraceFunction(
                try row.name(columns.function), app: try row.name(ifAny: columns.app), owner: try row.name(ifAny: columns.owner),
                trigger: try row.name(ifAny: columns.trigger))
            // All counts are looked at first, so that a bad row leaves nothing behind.
            var counts: [(minute: Int, count: Int)] = []
            for column in columns.firstMinute..<row.fields.count {
                let count = row.fields[column] == "0" ? 0 : try row.whole(column, 0...Self.callsPerMinuteMax)
                let minute = column - columns.firstMinute
                if count > 0, minutes.contains(minute) { counts.append((minute - minutes.lowerBound, count)) }
            }
            guard let position = table.position(of: function) else {
                throw row.fault(columns.function, "the trace has more than \(Trace.functionsMax) functions.")
            }
            isTooLarge = isTooLarge || busy.count + counts.count > Self.busyMinutesMax
            guard !isTooLarge else { return }
            for (minute, count) in counts { busy.append(Busy(minute: Int32(minute), function: Int32(position), count: count)) }
        }
        guard !isTooLarge else {
            throw BrumeError(.tooLarge, "The trace has more than \(Self.busyMinutesMax) minutes with calls; read a window of minutes.")
        }
        return try expanded(busy, functions: table.all, skipped: skipped)
    }

    private func expanded(_ busy: [Busy], functions: [TraceFunction], skipped: SkippedRows) throws(BrumeError) -> Trace {
        // Whoever asks for all calls gets all or none; a sum of at most 20 million times 100 million.
        let total = busy.reduce(0) { $0 + $1.count }
        guard callsMax < Trace.callsMax || total <= Trace.callsMax else {
            throw BrumeError(
                .tooLarge, "The trace has \(total) calls, more than \(Trace.callsMax); read a window of minutes, or the first calls.")
        }
        // Rows come by function; times go by minute, and in a minute by function.
        let order = busy.sorted { ($0.minute, $0.function) < ($1.minute, $1.function) }
        var generator = SeededGenerator(seed: seed)
        var calls: [TraceCall] = []
        var start = order.startIndex
        while start < order.endIndex, calls.count < callsMax {
            let minute = order[start].minute
            let end = order[start...].firstIndex { $0.minute != minute } ?? order.endIndex
            let (first, room) = (calls.count, callsMax - calls.count)
            guard order[start..<end].reduce(0, { $0 + $1.count }) <= Self.callsPerMinuteOfAllMax else {
                throw BrumeError(
                    .tooLarge, "Minute \(minute) of the trace has more than \(Self.callsPerMinuteOfAllMax) calls; leave it out.")
            }
            for entry in order[start..<end] {
                // A minute of its own for each function, so that one function's count does not move another's calls.
                var draws = generator.fork()
                let beginning = Duration.seconds(60 * Int(minute))
                for offset in expansion.offsets(entry.count, limit: room, &draws) {
                    calls.append(TraceCall(offset: beginning + offset, function: Int(entry.function)))
                }
                // What is not among the first goes while others are drawn: a minute may have many more calls than are kept.
                if calls.count - first > 2 * room { Self.keepFirst(room, from: first, &calls) }
            }
            Self.keepFirst(room, from: first, &calls)
            start = end
        }
        return Trace(functions: functions, calls: calls, skipped: skipped)
    }

    /// Puts a minute's calls in order and keeps the first.
    private static func keepFirst(_ count: Int, from first: Int, _ calls: inout [TraceCall]) {
        calls[first...].sort { ($0.offset, $0.function) < ($1.offset, $1.function) }
        calls.removeLast(Swift.max(0, calls.count - first - count))
    }
}

extension MinuteExpansion {
    private static let minuteNanoseconds = 60_000_000_000

    /// The times of `count` calls within a minute, in order; the first `limit` of them.
    func offsets(_ count: Int, limit: Int, _ generator: inout SeededGenerator) -> [Duration] {
        let kept = Swift.min(count, limit)
        switch self {
        // At most ten million times sixty billion: far from the end of `Int`.
        case .even: return (0..<kept).map { .nanoseconds($0 * Self.minuteNanoseconds / count) }
        case .libra: return (0..<kept).map { .seconds(60 / count * $0) }
        case .random: return Self.smallest(kept, of: count, &generator).map { .nanoseconds($0) }
        }
    }

    /// The smallest of many draws, in order, without keeping all of them.
    private static func smallest(_ limit: Int, of count: Int, _ generator: inout SeededGenerator) -> [Int] {
        guard limit > 0 else { return [] }
        var kept: [Int] = []
        var bound = minuteNanoseconds
        for _ in 0..<count {
            let draw = generator.below(minuteNanoseconds)
            guard draw < bound else { continue }
            kept.append(draw)
            guard kept.count >= 2 * limit, count > limit else { continue }
            kept.sort()
            kept.removeLast(kept.count - limit)
            bound = kept[limit - 1]
        }
        kept.sort()
        return Array(kept.prefix(limit))
    }
}
