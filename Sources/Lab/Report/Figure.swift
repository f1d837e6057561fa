// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// How quantities are written in tables and on axes, the same on every machine.
enum Figure {
    /// With so many decimal places at most; zeros at the end are left out.
    static func decimal(_ value: Double, _ places: Int) -> String {
        var text = fixed(value, places)
        guard text.contains(".") else { return text }
        while text.last == "0" { text.removeLast() }
        if text.last == "." { text.removeLast() }
        return text == "-0" ? "0" : text
    }

    /// With exactly so many decimal places.
    static func fixed(_ value: Double, _ places: Int) -> String {
        var scale = 1.0
        for _ in 0..<places { scale *= 10 }
        guard let scaled = Int64(exactly: (value * scale).rounded()) else { return "\(value)" }
        guard places > 0 else { return "\(scaled)" }
        var digits = "\(scaled.magnitude)"
        while digits.utf8.count <= places { digits = "0" + digits }
        return (scaled < 0 ? "-" : "") + digits.dropLast(places) + "." + digits.suffix(places)
    }

    /// `12 ms`, `1.52 s`, `2m05s`.
    static func milliseconds(_ value: Double) -> String {
        if value < 10 { return "\(decimal(value, 2)) ms" }
        if value < 1000 { return "\(decimal(value, 0)) ms" }
        if value < 60_000 { return "\(fixed(value / 1000, value < 10_000 ? 2 : 1)) s" }
        let seconds = Int((value / 1000).rounded())
        return "\(seconds / 60)m\(seconds % 60 < 10 ? "0" : "")\(seconds % 60)s"
    }

    /// A round number of milliseconds on an axis: `100 ms`, `1 s`, `1000 s`.
    static func mark(_ value: Double) -> String { value < 1000 ? "\(decimal(value, 2)) ms" : "\(decimal(value / 1000, 2)) s" }

    static func percent(_ part: Double) -> String { "\(decimal(part * 100, abs(part) < 0.1 ? 1 : 0)) %" }

    /// With its sign: `-39 %`, `+4.2 %`. The minus is a real one, as wide as the plus.
    static func change(_ part: Double) -> String {
        let text = decimal(abs(part) * 100, abs(part) < 0.1 ? 1 : 0)
        return "\(text == "0" ? "" : part < 0 ? "\u{2212}" : "+")\(text) %"
    }
}
