// SPDX-License-Identifier: Apache-2.0

/// One table as an HTML file without scripts and without anything from elsewhere, in the clothes of ``Page``.
public struct TablePage: Sendable {
    private let title: String
    private let lead: String
    private let columns: [String]
    private let rows: [[String]]
    private let bars: [BarPlot.Bar]
    private let footer: String

    /// - Parameters:
    ///   - columns: one title for each cell of a row; the first cell names the row.
    ///   - bars: what is drawn above the table, in the order of the rows.
    public init(title: String, lead: String, columns: [String], rows: [[String]], bars: [Double], footer: String) {
        self.title = title
        self.lead = lead
        self.columns = columns
        self.rows = rows
        self.bars = zip(rows, bars).map { BarPlot.Bar(name: $0[0], value: $1, text: Figure.decimal($1, 0)) }
        self.footer = footer
    }

    public var html: String {
        let head = columns.map { "<th scope=\"col\">\(Markup.escape($0))</th>" }.joined()
        let body = rows.map { row in
            let cells = row.enumerated().map { index, cell in
                index == 0
                    ? "<th scope=\"row\">\(Markup.escape(cell))</th>"
                    : "<td data-label=\"\(Markup.escape(columns[index]))\">\(Markup.escape(cell))</td>"
            }
            return "<tr>\(cells.joined())</tr>"
        }
        return """
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="color-scheme" content="light dark">
            <title>Brume: \(Markup.escape(title))</title>
            <style>\(Page.style)</style>
            </head>
            <body>
            <main>
            <h1>\(Markup.escape(title))</h1>
            <p class="lead">\(Markup.escape(lead))</p>
            <figure>\(BarPlot(title: title, bars: bars).panel(id: "bars"))</figure>
            <table><thead><tr>\(head)</tr></thead><tbody>\(body.joined())</tbody></table>
            <footer><p>\(Markup.escape(footer))</p></footer>
            </main>
            </body>
            </html>

            """
    }
}
