// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Crypto

/// The join tokens that still count, as they are stored: the secrets only as SHA-256 (they are 256 random bits, so no slow hash is needed).
struct TokenBook: Sendable, Equatable {
    /// Tokens at once: nobody hands out more before the oldest expire.
    static let tokensMax = 1_000
    /// Wrong secrets after which a token is worth nothing: one is a typing error, ten are an attack.
    static let wrongSecretsMax = 10

    struct Entry: Sendable, Equatable {
        let number: [UInt8]
        let secretHash: [UInt8]
        let expires: Int64
        var uses: Int
        var wrong: Int
    }

    private(set) var entries: [Entry] = []

    mutating func add(_ token: JoinToken, expires: Int64, uses: Int, now: Int64) throws(BrumeError) {
        entries.removeAll { $0.expires < now || $0.uses <= 0 }
        guard entries.count < Self.tokensMax else {
            throw BrumeError(.tooLarge, "There are \(Self.tokensMax) join tokens already; wait until some expire, or revoke them.")
        }
        entries.append(
            Entry(number: token.number, secretHash: Array(SHA256.hash(data: token.secret)), expires: expires, uses: uses, wrong: 0))
    }

    /// Takes one use of a token; the caller stores the book before it acts on that.
    ///
    /// The secret is compared in constant time, and an unknown number costs as much as a known one.
    ///
    /// - Throws: `BrumeError` (`permission`) with a reason that does not tell a wrong secret from an unknown token.
    mutating func spend(number: [UInt8], secret: [UInt8], now: Int64) throws(BrumeError) {
        let shown = SHA256.hash(data: secret)
        let index = entries.firstIndex { $0.number == number }
        let expected = index.map { entries[$0].secretHash } ?? [UInt8](repeating: 0, count: 32)
        var difference: UInt8 = 0
        for (left, right) in zip(shown, expected) { difference |= left ^ right }
        guard let index, difference == 0, entries[index].wrong < Self.wrongSecretsMax else {
            if let index { entries[index].wrong = min(entries[index].wrong + 1, Self.wrongSecretsMax) }
            throw BrumeError(.permission, "The cluster does not know this join token; make a new one with 'brume node token'.")
        }
        guard now <= entries[index].expires else {
            throw BrumeError(.permission, "The join token has expired; make a new one with 'brume node token'.")
        }
        guard entries[index].uses > 0 else {
            throw BrumeError(.permission, "The join token is used up; make a new one with 'brume node token'.")
        }
        entries[index].uses -= 1
    }

    mutating func remove(number: [UInt8]) -> Bool {
        let before = entries.count
        entries.removeAll { $0.number == number }
        return entries.count < before
    }

    func summaries(now: Int64) -> [TokenSummary] {
        entries.filter { $0.expires >= now && $0.uses > 0 && $0.wrong < Self.wrongSecretsMax }
            .map { TokenSummary(number: Hexadecimal.text($0.number), expires: $0.expires, uses: $0.uses) }
    }

    /// One line a token: number, hash, expiry, uses left, wrong secrets shown.
    var text: [UInt8] {
        Array(
            entries.map {
                "\(Hexadecimal.text($0.number)) \(Hexadecimal.text($0.secretHash)) \($0.expires) \($0.uses) \($0.wrong)\n"
            }.joined().utf8)
    }

    init() {}

    /// - Throws: `BrumeError` (`corrupt`) if a line is not one of ours.
    init(text: [UInt8], path: String) throws(BrumeError) {
        for line in String(decoding: text, as: UTF8.self).split(separator: "\n") {
            let parts = line.split(separator: " ")
            guard parts.count == 5, let number = Hexadecimal.bytes(parts[0]), number.count == JoinToken.numberBytes,
                let hash = Hexadecimal.bytes(parts[1]), hash.count == 32, let expires = Int64(parts[2]), let uses = Int(parts[3]),
                let wrong = Int(parts[4]), entries.count < Self.tokensMax
            else { throw BrumeError(.corrupt, "\(path) cannot be read; remove it, and make new join tokens.") }
            entries.append(Entry(number: number, secretHash: hash, expires: expires, uses: uses, wrong: wrong))
        }
    }
}

/// Bytes as lower-case hexadecimal digits.
enum Hexadecimal {
    static func text(_ bytes: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    static func bytes(_ text: some StringProtocol) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count.isMultiple(of: 2) else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = value(digits[index]), let low = value(digits[index + 1]) else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    private static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}
