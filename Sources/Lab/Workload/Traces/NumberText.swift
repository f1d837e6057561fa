// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// Numbers as text, the same on every machine, and back.
enum NumberText {
    /// A whole number without a point, everything else with as many digits as it takes to read it back.
    static func of(_ value: Double) -> String {
        if let whole = Int64(exactly: value), whole.magnitude < 1 << 53 { return "\(whole)" }
        return "\(value)"
    }

    /// With so many decimal places at most; zeros at the end are left out.
    static func decimal(_ value: Double, places: Int) -> String {
        var scale = 1.0
        for _ in 0..<places { scale *= 10 }
        guard let scaled = Int64(exactly: (value * scale).rounded()), scale < 1e15 else { return of(value) }
        return decimal(scaled, places: places)
    }

    /// Milliseconds with up to six decimal places, exactly.
    static func milliseconds(_ duration: Duration) -> String { decimal(duration.wholeNanoseconds, places: 6) }

    /// Seconds with up to nine decimal places, exactly.
    static func seconds(_ duration: Duration) -> String { decimal(duration.wholeNanoseconds, places: 9) }

    /// `scaled` divided by the power of ten.
    private static func decimal(_ scaled: Int64, places: Int) -> String {
        var digits = Array("\(scaled.magnitude)")
        while digits.count <= places { digits.insert("0", at: 0) }
        var fraction = digits.suffix(places)
        while fraction.last == "0" { fraction.removeLast() }
        let whole = String(digits.dropLast(places))
        return (scaled < 0 ? "-" : "") + whole + (fraction.isEmpty ? "" : "." + String(fraction))
    }

    /// Reads a plain decimal number; nothing for words like `nan` and `inf`, for hexadecimal and for what does not fit.
    static func parse(_ text: Substring) -> Double? {
        let isPlain = text.utf8.allSatisfy { byte in
            (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                || [UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "+")].contains(byte)
                || byte | 0x20 == UInt8(ascii: "e")
        }
        guard isPlain, let value = Double(text), value.isFinite else { return nil }
        return value
    }
}
