// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// `at_ms,function[,input_size][,duration_ms][,PARAMETER...]`: one row per call (docs/workloads.md).
extension TraceReader {
    private struct Columns {
        var time = 0
        var function = 0
        var inputSize: Int?
        var duration: Int?
        /// Every other column is a parameter.
        var parameters: [Int] = []

        init() {}

        init(_ header: TableText.Header) throws(BrumeError) {
            time = try header.required("at_ms")
            function = try header.required("function")
            inputSize = header.index(of: "input_size")
            duration = header.index(of: "duration_ms")
            for (index, name) in header.names.enumerated() where ![time, function, inputSize, duration].contains(index) {
                guard Self.isParameter(name) else {
                    throw header.unknown(
                        index, "the column is unknown; a parameter's name is a word of letters, digits and _ and not 'size'.")
                }
                parameters.append(index)
            }
            guard parameters.count <= Trace.parametersMax else {
                throw BrumeError(
                    .corrupt, "Line \(header.line): there are \(parameters.count) parameters, at most \(Trace.parametersMax) are read.")
            }
        }

        /// A key of a JSON object that needs no escapes. `size` is the input size itself.
        private static func isParameter(_ name: String) -> Bool {
            let isWord = name.utf8.allSatisfy { byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                    || byte == UInt8(ascii: "_")
            }
            return isWord && name != "size" && !(name.first?.isNumber ?? true) && name.utf8.count <= 64
        }
    }

    func readBrume(_ lines: some Sequence<Substring>) throws(BrumeError) -> Trace {
        var columns = Columns()
        var names: [String] = []
        var table = FunctionTable()
        var calls: [TraceCall] = []
        var isTooLarge = false
        let milliseconds = 0...Trace.offsetMax.inMilliseconds
        let skipped = try TableText.read(lines, what: "trace", badRows: badRows) { header throws(BrumeError) in
            columns = try Columns(header)
            names = columns.parameters.map { header.names[$0] }
        } row: { row throws(BrumeError) in
            let name = try row.name(columns.function)
            var call = TraceCall(offset: Self.duration(milliseconds: try row.number(columns.time, milliseconds)), function: 0)
            if let column = columns.inputSize, !row.fields[column].isEmpty {
                call.inputSize = try row.whole(column, 0...Trace.inputSizeMax)
            }
            if let column = columns.duration, !row.fields[column].isEmpty {
                call.duration = Self.duration(milliseconds: try row.number(column, milliseconds))
            }
            for column in columns.parameters {
                call.parameters.append(row.fields[column].isEmpty ? nil : try row.number(column, -1e300...1e300))
            }
            isTooLarge = isTooLarge || calls.count >= Trace.callsMax
            guard !isTooLarge else { return }
            guard let position = table.position(of: TraceFunction(name)) else {
                throw row.fault(columns.function, "the trace has more than \(Trace.functionsMax) functions.")
            }
            call.function = position
            calls.append(call)
        }
        guard !isTooLarge else {
            throw BrumeError(.tooLarge, "The trace has more than \(Trace.callsMax) calls; cut the file into pieces.")
        }
        return Trace(functions: table.all, parameterNames: names, calls: calls, skipped: skipped)
    }

    /// The one place where milliseconds of a trace become a duration; exact to the nanosecond for the first hundred days.
    private static func duration(milliseconds: Double) -> Duration { .nanoseconds(Int64(exactly: (milliseconds * 1e6).rounded()) ?? .max) }
}

extension Trace {
    /// The trace in the project's own format, line by line without their ends. Reading it gives the same calls.
    ///
    /// Columns that no call fills are left out. Owner, app and trigger are not written.
    public var lines: some Sequence<String> {
        let hasSizes = calls.contains { $0.inputSize != nil }
        let hasDurations = calls.contains { $0.duration != nil }
        let header = ["at_ms", "function"] + (hasSizes ? ["input_size"] : []) + (hasDurations ? ["duration_ms"] : []) + parameterNames
        let names = functions.map { TableText.field($0.name) }
        let rows = calls.lazy.map { call in
            var fields = [NumberText.milliseconds(call.offset), names[call.function]]
            if hasSizes { fields.append(call.inputSize.map { "\($0)" } ?? "") }
            if hasDurations { fields.append(call.duration.map(NumberText.milliseconds) ?? "") }
            for index in parameterNames.indices {
                let value = index < call.parameters.count ? call.parameters[index] : nil
                fields.append(value.map(NumberText.of) ?? "")
            }
            return fields.joined(separator: ",")
        }
        return [[header.joined(separator: ",")], Array(rows)].lazy.joined()
    }
}
