// SPDX-License-Identifier: Apache-2.0

/// Writes the Prometheus text format, version 0.0.4.
struct MetricText {
    private(set) var bytes: [UInt8] = []

    mutating func header(name: String, help: String, type: String) {
        append("# HELP ", name, " ", Self.escape(help, quote: false), "\n# TYPE ", name, " ", type, "\n")
    }

    mutating func sample(name: String, labels: Labels, integer: Int64) { line(name, labels.text, String(integer)) }

    mutating func sample(name: String, labels: Labels, value: Double) { line(name, labels.text, Self.number(value)) }

    mutating func bucket(name: String, labels: Labels, bound: Double, count: Int64) {
        let bound = "le=\"\(Self.number(bound))\""
        line(name + "_bucket", labels.text.isEmpty ? bound : labels.text + "," + bound, String(count))
    }

    private mutating func line(_ name: String, _ labels: String, _ value: String) {
        if labels.isEmpty { append(name, " ", value, "\n") } else { append(name, "{", labels, "} ", value, "\n") }
    }

    private mutating func append(_ parts: String...) {
        for part in parts { bytes.append(contentsOf: part.utf8) }
    }

    /// `1`, `0.25`, `1e-07`, `+Inf`, `-Inf`, `NaN`.
    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if value == value.rounded(), abs(value) < 1e15 { return String(Int64(value)) }
        return "\(value)"
    }

    /// A legal metric name: other characters become `_`.
    static func name(_ text: String) -> String { legal(text, colon: true) }

    /// `name="value"` with a legal name and an escaped value.
    static func pair(_ pair: (String, String)) -> String { "\(legal(pair.0, colon: false))=\"\(escape(pair.1, quote: true))\"" }

    /// A readable help text for a metric that nobody described: `brume_calls_total` is "Brume calls total."
    static func sentence(fromName name: String) -> String {
        let words = name.split(whereSeparator: { $0 == "_" || $0 == ":" }).joined(separator: " ")
        return words.prefix(1).uppercased() + words.dropFirst() + "."
    }

    private static func legal(_ text: String, colon: Bool) -> String {
        let isLegal = { (index: Int, byte: UInt8) -> Bool in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"): true
            case UInt8(ascii: "0")...UInt8(ascii: "9"): index > 0
            case UInt8(ascii: ":"): colon
            default: false
            }
        }
        if !text.isEmpty, text.utf8.enumerated().allSatisfy(isLegal) { return text }
        var bytes = text.utf8.enumerated().map { isLegal(max(1, $0.offset), $0.element) ? $0.element : UInt8(ascii: "_") }
        if bytes.first.map({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) ?? true { bytes.insert(UInt8(ascii: "_"), at: 0) }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func escape(_ text: String, quote: Bool) -> String {
        let special = { (byte: UInt8) in byte == UInt8(ascii: "\\") || byte == UInt8(ascii: "\n") || (quote && byte == UInt8(ascii: "\"")) }
        guard text.utf8.contains(where: special) else { return text }
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            if special(byte) { bytes.append(UInt8(ascii: "\\")) }
            bytes.append(byte == UInt8(ascii: "\n") ? UInt8(ascii: "n") : byte)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
