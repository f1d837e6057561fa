// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import FoundationEssentials
import NIOCore

/// Writes JSON as it goes, without building a document first: objects may have a thousand members.
struct StateJSONWriter {
    private(set) var buffer = ByteBuffer()
    /// Whether something stands before the next member or element, for each level that is open.
    private var hasPrevious: [Bool] = []
    private var isAfterKey = false

    // MARK: Structure

    mutating func object(_ body: (inout StateJSONWriter) -> Void) {
        open("{")
        body(&self)
        close("}")
    }

    mutating func list(_ body: (inout StateJSONWriter) -> Void) {
        open("[")
        body(&self)
        close("]")
    }

    mutating func key(_ name: StaticString) {
        separate()
        buffer.writeInteger(UInt8(ascii: "\""))
        buffer.writeStaticString(name)
        buffer.writeStaticString("\":")
        isAfterKey = true
    }

    /// A member whose name is data; bytes that are no text are written in base64 behind `base64:`.
    mutating func member(_ name: Bytes) {
        let text = Self.text(name) ?? "base64:" + Data(name.array).base64EncodedString()
        separate()
        quote(text)
        buffer.writeInteger(UInt8(ascii: ":"))
        isAfterKey = true
    }

    private mutating func open(_ mark: StaticString) {
        separate()
        buffer.writeStaticString(mark)
        hasPrevious.append(false)
    }

    private mutating func close(_ mark: StaticString) {
        hasPrevious.removeLast()
        buffer.writeStaticString(mark)
    }

    private mutating func separate() {
        if isAfterKey {
            isAfterKey = false
            return
        }
        guard let last = hasPrevious.indices.last else { return }
        if hasPrevious[last] { buffer.writeInteger(UInt8(ascii: ",")) }
        hasPrevious[last] = true
    }

    // MARK: Values

    mutating func null() {
        separate()
        buffer.writeStaticString("null")
    }

    mutating func value(_ truth: Bool) {
        separate()
        buffer.writeStaticString(truth ? "true" : "false")
    }

    mutating func value(_ number: Int64) {
        separate()
        buffer.writeString(String(number))
    }

    mutating func value(_ number: Int) { value(Int64(number)) }

    /// JSON knows no infinities; they are written as texts.
    mutating func value(_ number: Double) {
        separate()
        guard number.isFinite else { return quote(number.isNaN ? "nan" : number < 0 ? "-inf" : "inf") }
        if number == number.rounded(), abs(number) < 1e15 {
            buffer.writeString(String(Int64(number)))
        } else {
            buffer.writeString("\(number)")
        }
    }

    mutating func value(_ text: String) {
        separate()
        quote(text)
    }

    /// Bytes as text, or as `{"base64": ...}` where they are none.
    mutating func value(_ bytes: Bytes) {
        if let text = Self.text(bytes) { return value(text) }
        object { writer in
            writer.key("base64")
            writer.value(Data(bytes.array).base64EncodedString())
        }
    }

    static func text(_ bytes: Bytes) -> String? { String(validating: bytes.array, as: UTF8.self) }

    private mutating func quote(_ text: String) {
        buffer.writeInteger(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""): buffer.writeStaticString("\\\"")
            case UInt8(ascii: "\\"): buffer.writeStaticString("\\\\")
            case UInt8(ascii: "\n"): buffer.writeStaticString("\\n")
            case UInt8(ascii: "\r"): buffer.writeStaticString("\\r")
            case UInt8(ascii: "\t"): buffer.writeStaticString("\\t")
            case 0..<0x20:
                buffer.writeStaticString("\\u00")
                buffer.writeInteger(Self.digit(byte >> 4))
                buffer.writeInteger(Self.digit(byte & 15))
            default: buffer.writeInteger(byte)
            }
        }
        buffer.writeInteger(UInt8(ascii: "\""))
    }

    private static func digit(_ value: UInt8) -> UInt8 { value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10 }
}
