// SPDX-License-Identifier: Apache-2.0

public import BrumeCRDT

extension Bytes {
    /// A number as Redis writes it: the shortest decimal digits that read back as the same number, never with an exponent.
    public init(decimal value: Double) {
        if value == value.rounded(.towardZero), abs(value) < 0x1p63 {
            self.init(decimal: Int64(value))
            return
        }
        self.init(Self.expanded(value.description))
    }

    /// The sum of two numbers as people add them, digit by digit: 0.1 and 0.2 are 0.3. Nil where it is not finite.
    ///
    /// Numbers of very many digits are added as floating point.
    static func sum(_ one: Double, _ other: Double) -> Bytes? {
        let sum = one + other
        guard sum.isFinite else { return nil }
        guard let left = scaled(one), let right = scaled(other) else { return Bytes(decimal: sum) }
        let total = left + right
        let digits = String(total.magnitude)
        let padded = String(repeating: "0", count: max(0, scale + 1 - digits.count)) + digits
        var fraction = padded.suffix(scale)
        while fraction.last == "0" { fraction.removeLast() }
        let sign = total < 0 ? "-" : ""
        return Bytes(sign + padded.dropLast(scale) + (fraction.isEmpty ? "" : "." + fraction))
    }

    /// Decimal places that ``sum(_:_:)`` keeps: all that a number near 1 can have.
    private static let scale = 17

    /// The number's shortest decimal digits as a multiple of 10 to the minus ``scale``; nil if they do not fit.
    private static func scaled(_ value: Double) -> Int128? {
        let text = Bytes(decimal: value).text
        let parts = text.drop { $0 == "-" }.split(separator: ".", maxSplits: 1)
        let fraction = parts.count > 1 ? parts[1] : ""
        guard let whole = parts.first, whole.count <= 19, fraction.count <= scale else { return nil }
        guard let magnitude = Int128(whole + fraction + String(repeating: "0", count: scale - fraction.count)) else { return nil }
        return text.hasPrefix("-") ? -magnitude : magnitude
    }

    /// `1.5e-07` becomes `0.00000015`.
    private static func expanded(_ text: String) -> String {
        let parts = text.split(separator: "e", maxSplits: 1)
        guard parts.count == 2, let exponent = Int(parts[1]) else { return text }
        let isNegative = parts[0].hasPrefix("-")
        let mantissa = parts[0].drop { $0 == "-" }.split(separator: ".", maxSplits: 1)
        let whole = mantissa.first.map(String.init) ?? "0"
        var fraction = mantissa.count > 1 ? String(mantissa[1]) : ""
        if fraction == "0" { fraction = "" }
        let digits = whole + fraction
        let point = whole.count + exponent
        let sign = isNegative ? "-" : ""
        if point <= 0 { return sign + "0." + String(repeating: "0", count: -point) + digits }
        if point >= digits.count { return sign + digits + String(repeating: "0", count: point - digits.count) }
        return sign + digits.prefix(point) + "." + digits.dropFirst(point)
    }

    /// The finite number that these bytes write; nil for everything else.
    public var double: Double? {
        guard count > 0, count <= 64 else { return nil }
        guard let value = Double(text), value.isFinite else { return nil }
        return value
    }
}

extension StateError {
    static let notInteger = StateError(.notInteger, "The value is not an integer or out of range; set an integer first.")
    static let notNumber = StateError(.notNumber, "The value is not a valid float; set a number first.")
    static let overflow = StateError(.overflow, "The increment or decrement would overflow; the value stays as it is.")
    static let notFinite = StateError(.notNumber, "The increment would produce NaN or Infinity; the value stays as it is.")

    /// What a CRDT refused.
    init(_ error: CRDTError) {
        switch error.code {
        case .overflow: self = .overflow
        case .notInteger: self = .notInteger
        case .notNumber: self = .notFinite
        case .insufficientRights: self.init(.rights, error.message)
        default: self.init(.invalid, error.message)
        }
    }
}

/// Ranges as Redis gives them: both ends included, negative ones counted from the end.
enum InclusiveRange {
    /// The positions, empty where there are none.
    static func positions(_ start: Int, _ end: Int, count: Int) -> Range<Int> {
        let first = start < 0 ? max(0, count &+ start) : start
        let last = end < 0 ? count &+ end : min(end, count - 1)
        guard first <= last, first < count, last >= 0 else { return 0..<0 }
        return first..<(last + 1)
    }
}
