// SPDX-License-Identifier: Apache-2.0

package import BrumeModel
import Crypto
import FoundationEssentials

/// What lets a node join: which cluster it may trust, and a secret that the cluster trusts.
///
/// The text is `brume1.` and base64url of: the SHA-256 of the cluster's certificate (32 bytes), the secret's number (8), the secret (32)
/// and the first 4 bytes of the SHA-256 of all that, so that a mangled copy is told from a wrong one.
package struct JoinToken: Sendable, CustomStringConvertible {
    static let prefix = "brume1."
    static let numberBytes = 8
    static let secretBytes = 32
    private static let checkBytes = 4

    let fingerprint: [UInt8]
    let number: [UInt8]
    let secret: [UInt8]

    init(fingerprint: [UInt8], number: [UInt8], secret: [UInt8]) {
        self.fingerprint = fingerprint
        self.number = number
        self.secret = secret
    }

    /// - Throws: `BrumeError` (`invalid`) if the text is no token, is of a newer version, or was mangled.
    package init(_ text: String) throws(BrumeError) {
        guard text.hasPrefix(Self.prefix) else {
            let newer = text.hasPrefix("brume")
            throw BrumeError(
                .invalid,
                newer
                    ? "The token is of another version of Brume; make one with 'brume node token' on a node of this version."
                    : "This is no join token; 'brume node token' on a member makes one.")
        }
        let bytes = Self.decoded(text.dropFirst(Self.prefix.count)) ?? []
        let length = 32 + Self.numberBytes + Self.secretBytes
        guard bytes.count == length + Self.checkBytes,
            Array(SHA256.hash(data: bytes[..<length]).prefix(Self.checkBytes)) == Array(bytes[length...])
        else {
            throw BrumeError(.invalid, "The join token is incomplete or was changed; copy the whole of what 'brume node token' printed.")
        }
        fingerprint = Array(bytes[..<32])
        number = Array(bytes[32..<(32 + Self.numberBytes)])
        secret = Array(bytes[(32 + Self.numberBytes)..<length])
    }

    /// The text for the command line. It is a secret.
    package var description: String {
        let body = fingerprint + number + secret
        let all = body + SHA256.hash(data: body).prefix(Self.checkBytes)
        let text = Data(all).base64EncodedString().filter { $0 != "=" }
        return Self.prefix + Self.swapping("+/", for: "-_", in: text)
    }

    private static func decoded(_ text: Substring) -> [UInt8]? {
        guard text.utf8.count <= 200 else { return nil }
        var plain = swapping("-_", for: "+/", in: String(text))
        while plain.utf8.count % 4 != 0 { plain += "=" }
        return Data(base64Encoded: plain).map { Array($0) }
    }

    /// Base64 for command lines has `-` and `_` where the standard one has `+` and `/`.
    private static func swapping(_ olds: String, for news: String, in text: String) -> String {
        String(text.map { character in zip(olds, news).first { $0.0 == character }?.1 ?? character })
    }
}

/// What an operator may know of a token: everything but the secret.
package struct TokenSummary: Sendable, Equatable {
    /// Sixteen hexadecimal digits: what `brume node token --revoke` takes.
    package let number: String
    /// Seconds since 1970.
    package let expires: Int64
    /// Joinings left.
    package let uses: Int
}
