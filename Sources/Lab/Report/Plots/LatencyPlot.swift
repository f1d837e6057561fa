// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeWorkload

/// How the latencies of one policy are distributed, over those under static limits: one small panel for each policy.
struct LatencyPlot {
    /// Common to all panels of a report, so that they can be compared.
    let lowest: Double
    let highest: Double

    /// More points than this are not seen on a screen.
    private static let pointsMax = 300

    init(_ runs: [PolicyRun]) {
        let times = runs.flatMap(\.records).filter(\.succeeded).compactMap { $0.completion?.inMilliseconds }
        var low = 1.0
        while let least = times.min(), low * 10 <= least { low *= 10 }
        lowest = low
        var high = low * 10
        while let most = times.max(), high < most { high *= 10 }
        highest = high
    }

    func panel(_ run: PolicyRun, baseline: PolicyRun?, id: String) -> String {
        var drawing = Drawing(width: 340, height: 200)
        let x = Scale(.logarithmic, lowest, highest, from: 40, to: 326)
        let y = Scale(.linear, 0, 1, from: 168, to: 14)
        for mark in [0, 0.25, 0.5, 0.75, 1] {
            drawing.line(.init(x: 40, y: y.place(mark)), .init(x: 326, y: y.place(mark)), "grid")
            drawing.text("\(Int(mark * 100)) %", at: .init(x: 35, y: y.place(mark) + 4), .end)
        }
        for mark in x.marks {
            drawing.line(.init(x: x.place(mark), y: 14), .init(x: x.place(mark), y: 172), "grid")
            drawing.text(Figure.mark(mark), at: .init(x: x.place(mark), y: 186), mark >= highest * 0.99 ? .end : .middle)
        }
        let ours = times(run)
        if let baseline, baseline.policy != run.policy {
            let theirs = times(baseline)
            drawing.path(curve(theirs, x, y), "line other")
            label(Experiment.baseline, theirs, 0.82, x, y, "other", .start, &drawing)
        }
        drawing.path(curve(ours, x, y), "line own")
        label(run.policy, ours, 0.35, x, y, "own", .end, &drawing)
        let summary = ReplaySummary("all", of: run.records)
        return drawing.svg(
            id: id, title: "Latency under \(run.policy)",
            description: """
                Part of the calls that had their answer within a time. Half within \(Figure.milliseconds(summary.p50Milliseconds)), 99 % \
                within \(Figure.milliseconds(summary.p99Milliseconds)).
                """)
    }

    private func times(_ run: PolicyRun) -> [Double] {
        run.records.filter(\.succeeded).compactMap { $0.completion?.inMilliseconds }.sorted()
    }

    private func curve(_ times: [Double], _ x: Scale, _ y: Scale) -> [Drawing.Point] {
        guard let first = times.first else { return [] }
        let step = max(1, times.count / Self.pointsMax)
        var points = [Drawing.Point(x: x.place(first), y: y.place(0))]
        var part = 0.0
        for index in Array(stride(from: 0, to: times.count - 1, by: step)) + [times.count - 1] {
            points.append(.init(x: x.place(times[index]), y: y.place(part)))
            part = Double(index + 1) / Double(times.count)
            points.append(.init(x: x.place(times[index]), y: y.place(part)))
        }
        return points
    }

    /// Writes the name beside the curve: before it, or behind it.
    private func label(
        _ name: String, _ times: [Double], _ part: Double, _ x: Scale, _ y: Scale, _ style: String, _ side: Drawing.Anchor,
        _ drawing: inout Drawing
    ) {
        guard !times.isEmpty else { return }
        let at = x.place(times[min(times.count - 1, Int(Double(times.count) * part))])
        let width = Double(name.count) * 7.2
        // Where there is no room on its side, the other one; where there is none at all, the caption has to do.
        let (fitsBefore, fitsBehind) = (at - 7 - width > 44, at + 7 + width < 326)
        guard fitsBefore || fitsBehind else { return }
        let isBefore = fitsBefore && (side == .end || !fitsBehind)
        drawing.text(
            name, at: .init(x: isBefore ? at - 7 : at + 7, y: y.place(part) + (isBefore ? -4 : 12)), isBefore ? .end : .start,
            "name halo \(style)")
    }
}
