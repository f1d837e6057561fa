// SPDX-License-Identifier: Apache-2.0

/// A function's name inside its namespace: the identity under which it is deployed, called and accounted.
public struct FunctionID: Hashable, Sendable, Codable {
    /// The namespace used where a client names none (the OpenFaaS default).
    public static let defaultNamespace = "openfaas-fn"

    /// Longest name and longest namespace, in ASCII characters (a DNS label, as OpenFaaS clients expect).
    public static let lengthMax = 63

    public let name: String
    public let namespace: String

    /// - Throws: `BrumeError` (`invalid`) if either part is empty, too long or holds other characters than letters, digits, `-` and `_`.
    public init(name: String, namespace: String = FunctionID.defaultNamespace) throws(BrumeError) {
        try Self.validate(name, what: "function name")
        try Self.validate(namespace, what: "namespace")
        self.name = name
        self.namespace = namespace
    }

    /// Reads `name` or `name.namespace`, split at the last dot as the OpenFaaS gateway does.
    public init(parsing text: String) throws(BrumeError) {
        guard let dot = text.lastIndex(of: ".") else {
            try self.init(name: text)
            return
        }
        try self.init(name: String(text[..<dot]), namespace: String(text[text.index(after: dot)...]))
    }

    /// Checks one label: `[A-Za-z0-9]` at both ends, `-` and `_` between, 1 to 63 characters.
    public static func validate(_ label: String, what: String) throws(BrumeError) {
        let bytes = label.utf8
        guard !bytes.isEmpty else { throw BrumeError(.invalid, "The \(what) is empty; give it 1 to \(lengthMax) characters.") }
        guard bytes.count <= lengthMax else {
            throw BrumeError(
                .invalid,
                "The \(what) '\(label.prefix(24))...' has \(bytes.count) characters; \(lengthMax) are allowed.")
        }
        let inner = bytes.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") }
        guard inner, let first = bytes.first, let last = bytes.last, isAlphanumeric(first), isAlphanumeric(last) else {
            throw BrumeError(
                .invalid,
                "The \(what) '\(label)' is not valid: use letters, digits, '-' and '_', beginning and ending with a letter or digit.")
        }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
            || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
}

extension FunctionID: CustomStringConvertible {
    /// `name.namespace`, the form that metrics and logs use.
    public var description: String { "\(name).\(namespace)" }
}

extension FunctionID: Comparable {
    public static func < (left: FunctionID, right: FunctionID) -> Bool {
        (left.namespace, left.name) < (right.namespace, right.name)
    }
}

extension FunctionID {
    private enum CodingKeys: String, CodingKey { case name, namespace }

    /// Checks what it reads: names also arrive from the network and from disk.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        try self.init(
            name: try values.decode(String.self, forKey: .name), namespace: try values.decode(String.self, forKey: .namespace))
    }
}

/// The engine's short name for a deployed function: an index that a redeploy keeps and a later function never reuses.
public struct FunctionHandle: Hashable, Sendable, Comparable {
    public let index: Int
    public init(_ index: Int) { self.index = index }
    public static func < (left: FunctionHandle, right: FunctionHandle) -> Bool { left.index < right.index }
}

/// One invocation, numbered by the node. Unique over the life of a data directory: the upper bits count its starts.
public struct CallID: Hashable, Sendable, Comparable, Codable {
    public let number: UInt64
    public init(_ number: UInt64) { self.number = number }
    public static func < (left: CallID, right: CallID) -> Bool { left.number < right.number }
}

/// Numbers that a node gives out itself. Nobody outside chooses them, so that a table of them needs no hash that is hard to guess: this
/// one takes a tenth of the time, and a call looks numbers up some twenty times.
extension UInt64 {
    fileprivate func spread(seed: Int) -> Int {
        let mixed = (self ^ UInt64(truncatingIfNeeded: seed)) &* 0x9E37_79B9_7F4A_7C15
        return Int(truncatingIfNeeded: mixed ^ mixed >> 32)
    }
}

extension FunctionHandle {
    public func _rawHashValue(seed: Int) -> Int { UInt64(truncatingIfNeeded: index).spread(seed: seed) }
}

extension CallID {
    public func _rawHashValue(seed: Int) -> Int { number.spread(seed: seed) }
}

extension ReplicaID {
    public func _rawHashValue(seed: Int) -> Int { number.spread(seed: seed) }
}

extension CallID: CustomStringConvertible {
    public var description: String { "c\(number)" }
}

/// One started sandbox of a function. Unique within one run of a node.
public struct ReplicaID: Hashable, Sendable, Comparable, Codable {
    public let number: UInt64
    public init(_ number: UInt64) { self.number = number }
    public static func < (left: ReplicaID, right: ReplicaID) -> Bool { left.number < right.number }
}

extension ReplicaID: CustomStringConvertible {
    public var description: String { "r\(number)" }
}
