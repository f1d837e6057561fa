// SPDX-License-Identifier: Apache-2.0

public import BrumeModel

/// A distribution known by some of its percentiles; between two of them it is taken as even.
public struct Quantiles: Hashable, Sendable {
    /// Share of the values (0 to 1) and the value that they do not exceed, both rising.
    public let points: [Point]

    public struct Point: Hashable, Sendable {
        public var share: Double
        public var value: Double
    }

    /// - Throws: `BrumeError` (`invalid`) for no point, or ones that do not rise.
    public init(_ points: [Point]) throws(BrumeError) {
        let rises = zip(points, points.dropFirst()).allSatisfy { $0.share < $1.share && $0.value <= $1.value }
        guard let first = points.first, let last = points.last, first.share >= 0, last.share <= 1, rises else {
            throw BrumeError(.invalid, "Percentiles must rise from 0 to 100 with their values.")
        }
        self.points = points
    }

    /// The value that this share of all values does not exceed; outside of the known percentiles the nearest.
    public func value(at share: Double) -> Double {
        guard let above = points.firstIndex(where: { $0.share >= share }) else { return points[points.count - 1].value }
        guard above > 0 else { return points[0].value }
        let (low, high) = (points[above - 1], points[above])
        return low.value + (high.value - low.value) * (share - low.share) / (high.share - low.share)
    }

    /// The same of a distribution of milliseconds.
    func duration(at share: Double) -> Duration { .nanoseconds(Int64(exactly: (value(at: share) * 1e6).rounded()) ?? .max) }
}

/// How long the functions of Azure's trace of 2019 run and how much memory they take: the two files beside the one with the calls.
public struct AzureProfiles: Sendable {
    /// Milliseconds, by function.
    private var durations: [TraceFunction: Quantiles] = [:]
    /// MiB, by function or by application.
    private var memory: [TraceFunction: Quantiles] = [:]
    public private(set) var skipped = SkippedRows()

    private static let valueMax = 1e12

    public init() {}

    /// Reads `[HashOwner,HashApp,]HashFunction,Average,Count,Minimum,Maximum,percentile_Average_0,...,percentile_Average_100`.
    ///
    /// - Throws: `BrumeError` (`corrupt`) that names line and column; (`tooLarge`) for too many functions.
    public mutating func readDurations(_ lines: some Sequence<Substring>, badRows: BadRows = .refuse) throws(BrumeError) {
        durations = try read(
            lines, what: "table of durations", prefix: "percentile_Average_", others: ["Average", "Count", "Minimum", "Maximum"],
            badRows: badRows)
    }

    /// Reads `[HashOwner,]HashApp or HashFunction,SampleCount,AverageAllocatedMb,AverageAllocatedMb_pct1,...,AverageAllocatedMb_pct100`.
    ///
    /// - Throws: `BrumeError` (`corrupt`) that names line and column; (`tooLarge`) for too many functions.
    public mutating func readMemory(_ lines: some Sequence<Substring>, badRows: BadRows = .refuse) throws(BrumeError) {
        memory = try read(
            lines, what: "table of memory", prefix: "AverageAllocatedMb_pct", others: ["SampleCount", "AverageAllocatedMb"],
            badRows: badRows)
    }

    /// How long calls of the function take, in milliseconds.
    public func durations(of function: TraceFunction) -> Quantiles? { Self.find(function, in: durations) }

    /// How much memory the function takes, or the application it belongs to, in MiB.
    public func memory(of function: TraceFunction) -> Quantiles? { Self.find(function, in: memory) }

    private static func find(_ function: TraceFunction, in table: [TraceFunction: Quantiles]) -> Quantiles? {
        table[TraceFunction(function.name, app: function.app, owner: function.owner)]
            ?? table[TraceFunction("", app: function.app, owner: function.owner)]
    }

    private mutating func read(
        _ lines: some Sequence<Substring>, what: String, prefix: String, others: [String], badRows: BadRows
    ) throws(BrumeError) -> [TraceFunction: Quantiles] {
        var named: [Int?] = []
        var percentiles: [(column: Int, share: Double)] = []
        var table: [TraceFunction: Quantiles] = [:]
        skipped = try TableText.read(lines, what: what, badRows: badRows) { header throws(BrumeError) in
            named = ["HashFunction", "HashApp", "HashOwner"].map { header.index(of: $0) }
            guard named[0] ?? named[1] != nil else { throw TableText.fault(line: header.line, "there is no column 'HashFunction'.") }
            for (index, name) in header.names.enumerated() where !named.contains(index) && !others.contains(name) {
                guard name.hasPrefix(prefix), let percent = NumberText.parse(name.dropFirst(prefix.count)), (0...100).contains(percent)
                else { throw header.unknown(index, "the column is unknown; percentiles are called \(prefix)0 to \(prefix)100.") }
                percentiles.append((index, percent / 100))
            }
            guard !percentiles.isEmpty else { throw TableText.fault(line: header.line, "there is no column with a percentile.") }
        } row: { row throws(BrumeError) in
            let words = [try row.name(ifAny: named[0]), try row.name(ifAny: named[1]), try row.name(ifAny: named[2])]
            var points: [Quantiles.Point] = []
            for (column, share) in percentiles {
                points.append(Quantiles.Point(share: share, value: try row.number(column, 0...Self.valueMax)))
            }
            guard let quantiles = try? Quantiles(points.sorted { $0.share < $1.share }) else {
                throw row.fault(percentiles[0].column, "the percentiles of this row do not rise.")
            }
            guard table.count < Trace.functionsMax else {
                throw TableText.fault(line: row.line, "there are more than \(Trace.functionsMax) functions.")
            }
            table[TraceFunction(words[0], app: words[1], owner: words[2])] = quantiles
        }
        return table
    }
}

/// Input sizes as Libra writes them: a line of numbers that count up, a line of sizes in the order of the calls.
public enum LibraInputSizes {
    /// - Throws: `BrumeError` (`corrupt`) that names line and column; also for a last line without an end, whose last size may be cut off.
    public static func read(_ lines: some Sequence<Substring>) throws(BrumeError) -> [Int] {
        var sizes: [Int] = []
        let rows = try TableText.read(lines, what: "list of input sizes", badRows: .refuse) { header throws(BrumeError) in
            if let other = header.names.indices.first(where: { header.names[$0] != "\($0 + 1)" }) {
                throw header.unknown(other, "the columns must be called 1, 2, 3 and so on.")
            }
        } row: { row throws(BrumeError) in
            guard sizes.isEmpty else { throw TableText.fault(line: row.line, "there is a second row of sizes.") }
            for column in row.fields.indices { sizes.append(try row.whole(column, 0...Trace.inputSizeMax)) }
        }
        if let line = rows.openLine {
            throw TableText.fault(line: line, "the last line has no end; is the file cut off? If not, end it with a line break.")
        }
        return sizes
    }
}
