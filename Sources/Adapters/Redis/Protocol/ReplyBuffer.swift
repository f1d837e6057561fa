// SPDX-License-Identifier: Apache-2.0

/// Replies as bytes, in the forms of RESP2 or RESP3.
struct ReplyBuffer {
    private(set) var bytes: [UInt8] = []
    /// Whether the client has asked for RESP3.
    var isThree = false

    var count: Int { bytes.count }

    /// Lets somebody take what was written, who leaves memory to write on.
    mutating func hand(to transport: any SessionTransport) { transport.send(&bytes) }

    /// Cuts back to an earlier length: what a command had written before it failed.
    mutating func truncate(to count: Int) { bytes.removeLast(bytes.count - count) }

    mutating func raw(_ text: StaticString) {
        unsafe bytes.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    mutating func raw(_ other: [UInt8]) { bytes.append(contentsOf: other) }

    private mutating func line(_ kind: UInt8, _ value: Int64) {
        bytes.append(kind)
        DecimalText.append(value, to: &bytes)
        bytes.append(13)
        bytes.append(10)
    }

    // MARK: Simple replies

    mutating func ok() { raw("+OK\r\n") }

    mutating func simple(_ text: String) {
        bytes.append(UInt8(ascii: "+"))
        bytes.append(contentsOf: text.utf8)
        raw("\r\n")
    }

    mutating func integer(_ value: Int64) { line(UInt8(ascii: ":"), value) }

    mutating func integer(_ value: Int) { line(UInt8(ascii: ":"), Int64(value)) }

    /// 1 or 0; RESP3 has booleans, but Redis' commands answer with numbers.
    mutating func flag(_ value: Bool) { raw(value ? ":1\r\n" : ":0\r\n") }

    mutating func null() { raw(isThree ? "_\r\n" : "$-1\r\n") }

    mutating func nullArray() { raw(isThree ? "_\r\n" : "*-1\r\n") }

    /// An error; the text begins with its code.
    mutating func error(_ text: StaticString) {
        bytes.append(UInt8(ascii: "-"))
        raw(text)
        raw("\r\n")
    }

    /// An error whose text was put together; line ends in it become spaces.
    mutating func error(_ text: String) {
        bytes.append(UInt8(ascii: "-"))
        for byte in text.utf8 { bytes.append(byte == 13 || byte == 10 ? 32 : byte) }
        raw("\r\n")
    }

    // MARK: Strings

    mutating func bulk(_ text: some Collection<UInt8>) {
        line(UInt8(ascii: "$"), Int64(text.count))
        bytes.append(contentsOf: text)
        raw("\r\n")
    }

    mutating func bulk(_ text: UnsafeRawBufferPointer) {
        line(UInt8(ascii: "$"), Int64(text.count))
        unsafe bytes.append(contentsOf: text)
        raw("\r\n")
    }

    mutating func bulk(_ text: String) { bulk(text.utf8) }

    mutating func bulk(integer value: Int64) {
        var digits: [UInt8] = []
        digits.reserveCapacity(DecimalText.integerBytesMax)
        DecimalText.append(value, to: &digits)
        bulk(digits)
    }

    /// A text for people: RESP3 marks it as such.
    mutating func verbatim(_ text: String) {
        guard isThree else { return bulk(text) }
        line(UInt8(ascii: "="), Int64(text.utf8.count + 4))
        raw("txt:")
        bytes.append(contentsOf: text.utf8)
        raw("\r\n")
    }

    mutating func double(_ value: Double) {
        let text = DecimalText.text(value)
        guard isThree else { return bulk(text) }
        bytes.append(UInt8(ascii: ","))
        bytes.append(contentsOf: text)
        raw("\r\n")
    }

    // MARK: Aggregates: the head, then as many replies as it says

    mutating func array(_ count: Int) { line(UInt8(ascii: "*"), Int64(count)) }

    mutating func set(_ count: Int) { line(isThree ? UInt8(ascii: "~") : UInt8(ascii: "*"), Int64(count)) }

    /// A map of `count` pairs; in RESP2 an array of twice as many.
    mutating func map(_ count: Int) {
        if isThree { line(UInt8(ascii: "%"), Int64(count)) } else { array(count * 2) }
    }

    /// Something the client has not asked for just now.
    mutating func push(_ count: Int) { line(isThree ? UInt8(ascii: ">") : UInt8(ascii: "*"), Int64(count)) }
}
