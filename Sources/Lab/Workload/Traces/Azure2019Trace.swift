// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// `[HashOwner,HashApp,]HashFunction[,Trigger],1,2,...,N`: one row per function, one column per minute.
extension TraceReader {
    /// Minutes with calls that are kept at most: 400 MB of them. A window of minutes (``TraceReader/minutes``) makes do with fewer.
    private static let busyMinutesMax = 20_000_000
    /// Calls of one function in one minute at most: far above the busiest of the published ones.
    private static let callsPerMinuteMax = 100_000_000

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
        var skipped = try TableText.read(lines, what: "trace", badRows: badRows) { header throws(BrumeError) in
            columns = try Columns(header)
        } row: { row throws(BrumeError) in
            let function = TraceFunction(
                try row.name(columns.function), app: columns.app.map { String(row.fields[$0]) } ?? "",
                owner: columns.owner.map { String(row.fields[$0]) } ?? "", trigger: columns.trigger.map { String(row.fields[$0]) } ?? "")
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
        return expanded(busy, functions: table.all, skipped: &skipped)
    }

    private func expanded(_ busy: [Busy], functions: [TraceFunction], skipped: inout SkippedRows) -> Trace {
        // Rows come by function; times go by minute, and in a minute by function.
        let order = busy.sorted { ($0.minute, $0.function) < ($1.minute, $1.function) }
        var generator = SeededGenerator(seed: seed)
        var calls: [TraceCall] = []
        var start = order.startIndex
        while start < order.endIndex, calls.count < callsMax {
            let minute = order[start].minute
            let end = order[start...].firstIndex { $0.minute != minute } ?? order.endIndex
            let first = calls.count
            for entry in order[start..<end] {
                // A minute of its own for each function, so that one function's count does not move another's calls.
                var draws = generator.fork()
                let beginning = Duration.seconds(60 * Int(minute))
                for offset in expansion.offsets(entry.count, limit: callsMax, &draws) {
                    calls.append(TraceCall(offset: beginning + offset, function: Int(entry.function)))
                }
            }
            calls[first...].sort { ($0.offset, $0.function) < ($1.offset, $1.function) }
            start = end
        }
        return Trace(functions: functions, calls: calls, skipped: skipped)
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
        case .random: return (0..<kept).map { _ in .nanoseconds(generator.below(Self.minuteNanoseconds)) }.sorted()
        }
    }
}
