// SPDX-License-Identifier: Apache-2.0

public import BrumeCRDT
import BrumeModel

/// What a session has seen and written, for it to take along to another node: of each incarnation, the last batch.
///
/// Its text travels with calls and replies. It names only batches that some node may still lack, so it is short where nodes keep up.
public struct SessionToken: Hashable, Sendable {
    /// Incarnations that a token names at most; a longer one is no token of ours.
    public static let sitesMax = 4_096

    public internal(set) var vector: VersionVector

    /// The token of a session that has seen nothing.
    public init() { vector = VersionVector() }

    public init(vector: VersionVector) { self.vector = vector }

    /// Reads the text of a token.
    ///
    /// - Throws: `StateError` (`corrupt`) where it is no token.
    public init(text: String) throws(StateError) {
        guard !text.isEmpty else {
            self.init()
            return
        }
        guard text.utf8.count <= Self.sitesMax * 28, let bytes = Self.bytes(of: text), let read = try? VersionVector(decoding: bytes) else {
            throw StateError(.corrupt, "The session's token cannot be read; begin a new session by leaving it out.")
        }
        self.init(vector: read)
    }

    /// The token as text of letters, digits, `-` and `_`; empty for a session that has seen nothing.
    public var text: String {
        guard !vector.isEmpty else { return "" }
        let bytes = vector.encoded
        var text = ""
        text.reserveCapacity(bytes.count * 4 / 3 + 2)
        var index = 0
        while index < bytes.count {
            let chunk = bytes[index..<min(index + 3, bytes.count)]
            let word = chunk.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - chunk.count))
            for place in 0...chunk.count { text.unicodeScalars.append(Self.alphabet[word >> (18 - 6 * place) & 63]) }
            index += 3
        }
        return text
    }

    /// Base 64 for file names and URLs (RFC 4648, section 5), without padding.
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".unicodeScalars)

    private static func value(_ byte: UInt8) -> Int? {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): Int(byte) - 65
        case UInt8(ascii: "a")...UInt8(ascii: "z"): Int(byte) - 97 + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): Int(byte) - 48 + 52
        case UInt8(ascii: "-"): 62
        case UInt8(ascii: "_"): 63
        default: nil
        }
    }

    private static func bytes(of text: String) -> [UInt8]? {
        var bytes: [UInt8] = []
        var word = 0
        var bits = 0
        for byte in text.utf8 {
            guard let value = value(byte) else { return nil }
            word = (word << 6 | value) & 0xFFFF
            bits += 6
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: word >> bits))
            }
        }
        return bytes
    }

    /// Joins what two sessions, or two steps of one, have seen.
    public mutating func merge(_ other: SessionToken) { vector.merge(other.vector) }
}

extension Replica {
    /// What a session has seen that reads or writes here now. Merge it into what the session had seen before.
    public func token() -> SessionToken {
        var vector = VersionVector()
        for origin in origins.list
        where origin.received > 0 && !(origin.known >= origin.tipTime && origin.tipTime <= stable && origin.received <= origin.tip) {
            vector[origin.site] = origin.received
        }
        for entry in ahead.entries where entry.site != site && entry.sequence > origins.reached(entry.site) {
            vector.raise(entry.site, to: entry.sequence)
        }
        if mark.batch > everywhere { vector[site] = mark.batch }
        return SessionToken(vector: vector)
    }

    /// The last batch of this incarnation that every member has.
    private var everywhere: UInt64 { peers.filter(\.isMember).map(\.acked).min() ?? 0 }

    /// Whether this replica has all that a session has seen, of what it keeps.
    func covers(_ token: SessionToken) -> Bool {
        token.vector.entries.allSatisfy { entry in
            if entry.site == site { return entry.sequence <= mark.batch }
            guard let origin = origins[entry.site], origins.reached(entry.site) >= entry.sequence else { return false }
            return !isFilling(from: origin.node, entry.site, through: entry.sequence)
        }
    }

    /// Whether something that a node wrote may be missing in namespaces which this one began to keep a moment ago: neither it nor
    /// anybody who has it has been compared with since.
    private func isFilling(from node: NodeID?, _ site: SiteID, through sequence: UInt64) -> Bool {
        namespaces.contains { namespace in
            let interest = namespace.interest
            return interest.isHeld && !interest.isFilled && interest.heard[site] < sequence
                && node.map { interest.sources.contains($0) } ?? true
        }
    }
}
