// SPDX-License-Identifier: Apache-2.0

import BrumeHarvest
import BrumeModel
import Foundation
import Testing

/// The profiler on the profiles that Libra's own checkpoints hold, each call predicted before it is learned.
///
/// Libra learned from the means of five runs for each input, so the noise is that of such means: 1 % of a run time, divided by the root of
/// five. Peaks stand in the middle of their class and jump from one to the next, which no curve follows exactly.
@Suite("The profiler on Libra's profiles")
struct LibraProfileTests {
    struct Row: Sendable {
        let name: String
        let paper: String
        let base: Int
        let seconds: [(multiple: Double, seconds: Double)]
        let cpu: [(class: Int, from: Double)]
        let memory: [(class: Int, from: Double)]
        /// Inputs that were measured far from their neighbours.
        let outliers: [(multiple: Double, seconds: Double)]

        var largest: Double { seconds.last?.multiple ?? 1 }

        func seconds(at multiple: Double) -> Double {
            guard let right = seconds.firstIndex(where: { $0.multiple >= multiple }), right > 0 else { return seconds.first?.seconds ?? 0 }
            let (low, high) = (seconds[right - 1], seconds[right])
            return low.seconds + (high.seconds - low.seconds) * (multiple - low.multiple) / (high.multiple - low.multiple)
        }

        /// The same, with what was once measured far from it.
        func measuredSeconds(at multiple: Double) -> Double {
            outliers.first { abs($0.multiple - multiple) < 0.5 }?.seconds ?? seconds(at: multiple)
        }

        func demandClass(_ classes: [(class: Int, from: Double)], at multiple: Double) -> Int {
            let share = 100 * (multiple - 1) / (largest - 1)
            return classes.last { $0.from <= share }?.class ?? 0
        }
    }

    /// What was measured of one function.
    struct Score {
        var cpu = 0.0
        var memory = 0.0
        var r2 = 0.0
        /// What a predictor would reach that knew the function, but neither noise nor outliers.
        var attainable = 0.0
        var unpredicted = 0
    }

    static func rows() throws -> [Row] {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Fixtures/libra-profiles.csv")
        let text = try String(contentsOf: file, encoding: .utf8)
        func pairs(_ field: Substring, _ separator: Character) throws -> [(Double, Double)] {
            try field.split(separator: " ").map { pair in
                let parts = pair.split(separator: separator)
                try #require(parts.count == 2)
                return (try #require(Double(parts[0])), try #require(Double(parts[1])))
            }
        }
        return try text.split(separator: "\n").filter { !$0.hasPrefix("#") }.dropFirst().map { line in
            let fields = line.split(separator: ",", omittingEmptySubsequences: false)
            try #require(fields.count == 7)
            return Row(
                name: String(fields[0]), paper: String(fields[1]), base: try #require(Int(fields[2])),
                seconds: try pairs(fields[3], ":").map { (multiple: $0.0, seconds: $0.1) },
                cpu: try pairs(fields[4], "@").map { (class: Int($0.0), from: $0.1) },
                memory: try pairs(fields[5], "@").map { (class: Int($0.0), from: $0.1) },
                outliers: try pairs(fields[6], ":").map { (multiple: $0.0, seconds: $0.1) })
        }
    }

    /// Draws calls with sizes as Libra's traces do, and asks before each what it will need. The first 70 only teach: as many inputs as
    /// Libra trained with.
    private static func score(_ row: Row, seed: UInt64, outliers: Bool = false) -> Score {
        var chance = SeededGenerator(seed: seed)
        var profiler = Profiler(settings: ProfilerSettings(millicoresMax: 8000))
        let function = FunctionHandle(0)
        var score = Score()
        var pairs: [(expected: Double, actual: Double, known: Double)] = []
        for number in 0..<370 {
            let size = chance.draw(row.base...Int(row.largest) * row.base)
            let multiple = Double(size) / Double(row.base)
            let features = CallFeatures(inputBytes: 20 + "\(size)".utf8.count, parameters: [Double(size)])
            let classes = (cpu: row.demandClass(row.cpu, at: multiple), memory: row.demandClass(row.memory, at: multiple))
            let known = row.seconds(at: multiple)
            let seconds = (outliers ? row.measuredSeconds(at: multiple) : known) * (1 + 0.01 * chance.normal() / 5.0.squareRoot())
            if number >= 70 {
                if let prediction = profiler.predict(function, features), prediction.known == [.cpu, .memory] {
                    if DemandClass.cpu(millicores: prediction.expectedPeak.millicores) == classes.cpu { score.cpu += 1 }
                    if DemandClass.memory(bytes: prediction.expectedPeak.memoryBytes) == classes.memory { score.memory += 1 }
                    pairs.append((prediction.expectedDuration(millicores: 8000).inSeconds, seconds, known))
                } else {
                    score.unpredicted += 1
                }
            }
            let peak = Resources(
                millicores: classes.cpu * 1000 - 500,
                memoryBytes: classes.memory * DemandClass.memoryUnitBytes - DemandClass.memoryUnitBytes / 2)
            profiler.learn(
                function, features,
                CallObservation(duration: .nanoseconds(Int64(seconds * 1e9)), peak: peak, allocatedMillicores: 8000))
        }
        let mean = pairs.reduce(0) { $0 + $1.actual } / Double(pairs.count)
        let spread = pairs.reduce(0) { $0 + ($1.actual - mean) * ($1.actual - mean) }
        score.r2 = 1 - pairs.reduce(0) { $0 + ($1.actual - $1.expected) * ($1.actual - $1.expected) } / spread
        score.attainable = 1 - pairs.reduce(0) { $0 + ($1.actual - $1.known) * ($1.actual - $1.known) } / spread
        score.cpu /= Double(pairs.count)
        score.memory /= Double(pairs.count)
        return score
    }

    @Test("the file holds Libra's table: ten functions, and the shares of the classes that its trees have")
    func table() throws {
        let rows = try Self.rows()
        #expect(rows.map(\.name) == ["dh", "eg", "ip", "vp", "ir", "knn", "alu", "ms", "gd", "dv"])
        func share(_ name: String, _ wanted: Int) throws -> Int {
            let row = try #require(rows.first { $0.name == name })
            return (1...100).count { row.demandClass(row.cpu, at: Double($0)) == wanted }
        }
        #expect(try share("dh", 7) == 92 && share("alu", 5) == 92 && share("eg", 3) == 48 && share("eg", 4) == 48 && share("ms", 6) == 3)
    }

    @Test(
        "the functions that the paper evaluates reach its bar: CPU class .95, memory class .99, R2 .94", arguments: [1, 2, 3] as [UInt64])
    func bar(seed: UInt64) throws {
        let rows = try Self.rows().filter { $0.paper != "-" }
        #expect(Set(rows.map(\.paper)) == ["UL", "TN", "CP", "DV", "DH"])
        let scores = rows.map { Self.score($0, seed: seed) }
        for (row, score) in zip(rows, scores) {
            #expect(score.unpredicted <= 3, "seed \(seed) \(row.name) \(score)")
            // What the paper has for the worst of the five.
            #expect(score.cpu >= 0.85 && score.memory >= 0.97 && score.r2 >= 0.92, "seed \(seed) \(row.name) \(score)")
        }
        func mean(_ value: (Score) -> Double) -> Double { scores.reduce(0) { $0 + value($1) } / Double(scores.count) }
        #expect(mean(\.cpu) >= 0.95 && mean(\.memory) >= 0.99 && mean(\.r2) >= 0.94, "seed \(seed) \(scores)")
    }

    @Test(
        "so do all ten, outliers and all, except for the run time of the one that ignores its input",
        arguments: [1, 2, 3, 4, 5] as [UInt64])
    func allTen(seed: UInt64) throws {
        let rows = try Self.rows()
        let scores = rows.map { Self.score($0, seed: seed, outliers: true) }
        let table = Self.table(rows, scores, seed: seed)
        for (row, score) in zip(rows, scores) {
            // No curve jumps in the middle of its range, as the memory of "eg" does here.
            #expect(score.cpu >= 0.85 && score.memory >= 0.9 && score.unpredicted <= 3, "\(row.name) of\n\(table)")
            // An input that was measured at a third of its neighbours cannot be foreseen; it must not spoil the others.
            #expect(row.name == "ir" || score.r2 >= score.attainable - 0.03, "\(row.name) of\n\(table)")
            if let libra = Self.paper[row.name] {
                #expect(score.cpu >= libra.cpu - 0.05 && score.memory >= libra.memory - 0.05, "\(row.name) of\n\(table)")
            }
        }
        let related = zip(rows, scores).filter { $0.0.name != "ir" }.map(\.1)
        func mean(_ scores: [Score], _ value: (Score) -> Double) -> Double { scores.reduce(0) { $0 + value($1) } / Double(scores.count) }
        #expect(mean(scores, \.cpu) >= 0.95 && mean(scores, \.memory) >= 0.99 && mean(related, \.r2) >= 0.94, "\(table)")
    }

    /// What the paper has for functions of the table (its Table 2): "dh", "ip", "dv", "vp" and "ir" are its DH, TN, DV, VP and IR; "alu"
    /// and "ms" stand in for UL and CP, of which no profiles were published.
    private static let paper: [String: (cpu: Double, memory: Double, r2: Double)] = [
        "dh": (0.95, 0.99, 0.92), "ip": (0.98, 0.97, 0.93), "dv": (1, 1, 0.95), "vp": (0.58, 0.63, -0.14), "ir": (0.65, 0.59, -4.4),
        "alu": (0.85, 1, 0.92), "ms": (0.95, 1, 0.97),
    ]

    /// All scores, those of the paper beside them.
    private static func table(_ rows: [Row], _ scores: [Score], seed: UInt64) -> String {
        func text(_ value: Double) -> String { "\((value * 1000).rounded() / 1000)" }
        let lines = zip(rows, scores).map { row, score in
            let libra = paper[row.name].map { "Libra \($0.cpu) \($0.memory) \($0.r2)" } ?? "Libra published nothing"
            let r2 = "R2 \(text(score.r2)) of \(text(score.attainable))"
            return "\(row.name): CPU class \(text(score.cpu)), memory class \(text(score.memory)), \(r2); \(libra)"
        }
        return "seed \(seed)\n" + lines.joined(separator: "\n")
    }
}
