// SPDX-License-Identifier: Apache-2.0

/// Text that is safe inside HTML and SVG.
enum Markup {
    static func escape(_ text: String) -> String {
        var result = ""
        for character in text {
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            default: result.append(character)
            }
        }
        return result
    }
}

/// A drawing of fixed proportions that grows with its column: SVG, built up piece by piece.
///
/// Colours are classes of the page, so that they follow its light or dark scheme.
struct Drawing {
    enum Anchor: String { case start, middle, end }

    struct Point: Hashable {
        let x: Double
        let y: Double
    }

    let width: Double
    let height: Double
    private var body = ""

    init(width: Double, height: Double) {
        self.width = width
        self.height = height
    }

    mutating func line(_ from: Point, _ to: Point, _ style: String) {
        body += "<line x1=\"\(n(from.x))\" y1=\"\(n(from.y))\" x2=\"\(n(to.x))\" y2=\"\(n(to.y))\" class=\"\(style)\"/>"
    }

    mutating func rectangle(x: Double, y: Double, width: Double, height: Double, _ style: String) {
        body += "<rect x=\"\(n(x))\" y=\"\(n(y))\" width=\"\(n(max(0, width)))\" height=\"\(n(max(0, height)))\" class=\"\(style)\"/>"
    }

    mutating func circle(_ centre: Point, radius: Double, _ style: String) {
        body += "<circle cx=\"\(n(centre.x))\" cy=\"\(n(centre.y))\" r=\"\(n(radius))\" class=\"\(style)\"/>"
    }

    /// A line through all points; closed down to `base` where it is to be filled.
    mutating func path(_ points: [Point], base: Double? = nil, _ style: String) {
        guard let first = points.first, let last = points.last else { return }
        var d = "M\(n(first.x)) \(n(first.y))"
        for point in points.dropFirst() { d += "L\(n(point.x)) \(n(point.y))" }
        if let base { d += "L\(n(last.x)) \(n(base))L\(n(first.x)) \(n(base))Z" }
        body += "<path d=\"\(d)\" class=\"\(style)\"/>"
    }

    mutating func text(_ text: String, at point: Point, _ anchor: Anchor = .start, _ style: String = "") {
        let name = style.isEmpty ? "" : " class=\"\(style)\""
        body += "<text x=\"\(n(point.x))\" y=\"\(n(point.y))\" text-anchor=\"\(anchor.rawValue)\"\(name)>\(Markup.escape(text))</text>"
    }

    /// - Parameters:
    ///   - id: unique on the page.
    ///   - title: what it shows, for those who do not see it; `description` says what there is to see.
    func svg(id: String, title: String, description: String) -> String {
        """
        <svg viewBox="0 0 \(n(width)) \(n(height))" role="img" aria-labelledby="\(id)-t \(id)-d" xmlns="http://www.w3.org/2000/svg">\
        <title id="\(id)-t">\(Markup.escape(title))</title><desc id="\(id)-d">\(Markup.escape(description))</desc>\(body)</svg>
        """
    }

    private func n(_ value: Double) -> String { Figure.decimal(value, 1) }
}
