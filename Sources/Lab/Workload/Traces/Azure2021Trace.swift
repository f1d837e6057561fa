// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// `app,func,end_timestamp,duration`: one row per call, times in seconds from the beginning of the trace.
extension TraceReader {
    private static let columns = ["app", "func", "end_timestamp", "duration"]

    func readAzure2021(_ lines: some Sequence<Substring>) throws(BrumeError) -> Trace {
        var position = [0, 0, 0, 0]
        var table = FunctionTable()
        var calls: [TraceCall] = []
        var isTooLarge = false
        let seconds = 0...Trace.offsetMax.inSeconds
        let skipped = try TableText.read(lines, what: "trace", badRows: badRows) { header throws(BrumeError) in
            for (index, name) in Self.columns.enumerated() { position[index] = try header.required(name) }
            if let other = header.names.firstIndex(where: { !Self.columns.contains($0) }) {
                throw header.unknown(other, "the column is unknown; there are \(Self.columns.joined(separator: ", ")).")
            }
        } row: { row throws(BrumeError) in
            let function = TraceFunction(try row.name(position[1]), app: try row.name(position[0]))
            let end = try row.number(position[2], seconds)
            let duration = try row.number(position[3], seconds)
            isTooLarge = isTooLarge || calls.count >= Trace.callsMax
            guard !isTooLarge else { return }
            guard let number = table.position(of: function) else {
                throw row.fault(position[1], "the trace has more than \(Trace.functionsMax) functions.")
            }
            // A call that began before the trace did is counted from its beginning.
            calls.append(
                TraceCall(
                    offset: Self.duration(seconds: max(0, end - duration)), function: number, duration: Self.duration(seconds: duration)))
        }
        guard !isTooLarge else {
            throw BrumeError(.tooLarge, "The trace has more than \(Trace.callsMax) calls; cut the file into pieces.")
        }
        return Trace(functions: table.all, calls: calls, skipped: skipped)
    }

    /// The one place where seconds of a trace become a duration; to the microsecond, because the difference of two times is no finer.
    static func duration(seconds: Double) -> Duration { .microseconds(Int64(exactly: (seconds * 1e6).rounded()) ?? .max / 1000) }
}
