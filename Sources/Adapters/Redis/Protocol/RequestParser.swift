// SPDX-License-Identifier: Apache-2.0

/// Where one argument of a request lies, counted from the first byte of its request.
struct ArgumentRange: Equatable {
    var start: Int
    var count: Int

    var end: Int { start + count }
}

/// What a client may send, bytes and counts.
struct RequestLimits: Equatable {
    /// The largest single argument.
    var bulkBytesMax = 8 << 20
    /// Arguments of one request: 2^20, as in Redis before 7.0; an `MSET` of half a million keys is a bulk load and can be split.
    var argumentsMax = 1 << 20
    /// Bytes of one request together; what is longer is refused before it is read.
    var requestBytesMax = 64 << 20
    /// 64 KiB: the longest inline request, and the longest line with a length in it; Redis' own.
    static let lineBytesMax = 64 << 10
    /// 10 arguments of 16 KiB are what somebody who has not yet said who they are may send; Redis' own.
    static let strangerArgumentsMax = 10
    static let strangerBulkBytesMax = 16 << 10
}

/// Takes a stream of bytes apart into requests: RESP arrays of bulk strings, or lines of words, in place and from wherever it stopped.
struct RequestParser {
    enum Outcome: Equatable {
        /// `arguments` holds a request; the parser stands behind it.
        case request
        /// The bytes end within a request.
        case incomplete
        /// The stream cannot be understood any further; the text goes behind `ERR Protocol error: `.
        case failure(String)
    }

    /// The arguments of the request that was read last, relative to `start`.
    private(set) var arguments: [ArgumentRange] = []
    /// Where the request that is being read, or was read last, begins.
    private(set) var start = 0
    /// The first byte that is not understood yet.
    private(set) var position = 0
    /// The words of an inline request, without their quotes.
    private(set) var unquoted: [UInt8] = []

    private var argumentsLeft = 0
    private var bulkCount = -1
    private let limits: RequestLimits

    init(limits: RequestLimits = RequestLimits()) {
        self.limits = limits
    }

    /// Whether the arguments lie in `unquoted`.
    private(set) var isUnquoted = false

    /// Whether the bytes that are there belong to a request that is not complete.
    var isWithinRequest: Bool { argumentsLeft > 0 }

    /// Forgets `start` bytes at the front, which the owner has removed from the input.
    mutating func rebase() {
        position -= start
        start = 0
    }

    /// Exchanges the arguments for another array: nothing is copied, and both keep their memory.
    mutating func exchangeArguments(_ other: inout [ArgumentRange]) { swap(&arguments, &other) }

    /// Steps behind the request that was read last.
    mutating func finishRequest() {
        start = position
        if !arguments.isEmpty { arguments.removeAll(keepingCapacity: true) }
        if isUnquoted {
            unquoted = []
            isUnquoted = false
        }
    }

    /// Reads on until a request is complete or the bytes end.
    ///
    /// - Parameter isStranger: Whether the client has still to say who it is; then less is read from it.
    mutating func next(_ input: [UInt8], isStranger: Bool) -> Outcome {
        while true {
            if argumentsLeft > 0 { return readArguments(input, isStranger: isStranger) }
            start = position
            guard position < input.count else { return .incomplete }
            if input[position] == UInt8(ascii: "*") {
                switch readCount(input, isStranger: isStranger) {
                case .request: continue
                case let other: return other
                }
            }
            switch readLine(input) {
            case .request where arguments.isEmpty:
                unquoted = []
                continue
            case let other: return other
            }
        }
    }

    /// The number that ends at the next carriage return, and the place behind its line feed.
    private func line(_ input: [UInt8], from: Int) -> (end: Int, next: Int)? {
        var index = from
        let count = input.count
        while index < count {
            if input[index] == 13 { return index + 1 < count ? (index, index + 2) : nil }
            index += 1
        }
        return nil
    }

    private mutating func readCount(_ input: [UInt8], isStranger: Bool) -> Outcome {
        guard let (end, next) = line(input, from: position) else {
            return input.count - position > RequestLimits.lineBytesMax ? .failure("too big mbulk count string") : .incomplete
        }
        guard let count = DecimalText.integer(input, from: position + 1, to: end), count <= Int64(limits.argumentsMax) else {
            return .failure("invalid multibulk length")
        }
        if isStranger, count > RequestLimits.strangerArgumentsMax { return .failure("unauthenticated multibulk length") }
        position = next
        guard count > 0 else { return .request }
        argumentsLeft = Int(count)
        bulkCount = -1
        arguments.removeAll(keepingCapacity: true)
        return .request
    }

    private mutating func readArguments(_ input: [UInt8], isStranger: Bool) -> Outcome {
        while argumentsLeft > 0 {
            if bulkCount < 0 {
                guard position < input.count else { return .incomplete }
                guard let (end, next) = line(input, from: position) else {
                    return input.count - position > RequestLimits.lineBytesMax ? .failure("too big bulk count string") : .incomplete
                }
                guard input[position] == UInt8(ascii: "$") else {
                    return .failure("expected '$', got '\(Self.printable(input[position]))'")
                }
                guard let count = DecimalText.integer(input, from: position + 1, to: end), count >= 0, count <= Int64(limits.bulkBytesMax),
                    next - start + Int(count) <= limits.requestBytesMax
                else { return .failure("invalid bulk length") }
                if isStranger, count > RequestLimits.strangerBulkBytesMax { return .failure("unauthenticated bulk length") }
                position = next
                bulkCount = Int(count)
            }
            guard input.count - position >= bulkCount + 2 else { return .incomplete }
            arguments.append(ArgumentRange(start: position - start, count: bulkCount))
            position += bulkCount + 2
            bulkCount = -1
            argumentsLeft -= 1
        }
        return .request
    }

    private static func printable(_ byte: UInt8) -> Character { Character(Unicode.Scalar(byte)) }

    // MARK: Lines

    private mutating func readLine(_ input: [UInt8]) -> Outcome {
        var end = position
        while end < input.count, input[end] != 10 { end += 1 }
        guard end < input.count else {
            return input.count - position > RequestLimits.lineBytesMax ? .failure("too big inline request") : .incomplete
        }
        let next = end + 1
        if end > position, input[end - 1] == 13 { end -= 1 }
        guard end - position <= RequestLimits.lineBytesMax else { return .failure("too big inline request") }
        arguments.removeAll(keepingCapacity: true)
        var words = InlineWords(input: input, from: position, to: end)
        guard words.split() else { return .failure("unbalanced quotes in request") }
        unquoted = words.text
        arguments = words.ranges
        isUnquoted = !arguments.isEmpty
        position = next
        return .request
    }
}

/// The words of a line, as `redis-cli` and Redis split it: spaces, `"with \x41 escapes"`, `'without'`.
struct InlineWords {
    private let input: [UInt8]
    private var index: Int
    private let end: Int
    private(set) var text: [UInt8] = []
    private(set) var ranges: [ArgumentRange] = []

    init(input: [UInt8], from: Int, to: Int) {
        self.input = input
        self.index = from
        self.end = to
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 32 || (9...13).contains(byte) }

    /// Fills `text` and `ranges`; false where quotes are not balanced.
    mutating func split() -> Bool {
        while true {
            while index < end, Self.isSpace(input[index]) { index += 1 }
            guard index < end, input[index] != 0 else { return true }
            let start = text.count
            guard word() else { return false }
            ranges.append(ArgumentRange(start: start, count: text.count - start))
        }
    }

    private mutating func word() -> Bool {
        while index < end {
            let byte = input[index]
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
                index += 1
                return quoted(by: byte)
            }
            if Self.isSpace(byte) || byte == 0 { return true }
            text.append(byte)
            index += 1
        }
        return true
    }

    private mutating func quoted(by quote: UInt8) -> Bool {
        while index < end {
            let byte = input[index]
            if byte == UInt8(ascii: "\\"), quote == UInt8(ascii: "\""), index + 1 < end {
                index += escape()
            } else if byte == UInt8(ascii: "\\"), quote == UInt8(ascii: "'"), index + 1 < end, input[index + 1] == quote {
                text.append(quote)
                index += 2
            } else if byte == quote {
                // A closing quote must end the word.
                index += 1
                return index >= end || Self.isSpace(input[index])
            } else {
                text.append(byte)
                index += 1
            }
        }
        return false
    }

    /// Appends what the escape at `index` means; returns its length.
    private mutating func escape() -> Int {
        if index + 3 < end, input[index + 1] == UInt8(ascii: "x"), let high = Self.hex(input[index + 2]),
            let low = Self.hex(input[index + 3])
        {
            text.append(high << 4 | low)
            return 4
        }
        switch input[index + 1] {
        case UInt8(ascii: "n"): text.append(10)
        case UInt8(ascii: "r"): text.append(13)
        case UInt8(ascii: "t"): text.append(9)
        case UInt8(ascii: "b"): text.append(8)
        case UInt8(ascii: "a"): text.append(7)
        case let other: text.append(other)
        }
        return 2
    }

    private static func hex(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
