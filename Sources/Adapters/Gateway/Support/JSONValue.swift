// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import NIOCore

/// A JSON document of any shape, read the way Go reads one: keys match without case, unknown keys and nulls are passed over.
enum JSONValue: Sendable, Hashable {
    case null
    case bool(Bool)
    /// As it was written, so that whole numbers of 64 bits stay exact.
    case number(String)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    /// - Throws: `BrumeError` (`invalid`) with the place of the first mistake.
    init(parsing body: ByteBuffer) throws(BrumeError) {
        guard body.readableBytes > 0 else { throw BrumeError(.invalid, "The request has no body; send a JSON object.") }
        self = try JSONParser.parse(Array(body.readableBytesView))
    }
}

/// The fields of a JSON object, with errors that name the field.
struct JSONFields {
    private let fields: [String: JSONValue]

    /// - Throws: `BrumeError` (`invalid`) if the body is not a JSON object.
    init(parsing body: ByteBuffer) throws(BrumeError) {
        guard case .object(let fields) = try JSONValue(parsing: body) else {
            throw BrumeError(.invalid, "The request body is JSON but not an object; send one in braces.")
        }
        self.init(fields)
    }

    init(_ fields: [String: JSONValue]) { self.fields = fields }

    /// The exact key first, then any spelling of it, as Go matches.
    subscript(_ key: String) -> JSONValue? {
        if let value = fields[key] { return value == .null ? nil : value }
        let lowered = key.lowercased()
        // Sorted, so that two spellings in one object always read the same.
        let other = fields.keys.sorted().first { $0.lowercased() == lowered }
        return other.flatMap { fields[$0] }.flatMap { $0 == .null ? nil : $0 }
    }

    /// A string; a number or a truth value is taken as its text.
    func string(_ key: String) throws(BrumeError) -> String? {
        guard let value = self[key] else { return nil }
        guard let text = Self.text(value) else { throw Self.mismatch(key, "a string") }
        return text
    }

    func integer(_ key: String) throws(BrumeError) -> Int? {
        guard let value = self[key] else { return nil }
        if let text = Self.text(value), let whole = Int(text) { return whole }
        throw Self.mismatch(key, "a whole number")
    }

    func bool(_ key: String) throws(BrumeError) -> Bool? {
        guard let value = self[key] else { return nil }
        switch value {
        case .bool(let truth): return truth
        case .string("true"): return true
        case .string("false"), .string(""): return false
        default: throw Self.mismatch(key, "true or false")
        }
    }

    func strings(_ key: String) throws(BrumeError) -> [String] {
        guard let value = self[key] else { return [] }
        guard case .array(let items) = value else { throw Self.mismatch(key, "a list of strings") }
        var result: [String] = []
        for item in items {
            guard let text = Self.text(item) else { throw Self.mismatch(key, "a list of strings") }
            result.append(text)
        }
        return result
    }

    func dictionary(_ key: String) throws(BrumeError) -> [String: String] {
        guard let value = self[key] else { return [:] }
        guard case .object(let items) = value else { throw Self.mismatch(key, "an object of strings") }
        var result: [String: String] = [:]
        for (name, item) in items {
            if item == .null { continue }
            guard let text = Self.text(item) else { throw Self.mismatch("\(key).\(name)", "a string") }
            result[name] = text
        }
        return result
    }

    func object(_ key: String) throws(BrumeError) -> JSONFields? {
        guard let value = self[key] else { return nil }
        guard case .object(let fields) = value else { throw Self.mismatch(key, "an object") }
        return JSONFields(fields)
    }

    func objects(_ key: String) throws(BrumeError) -> [JSONFields] {
        guard let value = self[key] else { return [] }
        guard case .array(let items) = value else { throw Self.mismatch(key, "a list of objects") }
        var result: [JSONFields] = []
        for item in items {
            guard case .object(let fields) = item else { throw Self.mismatch(key, "a list of objects") }
            result.append(JSONFields(fields))
        }
        return result
    }

    private static func text(_ value: JSONValue) -> String? {
        switch value {
        case .string(let text): text
        case .bool(let truth): truth ? "true" : "false"
        case .number(let number): number
        case .null, .array, .object: nil
        }
    }

    private static func mismatch(_ key: String, _ expected: String) -> BrumeError {
        BrumeError(.invalid, "The field '\(key)' of the request must be \(expected).")
    }
}
