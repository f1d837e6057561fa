// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BrumeModel
import BrumeWorkload

/// The options that say which calls of which trace are played, and to which functions they go.
struct TraceOptions: ParsableArguments {
    @Option(help: ArgumentHelp("File with the trace; - is standard input.", valueName: "file"), completion: .file())
    var trace: String

    @Option(help: ArgumentHelp("Its format: azure2019, azure2021 or brume. Default: by its first line.", valueName: "format"))
    var format: TraceFormat?

    @Option(help: ArgumentHelp("Play it so many times faster.", valueName: "factor"))
    var speed = 1.0

    @Option(help: ArgumentHelp("Play only the first calls.", valueName: "calls"))
    var limit: Int?

    @Option(help: ArgumentHelp("Play only these minutes; the first is 0.", valueName: "from-to"))
    var minutes: String?

    @Option(
        help: ArgumentHelp("Times of calls that are counted by the minute: random, even, or as libra's driver does.", valueName: "way"))
    var expansion = MinuteExpansion.random

    @Option(help: ArgumentHelp("Seed of these times.", valueName: "number"))
    var seed: UInt64 = 1

    @Option(help: ArgumentHelp("File with the calls' input sizes, in Libra's format.", valueName: "file"), completion: .file())
    var inputSizes: String?

    @Flag(help: "Leave out and count rows that make no sense.")
    var skipBadRows = false

    @Option(help: ArgumentHelp("Send the calls of a function of the trace to another.", valueName: "name=function"))
    var map: [String] = []

    @Option(
        help: ArgumentHelp(
            "Send the trace's functions to these in turn, with this size where the trace tells none.", valueName: "function[:size],..."))
    var functions: String?

    /// Reads the trace.
    ///
    /// - Throws: `BrumeError` that names line and column, `CommandFailure` for a file that cannot be read.
    func read() throws -> Trace {
        guard limit.map({ $0 >= 1 }) ?? true else { throw CommandFailure.words("--limit takes a number of calls, 1 or more.") }
        let file = try LoadTraceFile(path: trace)
        let format = try format ?? file.format(otherwise: "say --format, see: brume load --help")
        let reader = TraceReader(
            format, badRows: skipBadRows ? .skip : .refuse, expansion: expansion, seed: seed, minutes: try minuteRange(),
            callsMax: limit ?? Trace.callsMax)
        var result = try file.read { lines throws(BrumeError) in try reader.read(lines) }
        file.noteOpenLine(of: result)
        if let inputSizes {
            let sizes = try LoadTraceFile(path: inputSizes).read { lines throws(BrumeError) in try LibraInputSizes.read(lines) }
            try result.assign(inputSizes: sizes)
        }
        if speed != 1 { try result.accelerate(by: speed) }
        return result
    }

    private func minuteRange() throws(CommandFailure) -> Range<Int> {
        guard let minutes else { return 0..<Int.max }
        let parts = minutes.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
        guard parts.count == 2, let from = parts[0], let to = parts[1], from >= 0, from < to else {
            throw .words("--minutes takes FROM-TO, for example 0-10 for the first ten, not '\(minutes)'.")
        }
        return from..<to
    }

    /// Where the calls of each function go.
    func targets(of trace: Trace) throws -> TraceTargets {
        var targets = TraceTargets(trace: trace, functions: [])
        let turns = try functions.map { try $0.split(separator: ",").map(Self.turn) } ?? []
        guard functions == nil || !turns.isEmpty else { throw CommandFailure.words("--functions names no function.") }
        var renamed: [String: FunctionID] = [:]
        for word in map {
            guard let equals = word.lastIndex(of: "="), equals > word.startIndex else {
                throw CommandFailure.words("--map takes NAME=FUNCTION, not '\(word)'.")
            }
            renamed[String(word[..<equals])] = try FunctionID(parsing: String(word[word.index(after: equals)...]))
        }
        var sizes: [Int?] = []
        let isCalled = Set(trace.calls.map(\.function))
        for (index, function) in trace.functions.enumerated() {
            let turn = turns.isEmpty ? nil : turns[index % turns.count]
            sizes.append(turn?.size)
            if let id = renamed[function.name] ?? turn?.id {
                targets.functions.append(id)
            } else if let id = try? FunctionID(parsing: function.name) {
                targets.functions.append(id)
            } else {
                guard isCalled.contains(index) else {
                    targets.functions.append(try FunctionID(name: "unused"))
                    continue
                }
                throw CommandFailure.words(
                    "'\(function.name.prefix(40))' in the trace can be no function's name; give it one with --map or --functions.")
            }
        }
        targets.fill(sizes: sizes)
        return targets
    }

    private static func turn(_ word: Substring) throws -> (id: FunctionID, size: Int?) {
        let parts = word.split(separator: ":", maxSplits: 1)
        guard let name = parts.first else { throw CommandFailure.words("--functions takes FUNCTION[:SIZE], not '\(word)'.") }
        guard parts.count == 2 else { return (try FunctionID(parsing: String(name)), nil) }
        guard let size = Int(parts[1]), (0...Trace.inputSizeMax).contains(size) else {
            throw CommandFailure.words("'\(parts[1])' in --functions is no size; give a whole number.")
        }
        return (try FunctionID(parsing: String(name)), size)
    }
}

/// A trace, and the deployed function of each of its functions.
struct TraceTargets {
    var trace: Trace
    /// In the order of the trace's functions.
    var functions: [FunctionID]

    /// Gives calls without a size that of their function, and the functions the names under which they are called.
    fileprivate mutating func fill(sizes: [Int?]) {
        let calls = trace.calls.map { call in
            var call = call
            call.inputSize = call.inputSize ?? sizes[call.function]
            return call
        }
        let called = functions.map { TraceFunction($0.namespace == FunctionID.defaultNamespace ? $0.name : "\($0.name).\($0.namespace)") }
        trace = Trace(functions: called, parameterNames: trace.parameterNames, calls: calls, skipped: trace.skipped)
    }
}
