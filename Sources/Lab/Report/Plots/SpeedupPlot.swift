// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeWorkload

/// How many times faster each function's calls were than under static limits: every call a dot, the median a bar.
struct SpeedupPlot {
    /// What is further away is drawn at the edge: calls a hundred times faster were those that no longer waited in a queue.
    private static let range = 1.0 / 16...256.0

    let comparison: Comparison

    func panel(_ policy: String, id: String) -> String {
        var functions: [String] = []
        for call in comparison.calls where !functions.contains(call.function) { functions.append(call.function) }
        functions.sort()
        let step = 34.0
        let bottom = Double(functions.count) * step + 4
        var drawing = Drawing(width: 340, height: bottom + 22)
        let x = Scale(.logarithmic, Self.range.lowerBound, Self.range.upperBound, from: 6, to: 334)
        for mark in [1.0 / 16, 1.0 / 4, 1, 4, 16, 64, 256] {
            drawing.line(.init(x: x.place(mark), y: 2), .init(x: x.place(mark), y: bottom), mark == 1 ? "axis" : "grid")
            let text = mark < 1 ? "1/\(Int(1 / mark))" : "\(Int(mark))"
            drawing.text(
                text + "\u{00D7}", at: .init(x: x.place(mark), y: bottom + 15), mark < 0.1 ? .start : mark > 200 ? .end : .middle)
        }
        var words: [String] = []
        for (index, function) in functions.enumerated() {
            let y = Double(index) * step
            let speedups = comparison.calls.filter { $0.function == function }.map(\.speedup).sorted()
            let median = speedups[(speedups.count - 1) / 2]
            drawing.text(function, at: .init(x: 6, y: y + 13), .start, "name halo")
            drawing.text("\(Figure.decimal(median, median < 10 ? 1 : 0))\u{00D7}", at: .init(x: 334, y: y + 13), .end, "halo")
            for speedup in speedups {
                let isSlower = 1 / speedup - 1 > Comparison.tolerance
                drawing.circle(.init(x: x.place(speedup), y: y + 23), radius: 3, isSlower ? "dot limit" : "dot own")
            }
            drawing.line(.init(x: x.place(median), y: y + 16), .init(x: x.place(median), y: y + 30), "median")
            words.append("\(function) \(Figure.decimal(median, 1)) times")
        }
        return drawing.svg(
            id: id, title: "Speedup of each function's calls under \(policy)",
            description: "Medians against static limits: \(words.joined(separator: "; ")). \(comparison.slower) calls were over 5 % slower."
        )
    }
}
