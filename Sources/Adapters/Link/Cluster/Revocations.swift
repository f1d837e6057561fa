// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Crypto

/// The cluster's word that a node no longer belongs, signed by its authority.
struct Revocation: Sendable, Equatable {
    let node: NodeID
    /// When it was said, in seconds since 1970.
    let at: Int64
    let signature: [UInt8]

    init(node: NodeID, at: Int64, key: Curve25519.Signing.PrivateKey) throws(BrumeError) {
        self.node = node
        self.at = at
        do {
            signature = Array(try key.signature(for: Self.statement(node, at)))
        } catch {
            throw BrumeError(.failed, "The removal of \(node) could not be signed.", cause: error)
        }
    }

    init(node: NodeID, at: Int64, signature: [UInt8]) {
        self.node = node
        self.at = at
        self.signature = signature
    }

    func isSigned(by key: Curve25519.Signing.PublicKey) -> Bool {
        key.isValidSignature(signature, for: Self.statement(node, at))
    }

    private static func statement(_ node: NodeID, _ at: Int64) -> [UInt8] { Array("brume revocation 1 \(node) \(at)".utf8) }
}

/// The nodes that were removed: a set that only grows, so any two copies agree once each has seen the other.
///
/// An identity that was removed never comes back: a machine that shall return makes a new key.
struct Revocations: Sendable, Equatable {
    /// Removals a cluster remembers; beyond it, the authority refuses to remove and certificates run out instead.
    static let entriesMax = 10_000

    /// In the order of the nodes' names.
    private(set) var entries: [Revocation] = []

    func contains(_ node: NodeID) -> Bool {
        let index = place(of: node)
        return index < entries.count && entries[index].node == node
    }

    /// Adds those that are signed and new.
    ///
    /// - Returns: the nodes that were not removed before.
    mutating func merge(_ others: [Revocation], authority: Curve25519.Signing.PublicKey) -> [NodeID] {
        var added: [NodeID] = []
        for other in others where entries.count < Self.entriesMax {
            let index = place(of: other.node)
            if index < entries.count, entries[index].node == other.node { continue }
            guard other.isSigned(by: authority) else { continue }
            entries.insert(other, at: index)
            added.append(other.node)
        }
        return added
    }

    /// Equal for equal sets, whenever each node was removed.
    var digest: [UInt8] {
        var hash = SHA256()
        for entry in entries { hash.update(data: Array(entry.node.description.utf8)) }
        return Array(hash.finalize().prefix(8))
    }

    private func place(of node: NodeID) -> Int { entries.partitioningIndex { $0.node >= node } }

    /// One line a node: identity, time, signature.
    var text: [UInt8] { Array(entries.map { "\($0.node) \($0.at) \(Hexadecimal.text($0.signature))\n" }.joined().utf8) }

    init() {}

    /// - Throws: `BrumeError` (`corrupt`) if a line is not one of ours or not signed.
    init(text: [UInt8], path: String, authority: Curve25519.Signing.PublicKey) throws(BrumeError) {
        var read: [Revocation] = []
        for line in String(decoding: text, as: UTF8.self).split(separator: "\n") {
            let parts = line.split(separator: " ")
            guard parts.count == 3, let node = try? NodeID(String(parts[0])), let at = Int64(parts[1]),
                let signature = Hexadecimal.bytes(parts[2])
            else { throw Self.corrupt(path) }
            read.append(Revocation(node: node, at: at, signature: signature))
        }
        guard merge(read, authority: authority).count == read.count else { throw Self.corrupt(path) }
    }

    private static func corrupt(_ path: String) -> BrumeError {
        BrumeError(.corrupt, "\(path) cannot be read; remove it, and the other members will send the list of removed nodes again.")
    }
}
