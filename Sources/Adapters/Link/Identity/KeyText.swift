// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Crypto
import FoundationEssentials
import SwiftASN1

/// Ed25519 keys as PEM files of PKCS #8, which other tools read too.
enum KeyText {
    private static let label = "PRIVATE KEY"
    /// What PKCS #8 puts before the 32 bytes of an Ed25519 key: version 0, the algorithm 1.3.101.112, two octet strings.
    private static let prefix: [UInt8] = [0x30, 0x2E, 2, 1, 0, 0x30, 5, 6, 3, 0x2B, 0x65, 0x70, 4, 0x22, 4, 0x20]

    static func der(of key: Curve25519.Signing.PrivateKey) -> [UInt8] { prefix + key.rawRepresentation }

    static func text(of key: Curve25519.Signing.PrivateKey) -> [UInt8] {
        Array(PEMDocument(type: label, derBytes: der(of: key)).pemString.utf8) + [UInt8(ascii: "\n")]
    }

    /// - Throws: `BrumeError` (`corrupt`) unless the text is an Ed25519 key.
    static func key(from text: [UInt8], path: String, advice: String) throws(BrumeError) -> Curve25519.Signing.PrivateKey {
        if let document = try? PEMDocument(pemString: String(decoding: text, as: UTF8.self)),
            document.discriminator == label, document.derBytes.count == prefix.count + 32, document.derBytes.starts(with: prefix),
            let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: document.derBytes.dropFirst(prefix.count))
        {
            return key
        }
        throw BrumeError(.corrupt, "\(path) holds no Ed25519 key; restore it from a backup, or \(advice).")
    }
}
