// SPDX-License-Identifier: Apache-2.0

/// Who a node is to other nodes: the SHA-256 of its public key, cut to 128 bits, in lower-case hexadecimal.
///
/// It stays the same over restarts and is never the name of a replica of state: that is an incarnation, and a lost log ends it.
public struct NodeID: Hashable, Sendable, Comparable, Codable, CustomStringConvertible {
    /// Characters of an identity.
    public static let length = 32

    public let description: String

    /// - Throws: `BrumeError` (`invalid`) unless the text is 32 hexadecimal digits in lower case.
    public init(_ text: String) throws(BrumeError) {
        let digits = text.utf8.allSatisfy {
            (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
        }
        guard text.utf8.count == Self.length, digits else {
            throw BrumeError(.invalid, "'\(text.prefix(40))' is no node; a node's identity is \(Self.length) hexadecimal digits.")
        }
        description = text
    }

    public static func < (left: NodeID, right: NodeID) -> Bool { left.description < right.description }

    public init(from decoder: any Decoder) throws {
        try self.init(try decoder.singleValueContainer().decode(String.self))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
