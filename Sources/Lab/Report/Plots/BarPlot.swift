// SPDX-License-Identifier: Apache-2.0

/// One figure of each policy as bars, with the value beside each.
struct BarPlot {
    struct Bar {
        let name: String
        let value: Double
        let text: String
    }

    let title: String
    let bars: [Bar]

    func panel(id: String) -> String {
        let step = 38.0
        var drawing = Drawing(width: 340, height: Double(bars.count) * step + 8)
        let x = Scale(.linear, 0, max(bars.map(\.value).max() ?? 1, 1e-9), from: 0, to: 250)
        for (index, bar) in bars.enumerated() {
            let y = Double(index) * step
            let style = bar.name == Experiment.baseline ? "other" : "own"
            drawing.text(bar.name, at: .init(x: 0, y: y + 13), .start, "name")
            drawing.rectangle(x: 0, y: y + 18, width: max(1, x.place(bar.value)), height: 14, "bar \(style)")
            drawing.text(bar.text, at: .init(x: x.place(bar.value) + 6, y: y + 29.5))
        }
        let words = bars.map { "\($0.name) \($0.text)" }.joined(separator: "; ")
        return drawing.svg(id: id, title: title, description: words)
    }
}
