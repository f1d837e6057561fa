// SPDX-License-Identifier: Apache-2.0

/// A string of bytes for keys, elements and values: 16 bytes wide, and without any allocation up to 15 bytes of content.
///
/// Ordered lexicographically. Content of at most ``inlineMax`` bytes is always kept inline, so that one content has one form.
public struct Bytes: Sendable {
    /// The longest content that needs no allocation.
    public static let inlineMax = 15

    /// The bytes lie in the integers from the most significant end, so that comparing integers compares bytes.
    enum Form: Sendable {
        /// At most 14 bytes; the last byte holds the length.
        case short(UInt64, UInt32, UInt16, UInt8)
        /// Exactly 15 bytes.
        case full(UInt64, UInt32, UInt16, UInt8)
        case heap([UInt8])
    }

    var form: Form

    private init(form: Form) { self.form = form }

    /// The empty string.
    public init() { form = .short(0, 0, 0, 0) }

    public init(_ text: String) {
        var copy = text
        self = copy.withUTF8 { unsafe Bytes(UnsafeRawBufferPointer($0)) }
    }

    public init(_ array: [UInt8]) {
        if array.count <= Self.inlineMax {
            self.init(array[...])
        } else {
            self.init(form: .heap(array))
        }
    }

    public init(_ slice: ArraySlice<UInt8>) {
        self = unsafe slice.withUnsafeBytes { unsafe Bytes($0) }
    }

    public init(_ buffer: UnsafeRawBufferPointer) {
        if buffer.count <= Self.inlineMax {
            let (high, low) = unsafe Self.pack(buffer)
            self.init(high: high, low: low)
        } else {
            self.init(form: .heap(unsafe [UInt8](buffer)))
        }
    }

    /// Of any bytes, such as a view of a buffer.
    public init(copying bytes: some Sequence<UInt8>) { self.init([UInt8](bytes)) }

    /// The two words of inline content: the bytes from the top down, the length in the lowest byte of `low`.
    init(high: UInt64, low: UInt64) {
        let middle = UInt32(truncatingIfNeeded: low >> 32)
        let small = UInt16(truncatingIfNeeded: low >> 16)
        if low & 0xFF == 15 {
            form = .full(high, middle, small, UInt8(truncatingIfNeeded: low >> 8))
        } else {
            form = .short(high, middle, small, UInt8(truncatingIfNeeded: low))
        }
    }

    /// The two words of inline content, nil when it lies on the heap.
    var words: (high: UInt64, low: UInt64)? {
        switch form {
        case .short(let high, let middle, let small, let length):
            (high, UInt64(middle) << 32 | UInt64(small) << 16 | UInt64(length))
        case .full(let high, let middle, let small, let last):
            (high, UInt64(middle) << 32 | UInt64(small) << 16 | UInt64(last) << 8 | 15)
        case .heap: nil
        }
    }

    /// Of at most 15 bytes, the two words of their inline form.
    static func pack(_ buffer: UnsafeRawBufferPointer) -> (high: UInt64, low: UInt64) {
        let count = buffer.count
        var words: (UInt64, UInt64) = (0, 0)
        unsafe withUnsafeMutableBytes(of: &words) { target in
            if count > 0 { unsafe target.copyMemory(from: buffer) }
        }
        return (UInt64(bigEndian: words.0), UInt64(bigEndian: words.1) | UInt64(count))
    }

    public var count: Int {
        switch form {
        case .short(_, _, _, let length): Int(length)
        case .full: Self.inlineMax
        case .heap(let array): array.count
        }
    }

    public var isEmpty: Bool { count == 0 }

    /// Lends the content as raw bytes, which must not be kept beyond the call.
    public func withUnsafeBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        if case .heap(let array) = form {
            let result: Result<R, E> = unsafe array.withUnsafeBytes { buffer in
                do throws(E) { return .success(unsafe try body(buffer)) } catch { return .failure(error) }
            }
            return try result.get()
        }
        guard let (high, low) = words else { preconditionFailure("inline bytes have two words") }
        let ordered = (high.bigEndian, low.bigEndian)
        let length = Int(low & 0xFF)
        let result: Result<R, E> = unsafe Swift.withUnsafeBytes(of: ordered) { buffer in
            do throws(E) { return .success(unsafe try body(UnsafeRawBufferPointer(rebasing: buffer[..<length]))) } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// The content as an array; allocates.
    public var array: [UInt8] {
        if case .heap(let array) = form { return array }
        return unsafe withUnsafeBytes { unsafe [UInt8]($0) }
    }

    /// The content as text, with the replacement character where it is not UTF-8.
    public var text: String { unsafe withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) } }

    /// What it takes beside its own 16 bytes.
    public var heapBytes: Int {
        if case .heap(let array) = form { return array.capacity + Self.arrayHeaderBytes }
        return 0
    }

    /// What the standard library puts in front of an array's elements.
    static let arrayHeaderBytes = 32
}

extension Bytes: Equatable, Hashable, Comparable {
    public static func == (left: Bytes, right: Bytes) -> Bool {
        if let (leftHigh, leftLow) = left.words {
            guard let (rightHigh, rightLow) = right.words else { return false }
            return leftHigh == rightHigh && leftLow == rightLow
        }
        guard case .heap(let one) = left.form, case .heap(let other) = right.form else { return false }
        return one == other
    }

    public static func < (left: Bytes, right: Bytes) -> Bool {
        if let (leftHigh, leftLow) = left.words, let (rightHigh, rightLow) = right.words {
            // Content is padded with zeros; what is equal but for the padding is told apart by the length in the lowest byte.
            return (leftHigh, leftLow) < (rightHigh, rightLow)
        }
        return unsafe left.withUnsafeBytes { one in
            unsafe right.withUnsafeBytes { other in unsafe one.lexicographicallyPrecedes(other) }
        }
    }

    public func hash(into hasher: inout Swift.Hasher) {
        if let (high, low) = words {
            hasher.combine(high)
            hasher.combine(low)
        } else if case .heap(let array) = form {
            unsafe array.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
        }
    }
}

extension Bytes: ExpressibleByStringLiteral, CustomStringConvertible {
    public init(stringLiteral text: StaticString) {
        self = text.withUTF8Buffer { unsafe Bytes(UnsafeRawBufferPointer($0)) }
    }

    public var description: String { text }
}

extension Bytes {
    /// The decimal digits of a number.
    public init(decimal value: Int64) {
        var magnitude = value.magnitude
        // 20 characters hold every 64-bit number with its sign.
        var digits: InlineArray<20, UInt8> = .init(repeating: 0)
        var start = 20
        repeat {
            start -= 1
            digits[start] = UInt8(ascii: "0") + UInt8(magnitude % 10)
            magnitude /= 10
        } while magnitude > 0
        if value < 0 {
            start -= 1
            digits[start] = UInt8(ascii: "-")
        }
        self = unsafe digits.span.extracting(start..<20).withUnsafeBytes { unsafe Bytes($0) }
    }

    /// The number that these bytes write in decimal, exactly as ``init(decimal:)`` writes it; nil for everything else.
    ///
    /// That is Redis' rule too: no blanks, no plus sign, no leading zeros.
    public var decimal: Int64? {
        let length = count
        guard length > 0, length <= 20 else { return nil }
        return unsafe withUnsafeBytes { buffer -> Int64? in
            let negative = unsafe buffer[0] == UInt8(ascii: "-")
            var index = negative ? 1 : 0
            guard index < length else { return nil }
            let first = unsafe buffer[index]
            if first == UInt8(ascii: "0") { return length == 1 ? 0 : nil }
            var value: Int64 = 0
            while index < length {
                let digit = unsafe buffer[index] &- UInt8(ascii: "0")
                guard digit <= 9 else { return nil }
                let (product, tooLarge) = value.multipliedReportingOverflow(by: 10)
                let (sum, over) =
                    negative ? product.subtractingReportingOverflow(Int64(digit)) : product.addingReportingOverflow(Int64(digit))
                guard !tooLarge, !over else { return nil }
                value = sum
                index += 1
            }
            return value
        }
    }
}
