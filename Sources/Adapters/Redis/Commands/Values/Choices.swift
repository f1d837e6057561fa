// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel
import BrumeState

/// Random draws, from one seed per server.
struct RandomChoice {
    private var generator: SeededGenerator

    init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    /// Most repetitions that a negative count may ask for: more is a reply that nobody wants to hold in memory.
    static let repeatsMax = 1 << 20

    mutating func element<Element>(_ list: [Element]) -> Element? {
        list.isEmpty ? nil : list[Int(generator.next() % UInt64(list.count))]
    }

    /// `limit` different ones of a list, all where there are fewer.
    mutating func sample<Element>(_ list: [Element], _ limit: Int) -> [Element] {
        guard limit < list.count else { return list }
        var rest = list
        for index in 0..<limit {
            let other = index + Int(generator.next() % UInt64(rest.count - index))
            rest.swapAt(index, other)
        }
        return Array(rest.prefix(limit))
    }

    /// As Redis' random commands count: different ones up to a positive count, repeated ones for a negative; nil where that is too many.
    mutating func choose<Element>(_ list: [Element], _ count: Int64, limit: Int) -> [Element]? {
        if count >= 0 { return sample(list, Int(min(count, Int64(list.count)))) }
        guard count.magnitude <= UInt64(limit) else { return nil }
        guard !list.isEmpty else { return [] }
        var chosen: [Element] = []
        for _ in 0..<Int(-count) { chosen.append(list[Int(generator.next() % UInt64(list.count))]) }
        return chosen
    }
}

/// What follows the cursor of `SCAN` and its kin.
struct ScanOptions {
    var cursor: UInt64
    var count = 10
    var glob: GlobPattern?
    var type: [UInt8]?

    /// Reads a cursor and its options; where they are wrong, writes why.
    static func read(_ turn: inout Turn, cursorAt place: Int, allowsType: Bool) -> ScanOptions? {
        guard let cursor = UInt64(turn.text(place)) else {
            turn.reply.error("ERR invalid cursor")
            return nil
        }
        var options = ScanOptions(cursor: cursor)
        var index = place + 1
        while index < turn.count {
            guard index + 1 < turn.count else {
                turn.reply.syntaxError()
                return nil
            }
            if turn.word(index, is: "COUNT") {
                guard let count = turn.integer(index + 1) else {
                    turn.reply.notAnInteger()
                    return nil
                }
                guard count >= 1 else {
                    turn.reply.syntaxError()
                    return nil
                }
                options.count = Int(min(count, Int64(Self.countMax)))
            } else if turn.word(index, is: "MATCH") {
                options.glob = GlobPattern(turn.array(index + 1))
            } else if allowsType, turn.word(index, is: "TYPE") {
                options.type = Array(turn.text(index + 1).lowercased().utf8)
            } else {
                turn.reply.syntaxError()
                return nil
            }
            index += 2
        }
        return options
    }

    /// Items looked at by one call: it holds the lock meanwhile.
    private static let countMax = 100_000

    /// The items of a collection that one call answers with.
    ///
    /// They are taken in the order of their hashes, and the cursor is a hash: what is there from the first call to the last is found,
    /// whatever comes and goes meanwhile. Small collections are answered whole, as in Redis.
    func page<Item>(_ items: [Item], _ name: (Item) -> Bytes) -> (next: Int64, items: [Item]) {
        if cursor == 0, items.count <= Self.wholeMax { return (0, items.filter { matches(name($0)) }) }
        let hashed = items.map { (hash: stableHash(name($0), seed: 0) >> 2, item: $0) }.filter { $0.hash >= cursor }
            .sorted { $0.hash < $1.hash }
        var end = min(count, hashed.count)
        // Items of one hash are never parted.
        while end < hashed.count, end > 0, hashed[end].hash == hashed[end - 1].hash { end += 1 }
        let next = end < hashed.count ? Int64(hashed[end].hash) : 0
        return (next, hashed.prefix(end).map(\.item).filter { matches(name($0)) })
    }

    /// What Redis keeps in one piece, and so answers with at once.
    private static let wholeMax = 128

    func matches(_ name: Bytes) -> Bool { glob?.matches(name.array) ?? true }
}
