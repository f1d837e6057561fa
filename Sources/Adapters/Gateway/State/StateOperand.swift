// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel
import BrumeState

/// A value of a request: what JSON says, with text and base64 as bytes.
enum StateOperand: Sendable {
    case bytes(Bytes)
    case integer(Int64)
    case number(Double)
    case truth(Bool)
    case list([StateOperand])
    case fields([(field: Bytes, value: StateOperand)])

    /// - Throws: `BrumeError` (`invalid`).
    init(_ value: JSONValue) throws(BrumeError) {
        switch value {
        case .null: throw BrumeError(.invalid, "A value of the request is null; remove an object with DELETE instead.")
        case .bool(let truth): self = .truth(truth)
        case .string(let text): self = .bytes(Bytes(text))
        case .number(let text):
            if let whole = Int64(text) {
                self = .integer(whole)
            } else if let number = Double(text), number.isFinite {
                self = .number(number)
            } else {
                throw BrumeError(.invalid, "'\(text.prefix(40))' is no number that fits 64 bits.")
            }
        case .array(let items):
            self = .list(try items.map { item throws(BrumeError) in try StateOperand(item) })
        case .object(let members):
            if members.count == 1, case .string(let text)? = members["base64"] {
                guard let bytes = Base64.decode(text.utf8) else {
                    throw BrumeError(.invalid, "A value in base64 cannot be read; use the standard alphabet with padding.")
                }
                self = .bytes(Bytes(bytes))
                return
            }
            var fields: [(field: Bytes, value: StateOperand)] = []
            // In one order, whatever the dictionary's: two equal requests do the same.
            for (name, value) in members.sorted(by: { $0.key < $1.key }) {
                fields.append((try Self.fieldName(name), try StateOperand(value)))
            }
            self = .fields(fields)
        }
    }

    private static func fieldName(_ name: String) throws(BrumeError) -> Bytes {
        guard name.hasPrefix("base64:") else { return Bytes(name) }
        guard let bytes = Base64.decode(name.dropFirst(7).utf8) else {
            throw BrumeError(.invalid, "A field's name in base64 cannot be read; use the standard alphabet with padding.")
        }
        return Bytes(bytes)
    }

    /// As an element: text as it is, numbers as their decimal digits.
    func element() throws(StateError) -> Bytes {
        switch self {
        case .bytes(let bytes): return bytes
        case .integer(let number): return Bytes(decimal: number)
        case .number(let number): return Bytes(decimal: number)
        case .truth, .list, .fields: throw Self.mismatch("a text, a number, or {\"base64\": ...}")
        }
    }

    func elements() throws(StateError) -> [Bytes] {
        guard case .list(let items) = self else { return [try element()] }
        return try items.map { item throws(StateError) in try item.element() }
    }

    func whole() throws(StateError) -> Int64 {
        guard case .integer(let number) = self else { throw Self.mismatch("a whole number") }
        return number
    }

    func real() throws(StateError) -> Double {
        switch self {
        case .integer(let number): return Double(number)
        case .number(let number): return number
        case .bytes(let bytes) where bytes.double != nil: return bytes.double ?? 0
        default: throw Self.mismatch("a number")
        }
    }

    func condition() throws(StateError) -> Bool {
        guard case .truth(let truth) = self else { throw Self.mismatch("true or false") }
        return truth
    }

    func pairs() throws(StateError) -> [(Bytes, Bytes)] {
        guard case .fields(let fields) = self else { throw Self.mismatch("an object") }
        return try fields.map { field throws(StateError) in (field.field, try field.value.element()) }
    }

    /// `[{"member": "a", "score": 1}]`, or `{"a": 1}`.
    func scoredMembers() throws(StateError) -> [ScoredMember] {
        if case .fields(let fields) = self {
            return try fields.map { field throws(StateError) in ScoredMember(member: field.field, score: try field.value.real()) }
        }
        guard case .list(let items) = self else { throw Self.mismatch("a list of objects with 'member' and 'score'") }
        return try items.map { item throws(StateError) in
            guard case .fields(let fields) = item, let member = fields.first(where: { $0.field == Bytes("member") }),
                let score = fields.first(where: { $0.field == Bytes("score") })
            else { throw Self.mismatch("a list of objects with 'member' and 'score'") }
            return ScoredMember(member: try member.value.element(), score: try score.value.real())
        }
    }

    private static func mismatch(_ expected: String) -> StateError {
        StateError(.invalid, "A value of the request must be \(expected) for this kind and operation.")
    }
}
