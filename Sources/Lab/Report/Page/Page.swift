// SPDX-License-Identifier: Apache-2.0

/// A report as one HTML file without scripts and without anything from elsewhere: ``init(_:)`` of an experiment,
/// ``init(title:lead:columns:rows:bars:footer:)`` of one table.
public struct Page: Sendable {
    private let title: String
    private let lead: String
    private let content: String
    private let footer: String

    /// - Parameters:
    ///   - title: plain words; everything else is markup.
    ///   - content: what stands between the lead and the footer.
    init(title: String, lead: String, content: String, footer: String) {
        (self.title, self.lead, self.content, self.footer) = (title, lead, content, footer)
    }

    public var html: String {
        """
        <!DOCTYPE html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <title>Brume: \(Markup.escape(title))</title>
        <style>\(Self.style)</style>
        </head>
        <body>
        <main>
        <h1>\(Markup.escape(title))</h1>
        <p class="lead">\(lead)</p>
        \(content)
        <footer><p>\(footer)</p></footer>
        </main>
        </body>
        </html>

        """
    }

    /// A table whose first column names the rows; on narrow screens each cell has its title beside it.
    static func table(_ titles: [String], _ rows: [[String]], caption: String? = nil) -> String {
        var html = "<table>" + (caption.map { "<caption>\(Markup.escape($0))</caption>" } ?? "") + "<thead><tr>"
        html += titles.map { "<th scope=\"col\">\(Markup.escape($0))</th>" }.joined() + "</tr></thead><tbody>"
        for row in rows {
            html += "<tr>"
            for (index, text) in row.enumerated() {
                let label = Markup.escape(titles[index])
                html += index == 0 ? "<th scope=\"row\">\(Markup.escape(text))</th>" : "<td data-label=\"\(label)\">\(cell(text))</td>"
            }
            html += "</tr>"
        }
        return html + "</tbody></table>"
    }

    /// What stands in parentheses below the value, so that columns stay narrow.
    private static func cell(_ text: String) -> String {
        guard let open = text.firstIndex(of: "(") else { return Markup.escape(text) }
        return "\(Markup.escape(String(text[..<open]))) <small>\(Markup.escape(String(text[open...])))</small>"
    }
}

extension Page {
    /// A report of one table.
    ///
    /// - Parameters:
    ///   - columns: one title for each cell of a row; the first cell names the row.
    ///   - bars: what is drawn above the table, in the order of the rows.
    public init(title: String, lead: String, columns: [String], rows: [[String]], bars: [Double], footer: String) {
        let bars = zip(rows, bars).map { BarPlot.Bar(name: $0[0], value: $1, text: Figure.decimal($1, 0)) }
        self.init(
            title: title, lead: Markup.escape(lead),
            content: """
                <figure>\(BarPlot(title: title, bars: bars).panel(id: "bars"))</figure>
                \(Self.table(columns, rows))
                """,
            footer: Markup.escape(footer))
    }
}
