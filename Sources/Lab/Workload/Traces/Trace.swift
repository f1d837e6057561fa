// SPDX-License-Identifier: Apache-2.0

public import BrumeModel

/// A function as a trace names it.
public struct TraceFunction: Hashable, Sendable {
    /// The name that calls go to; of Azure's traces the hash of the function.
    public var name: String
    /// The application it belongs to, where the trace tells; its functions share their memory in Azure's figures.
    public var app: String
    public var owner: String
    /// What calls it (`http`, `timer`, `queue`, ...), where the trace tells.
    public var trigger: String

    public init(_ name: String, app: String = "", owner: String = "", trigger: String = "") {
        self.name = name
        self.app = app
        self.owner = owner
        self.trigger = trigger
    }
}

/// One call of a trace.
public struct TraceCall: Hashable, Sendable {
    /// When, counted from the beginning of the trace.
    public var offset: Duration
    /// Which of the trace's functions, by position.
    public var function: Int
    /// How much work it asks for, in the function's own measure, where the trace tells.
    public var inputSize: Int?
    /// How long it ran where the trace was recorded.
    public var duration: Duration?
    /// Numbers that go into the body, one for each of the trace's ``Trace/parameterNames``; nil is left out.
    public var parameters: [Double?]

    public init(offset: Duration, function: Int, inputSize: Int? = nil, duration: Duration? = nil, parameters: [Double?] = []) {
        self.offset = offset
        self.function = function
        self.inputSize = inputSize
        self.duration = duration
        self.parameters = parameters
    }
}

/// Rows that were left out of a trace because they could not be read.
public struct SkippedRows: Hashable, Sendable {
    /// Sentences that are kept, to show what is wrong with a file without repeating it.
    public static let sentencesMax = 10

    /// How many rows.
    public private(set) var count = 0
    /// What was wrong with the first of them, with line and column.
    public private(set) var sentences: [String] = []
    /// The number of the last line, where it has no end: if the file was cut off there, its last field may be only a part of itself.
    public internal(set) var openLine: Int?

    public init() {}

    mutating func add(_ sentence: String) {
        count += 1
        if sentences.count < Self.sentencesMax { sentences.append(sentence) }
    }
}

/// A recorded or generated workload: which function is called when, with how much to do.
public struct Trace: Hashable, Sendable {
    /// Calls in one trace at most: Azure's two weeks of 2021 have two million; ten million take a gigabyte.
    public static let callsMax = 10_000_000
    /// Functions in one trace at most: a day of Azure's traces of 2019 names some 50 000.
    public static let functionsMax = 200_000
    /// Columns of parameters at most: a call has a handful.
    public static let parametersMax = 32
    /// The latest offset: a year, in which every published trace has its place.
    public static let offsetMax = Duration.seconds(366 * 86_400)
    /// The largest input size: beyond it a number in JSON is no longer exact.
    public static let inputSizeMax = 1 << 53

    /// In the order in which the trace first names them.
    public var functions: [TraceFunction]
    /// Names of the parameters, as keys of the body.
    public var parameterNames: [String]
    /// In the order of their offsets; equal ones in the order of the file.
    public private(set) var calls: [TraceCall]
    /// What could not be read.
    public var skipped: SkippedRows

    /// Puts the calls in order.
    public init(
        functions: [TraceFunction], parameterNames: [String] = [], calls: [TraceCall], skipped: SkippedRows = SkippedRows()
    ) {
        self.functions = functions
        self.parameterNames = parameterNames
        self.skipped = skipped
        self.calls = calls
        let isOrdered = zip(calls, calls.dropFirst()).allSatisfy { $0.offset <= $1.offset }
        if !isOrdered {
            // By position too, so that the order of equal offsets does not depend on the sort.
            self.calls = calls.enumerated().sorted { ($0.element.offset, $0.offset) < ($1.element.offset, $1.offset) }.map(\.element)
        }
    }

    /// From the beginning to the last call.
    public var length: Duration { calls.last?.offset ?? .zero }

    /// Keeps the first calls.
    public mutating func keep(first count: Int) {
        if count < calls.count { calls.removeLast(calls.count - max(0, count)) }
    }

    /// Keeps the calls of a window of time; the window begins at zero then.
    public mutating func keep(from start: Duration, to end: Duration) {
        calls = calls.filter { $0.offset >= start && $0.offset < end }
        for index in calls.indices { calls[index].offset -= start }
    }

    /// Makes time pass faster (or slower, below 1): offsets are divided by `speed`.
    ///
    /// - Throws: `BrumeError` (`invalid`) for a speed that is not between a thousandth and a million.
    public mutating func accelerate(by speed: Double) throws(BrumeError) {
        guard speed >= 0.001, speed <= 1e6 else {
            throw BrumeError(.invalid, "A speed of \(speed) is not possible; give a number from 0.001 to 1000000.")
        }
        for index in calls.indices {
            calls[index].offset = .nanoseconds(Int64(exactly: (Double(calls[index].offset.wholeNanoseconds) / speed).rounded()) ?? .max)
        }
    }

    /// Gives the calls input sizes, in the order of the calls.
    ///
    /// - Throws: `BrumeError` (`invalid`) where there are fewer sizes than calls.
    public mutating func assign(inputSizes sizes: [Int]) throws(BrumeError) {
        guard sizes.count >= calls.count else {
            throw BrumeError(.invalid, "There are \(sizes.count) input sizes for \(calls.count) calls; give one for each call.")
        }
        for index in calls.indices { calls[index].inputSize = sizes[index] }
    }

    /// Draws a duration for each call from the distribution of its function.
    ///
    /// - Returns: how many calls kept what they had, because nothing is known of their function.
    @discardableResult
    public mutating func drawDurations(from profiles: AzureProfiles, seed: UInt64) -> Int {
        var generator = SeededGenerator(seed: seed)
        let known = functions.map { profiles.durations(of: $0) }
        var unknown = 0
        for index in calls.indices {
            // One draw for each call, so that a missing profile does not shift the others.
            let position = generator.unit()
            if let quantiles = known[calls[index].function] {
                calls[index].duration = quantiles.duration(at: position)
            } else {
                unknown += 1
            }
        }
        return unknown
    }

    /// The body of a call as JSON: `size` and the parameters that it has.
    public func body(of call: TraceCall) -> String {
        var members: [String] = []
        if let size = call.inputSize { members.append("\"size\": \(size)") }
        for (name, value) in zip(parameterNames, call.parameters) {
            if let value { members.append("\"\(name)\": \(NumberText.of(value))") }
        }
        return "{" + members.joined(separator: ", ") + "}"
    }
}
