// SPDX-License-Identifier: Apache-2.0

public import BrumeModel

/// What a member tells the others about itself: small, and the same everywhere until it tells something else.
public struct MemberMeta: Sendable, Hashable {
    /// One pair of words that people choose, such as `zone=lyon` or `place=edge`.
    public struct Label: Sendable, Hashable, Comparable {
        public let key: String
        public let value: String

        public init(_ key: String, _ value: String) {
            self.key = key
            self.value = value
        }

        public static func < (left: Label, right: Label) -> Bool {
            left.key == right.key ? left.value < right.value : left.key < right.key
        }
    }

    /// One pair that only programs read, such as a digest of what a node holds.
    public struct Pair: Sendable, Hashable {
        public let key: String
        public let value: [UInt8]

        public init(_ key: String, _ value: [UInt8]) {
            self.key = key
            self.value = value
        }
    }

    /// Most bytes of everything together, encoded: a record must fit a frame of gossip several times.
    public static let bytesMax = 1_024
    /// Most labels, and most pairs.
    public static let pairsMax = 16
    /// Longest key, address or version, in bytes of UTF-8.
    public static let wordBytesMax = 128

    /// Where its link listens, as `HOST:PORT`; empty where it only calls others.
    public let address: String
    /// The version of Brume that it runs.
    public let version: String
    /// In the order of their keys; no key twice.
    public let labels: [Label]
    /// In the order of their keys; no key twice.
    public let pairs: [Pair]

    /// Nothing said.
    public static let empty = MemberMeta()

    private init() {
        address = ""
        version = ""
        labels = []
        pairs = []
    }

    /// - Throws: `BrumeError` (`invalid`, `tooLarge`) for control characters, a key twice, and for more than the limits above.
    public init(address: String, version: String = "", labels: [Label] = [], pairs: [Pair] = []) throws(BrumeError) {
        self.address = address
        self.version = version
        self.labels = labels.sorted()
        self.pairs = pairs.sorted { $0.key < $1.key }
        let words = [address, version] + labels.map(\.key) + labels.map(\.value) + pairs.map(\.key)
        for word in words {
            guard word.utf8.count <= Self.wordBytesMax else {
                throw BrumeError(.tooLarge, "'\(word.prefix(40))...' is too long for a node's description; use at most 128 bytes.")
            }
            guard word.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F }) else {
                throw BrumeError(.invalid, "A node's address, version and labels are plain text; take the control characters out.")
            }
        }
        guard labels.count <= Self.pairsMax, pairs.count <= Self.pairsMax else {
            throw BrumeError(.tooLarge, "A node has at most \(Self.pairsMax) labels; leave some out.")
        }
        for (keys, what) in [(self.labels.map(\.key), "label"), (self.pairs.map(\.key), "pair")] {
            if let twice = zip(keys, keys.dropFirst()).first(where: { $0 == $1 }) {
                throw BrumeError(.invalid, "The \(what) '\(twice.0)' is given twice; give each key once.")
            }
        }
        let bytes = words.reduce(0) { $0 + $1.utf8.count + 1 } + pairs.reduce(0) { $0 + $1.value.count + 2 }
        guard bytes <= Self.bytesMax else {
            throw BrumeError(.tooLarge, "A node's description takes \(bytes) bytes, more than \(Self.bytesMax); shorten its labels.")
        }
    }

    /// The value of a label, or nil.
    public func label(_ key: String) -> String? { labels.first { $0.key == key }?.value }

    /// The value of a pair, or nil.
    public func pair(_ key: String) -> [UInt8]? { pairs.first { $0.key == key }?.value }
}
