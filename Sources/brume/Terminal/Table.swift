// SPDX-License-Identifier: Apache-2.0

/// Rows under a header, in columns as wide as their widest cell.
struct Table {
    enum Alignment { case left, right }

    struct Column {
        let title: String
        let alignment: Alignment

        init(_ title: String, _ alignment: Alignment = .left) {
            self.title = title
            self.alignment = alignment
        }
    }

    private static let gap = "  "
    let columns: [Column]
    private(set) var rows: [[String]] = []

    init(_ columns: [Column]) { self.columns = columns }

    /// - Parameter cells: one per column; missing ones are empty.
    mutating func add(_ cells: [String]) {
        precondition(cells.count <= columns.count, "a row has more cells than the table has columns")
        rows.append(cells + Array(repeating: "", count: columns.count - cells.count))
    }

    /// The whole table, without spaces at line ends.
    ///
    /// - Parameter style: makes the header stand out on a terminal.
    func rendered(style: Style) -> String {
        var widths = columns.map(\.title.count)
        for row in rows { for (index, cell) in row.enumerated() { widths[index] = max(widths[index], cell.count) } }
        let header = line(columns.map(\.title), widths)
        let lines = [style.strong(header)] + rows.map { line($0, widths) }
        return lines.joined(separator: "\n") + "\n"
    }

    private func line(_ cells: [String], _ widths: [Int]) -> String {
        var text = ""
        for (index, cell) in cells.enumerated() {
            let padding = String(repeating: " ", count: widths[index] - cell.count)
            text += (index == 0 ? "" : Self.gap) + (columns[index].alignment == .left ? cell + padding : padding + cell)
        }
        while text.last == " " { text.removeLast() }
        return text
    }
}

/// Named values under one another: `NAME  value`.
struct Sheet {
    private var entries: [(name: String, value: String)] = []

    /// Adds a line; an empty value is left out.
    mutating func add(_ name: String, _ value: String) { if !value.isEmpty { entries.append((name, value)) } }

    /// Adds one line per pair, sorted, the name on the first only.
    mutating func add(_ name: String, _ pairs: [String: String]) {
        for (index, key) in pairs.keys.sorted().enumerated() {
            entries.append((index == 0 ? name : "", "\(key)=\(pairs[key] ?? "")"))
        }
    }

    func rendered(style: Style) -> String {
        let width = entries.map(\.name.count).max() ?? 0
        return entries.map { entry in
            style.faint(entry.name) + String(repeating: " ", count: width - entry.name.count + 2) + entry.value + "\n"
        }.joined()
    }
}
