// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Numbers as Redis reads and writes them.
enum DecimalText {
    /// Longest text of an `Int64`.
    static let integerBytesMax = 20

    /// Reads an integer without spaces, plus signs or leading zeros; nil for anything else and for what is out of range.
    static func integer(_ text: [UInt8], from: Int, to: Int) -> Int64? {
        guard from < to, to - from <= integerBytesMax else { return nil }
        var index = from
        let isNegative = text[index] == UInt8(ascii: "-")
        if isNegative { index += 1 }
        guard index < to else { return nil }
        let first = text[index] &- UInt8(ascii: "0")
        if first == 0 { return to - from == 1 ? 0 : nil }
        guard first <= 9 else { return nil }
        var magnitude = UInt64(first)
        index += 1
        while index < to {
            let digit = text[index] &- UInt8(ascii: "0")
            guard digit <= 9 else { return nil }
            let (product, overflow) = magnitude.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(UInt64(digit))
            guard !overflow, !carry else { return nil }
            magnitude = sum
            index += 1
        }
        if isNegative { return magnitude <= UInt64(Int64.max) + 1 ? Int64(truncatingIfNeeded: 0 &- magnitude) : nil }
        return magnitude <= UInt64(Int64.max) ? Int64(magnitude) : nil
    }

    static func integer(_ text: [UInt8]) -> Int64? { integer(text, from: 0, to: text.count) }

    /// Appends an integer's digits.
    static func append(_ value: Int64, to output: inout [UInt8]) {
        if value >= 0, value < 10 {
            output.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value))
            return
        }
        var magnitude = value.magnitude
        var digits: InlineArray<20, UInt8> = .init(repeating: 0)
        var index = 20
        repeat {
            index -= 1
            let quotient = magnitude / 10
            digits[index] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: magnitude &- quotient &* 10)
            magnitude = quotient
        } while magnitude > 0
        if value < 0 { output.append(UInt8(ascii: "-")) }
        while index < 20 {
            output.append(digits[index])
            index += 1
        }
    }

    static func bytes(_ value: Int64) -> [UInt8] {
        var output: [UInt8] = []
        append(value, to: &output)
        return output
    }

    /// Reads a floating point number as `strtod` does, without spaces around it; nil for what is none and for NaN.
    static func double(_ text: some Collection<UInt8>) -> Double? {
        guard let first = text.first, !isSpace(first), text.count <= floatBytesMax else { return nil }
        var copy = Array(text).map { CChar(bitPattern: $0) }
        copy.append(0)
        let (value, end) = unsafe copy.withUnsafeBufferPointer { buffer -> (Double, Int) in
            guard let base = buffer.baseAddress else { return (0, 0) }
            var stop: UnsafeMutablePointer<CChar>?
            let value = unsafe strtod(base, &stop)
            return unsafe (value, stop.map { unsafe UnsafePointer($0) - base } ?? 0)
        }
        guard end == copy.count - 1, !value.isNaN else { return nil }
        return value
    }

    /// A text longer than this is no number that anybody means; Redis stops at 5 KiB, and writes no more than 317 bytes.
    private static let floatBytesMax = 5 << 10

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 32 || (9...13).contains(byte) }

    /// 17 significant digits, as Redis 7.0 answers with scores.
    static func text(_ value: Double) -> [UInt8] {
        if value.isInfinite { return Array((value > 0 ? "inf" : "-inf").utf8) }
        if value == 0 { return Array((value.sign == .minus ? "-0" : "0").utf8) }
        if value.magnitude < 1e15, value == value.rounded(.towardZero) { return bytes(Int64(value)) }
        return formatted("%.17g", value)
    }

    private static func formatted(_ format: String, _ value: some CVarArg) -> [UInt8] {
        var buffer = [CChar](repeating: 0, count: humanBytesMax)
        let count = unsafe withVaList([value]) { list in
            unsafe buffer.withUnsafeMutableBufferPointer { space in unsafe vsnprintf(space.baseAddress, space.count, format, list) }
        }
        return buffer.prefix(max(0, min(Int(count), humanBytesMax - 1))).map { UInt8(bitPattern: $0) }
    }

    /// Room for the largest long double with 17 places: 4,933 digits, a point, 17 places.
    private static let humanBytesMax = 5 << 10

    #if arch(x86_64)
    /// What Redis adds up `INCRBYFLOAT` in: the machine's longest floating point number.
    typealias Long = Float80
    #else
    typealias Long = Double
    #endif

    /// Reads a number for `INCRBYFLOAT`; nil for what is none.
    static func long(_ text: some Collection<UInt8>) -> Long? {
        #if arch(x86_64)
        guard let first = text.first, !isSpace(first), text.count <= floatBytesMax else { return nil }
        var copy = Array(text).map { CChar(bitPattern: $0) }
        copy.append(0)
        let (value, end) = unsafe copy.withUnsafeBufferPointer { buffer -> (Float80, Int) in
            guard let base = buffer.baseAddress else { return (0, 0) }
            var stop: UnsafeMutablePointer<CChar>?
            let value = unsafe strtold(base, &stop)
            return unsafe (value, stop.map { unsafe UnsafePointer($0) - base } ?? 0)
        }
        guard end == copy.count - 1, !value.isNaN else { return nil }
        return value
        #else
        return double(text)
        #endif
    }

    /// At most 17 places behind the point, without zeros at the end: what `INCRBYFLOAT` answers.
    static func human(_ value: Long) -> [UInt8] {
        #if arch(x86_64)
        var text = formatted("%.17Lf", value)
        #else
        var text = formatted("%.17f", value)
        #endif
        guard text.contains(UInt8(ascii: ".")) else { return text }
        while text.last == UInt8(ascii: "0") { text.removeLast() }
        if text.last == UInt8(ascii: ".") { text.removeLast() }
        if text == Array("-0".utf8) { return [UInt8(ascii: "0")] }
        return text
    }
}
