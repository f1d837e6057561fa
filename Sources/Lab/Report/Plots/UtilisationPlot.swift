// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeWorkload

/// What calls used and had of one resource over a run, as parts of the node: one small panel for each policy.
struct UtilisationPlot {
    let kind: ResourceKind
    /// The longest run, so that all panels have the same time.
    let seconds: Double
    /// The highest part that is drawn: 1, or less where all is much lower.
    let highest: Double

    /// More points than this are not seen on a screen; neighbours are averaged.
    private static let pointsMax = 160

    init(_ kind: ResourceKind, _ runs: [PolicyRun]) {
        self.kind = kind
        seconds = max(1, runs.map { ReplaySummary("all", of: $0.records).completionSeconds }.max() ?? 1)
        let parts = runs.flatMap { run in
            Self.courses(run, kind).allocated.map(\.part) + Self.courses(run, kind).used.map(\.part)
        }
        highest = min(1, Scale.roundUp(max(0.05, parts.max() ?? 1)))
    }

    func panel(_ run: PolicyRun, id: String) -> String {
        var drawing = Drawing(width: 340, height: 190)
        let x = Scale(.linear, 0, seconds, from: 42, to: 326)
        let y = Scale(.linear, 0, highest, from: 158, to: 22)
        for mark in y.marks {
            drawing.line(.init(x: 42, y: y.place(mark)), .init(x: 326, y: y.place(mark)), "grid")
            drawing.text(Figure.percent(mark), at: .init(x: 37, y: y.place(mark) + 4), .end)
        }
        for mark in x.marks {
            drawing.line(.init(x: x.place(mark), y: 158), .init(x: x.place(mark), y: 162), "axis")
            drawing.text("\(Figure.decimal(mark, 1)) s", at: .init(x: x.place(mark), y: 176), mark > seconds * 0.95 ? .end : .middle)
        }
        let courses = Self.courses(run, kind)
        let used = courses.used.map { Drawing.Point(x: x.place($0.at), y: y.place($0.part)) }
        drawing.path(used, base: 158, "area own")
        drawing.path(used, "line own")
        drawing.path(courses.allocated.map { .init(x: x.place($0.at), y: y.place($0.part)) }, "line limit")
        let use = kind == .cpu ? RunUse(run).cpu : RunUse(run).memory
        drawing.text("used, \(Figure.percent(use)) on average", at: .init(x: 42, y: 12), .start, "name own")
        drawing.text("limits", at: .init(x: 326, y: 12), .end, "name limit")
        let word = kind == .cpu ? "CPU" : "Memory"
        return drawing.svg(
            id: id, title: "\(word) over time under \(run.policy)",
            description: "\(word) that calls used and had over the run, as parts of the node's; \(Figure.percent(use)) used on average.")
    }

    private typealias Course = [(at: Double, part: Double)]

    private static func courses(_ run: PolicyRun, _ kind: ResourceKind) -> (used: Course, allocated: Course) {
        let capacity = Double(max(1, run.capacity[kind]))
        let size = max(1, (run.utilisation.count + pointsMax - 1) / pointsMax)
        var (used, allocated): (Course, Course) = ([], [])
        for first in stride(from: 0, to: run.utilisation.count, by: size) {
            let group = run.utilisation[first..<min(first + size, run.utilisation.count)]
            let at = group[group.startIndex].at.inSeconds
            func mean(_ value: (UtilisationPoint) -> Int) -> Double {
                group.reduce(0) { $0 + Double(value($1)) } / Double(group.count) / capacity
            }
            used.append((at, mean { kind == .cpu ? $0.usedMillicores : $0.usedMemoryBytes }))
            allocated.append((at, mean { kind == .cpu ? $0.allocatedMillicores : $0.allocatedMemoryBytes }))
        }
        return (used, allocated)
    }
}
