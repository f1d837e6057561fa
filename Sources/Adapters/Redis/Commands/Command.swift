// SPDX-License-Identifier: Apache-2.0

import BrumeState

/// What Redis says about a command, and what runs it. A class: each request looks at one, and a copy of its texts would cost more than it.
final class Command: Sendable {
    typealias Handler = @Sendable (_ session: Session, _ turn: inout Turn, _ replica: inout Replica) throws(StateError) -> Void

    /// In small letters, as Redis lists it.
    let name: String
    /// How many words the request has, the name among them; negative for "at least".
    let arity: Int
    /// Redis' flags, in its order.
    let flags: String
    /// The first key, the last one (negative: from the end) and the step between keys.
    let keys: (first: Int, last: Int, step: Int)
    /// Categories of the access control list, without the `@`.
    let categories: String
    /// The version of Redis that had it first.
    let since: String
    let run: Handler

    let isWrite: Bool
    /// Whether it is executed at once within MULTI.
    let isControl: Bool
    /// Whether a client may send it before it has said who it is.
    let isOpen: Bool
    /// Whether a client in RESP2 may send it while it listens to channels.
    let isForListeners: Bool

    init(
        _ name: String, arity: Int, flags: String, keys: (Int, Int, Int), categories: String, since: String, _ run: @escaping Handler
    ) {
        self.name = name
        self.arity = arity
        self.flags = flags
        self.keys = (keys.0, keys.1, keys.2)
        self.categories = categories
        self.since = since
        self.run = run
        let words = flags.split(separator: " ")
        isWrite = words.contains("write")
        isOpen = words.contains("no_auth")
        isControl = ["exec", "discard", "multi", "watch", "quit", "reset"].contains(name)
        isForListeners = ["subscribe", "unsubscribe", "psubscribe", "punsubscribe", "ping", "quit", "reset"].contains(name)
    }

    /// Whether a request of `count` words can be one of this command.
    func accepts(_ count: Int) -> Bool { arity >= 0 ? count == arity : count >= -arity }

    func isIn(category: String) -> Bool { categories.split(separator: " ").contains { $0 == category } }

    /// The places of the arguments that are keys, among `count` arguments; `number` reads an argument as a number.
    func keyPlaces(count: Int, number: (Int) -> Int64?) -> [Int] {
        // Where the number of keys is an argument.
        if let place = Self.counted[name] {
            guard place < count, let keys = number(place), keys > 0, keys <= count - place - 1 else { return [] }
            let sources = Array((place + 1)...(place + Int(keys)))
            return keys > 0 && self.keys.first > 0 ? [self.keys.first] + sources : sources
        }
        guard keys.first > 0, keys.first < count else { return [] }
        let last = min(keys.last < 0 ? count + keys.last : keys.last, count - 1)
        guard last >= keys.first else { return [] }
        return Array(stride(from: keys.first, through: last, by: max(1, keys.step)))
    }

    /// Where commands with a number of keys have it.
    private static let counted: [String: Int] = [
        "zunion": 1, "zinter": 1, "zdiff": 1, "zintercard": 1, "sintercard": 1, "zunionstore": 2, "zinterstore": 2, "zdiffstore": 2,
    ]

    func keyPlaces(in turn: borrowing Turn) -> [Int] {
        let count = turn.count
        let second = count > 1 ? turn.integer(1) : nil
        let third = count > 2 ? turn.integer(2) : nil
        return keyPlaces(count: count) { $0 == 1 ? second : third }
    }

    func keyPlaces(in input: [UInt8], _ arguments: [ArgumentRange]) -> [ArgumentRange] {
        keyPlaces(count: arguments.count) { DecimalText.integer(input, from: arguments[$0].start, to: arguments[$0].end) }
            .map { arguments[$0] }
    }

    /// What kind of command it is, as `COMMAND DOCS` says it.
    var group: String {
        let groups = [
            "string", "set", "hash", "sortedset", "list", "hyperloglog", "pubsub", "transaction", "connection", "keyspace", "brume",
        ]
        let words = categories.split(separator: " ")
        let found = groups.first { group in words.contains { $0 == group } } ?? "server"
        return ["sortedset": "sorted-set", "keyspace": "generic", "transaction": "transactions"][found] ?? found
    }
}

/// All commands, found by their names' bytes in any case.
struct CommandTable: Sendable {
    let commands: [Command]
    /// Open addressing, twice as many places as commands at least; 0 is an empty place, others the command's place plus one.
    private let places: [UInt16]
    private let keys: [NameKey]

    /// Up to 24 letters of a name in capitals, as three numbers.
    private struct NameKey: Equatable, Sendable {
        var first: UInt64 = 0
        var second: UInt64 = 0
        var third: UInt64 = 0

        static let bytesMax = 24

        @inline(__always)
        init(_ text: [UInt8], from: Int, count: Int) {
            var shift: UInt64 = 0
            var word: UInt64 = 0
            var index = 0
            while index < count {
                let byte = text[from + index]
                let upper = byte >= UInt8(ascii: "a") && byte <= UInt8(ascii: "z") ? byte & 0xdf : byte
                word |= UInt64(upper) << shift
                shift += 8
                index += 1
                if shift == 64 {
                    if index == 8 { first = word } else if index == 16 { second = word } else { third = word }
                    word = 0
                    shift = 0
                }
            }
            if index < 8 { first = word } else if index < 16 { second = word } else if index < 24 { third = word }
        }

        var hash: UInt64 {
            var mixed = (first ^ (second &* 0x9e37_79b9_7f4a_7c15) ^ (third &* 0xc2b2_ae3d_27d4_eb4f)) &* 0xff51_afd7_ed55_8ccd
            mixed ^= mixed >> 32
            return mixed
        }
    }

    init(_ commands: [Command]) {
        self.commands = commands
        var size = 64
        while size < commands.count * 4 { size *= 2 }
        var places = [UInt16](repeating: 0, count: size)
        let keys = commands.map { NameKey(Array($0.name.utf8), from: 0, count: $0.name.utf8.count) }
        for (index, key) in keys.enumerated() {
            var place = Int(truncatingIfNeeded: key.hash) & (size - 1)
            while places[place] != 0 { place = (place + 1) & (size - 1) }
            places[place] = UInt16(index + 1)
        }
        self.places = places
        self.keys = keys
    }

    /// The place of a command in `commands`.
    @inline(__always)
    func index(of text: [UInt8], _ origin: Int, _ range: ArgumentRange) -> Int? {
        guard range.count <= NameKey.bytesMax else { return nil }
        let key = NameKey(text, from: origin + range.start, count: range.count)
        var place = Int(truncatingIfNeeded: key.hash) & (places.count - 1)
        while places[place] != 0 {
            let index = Int(places[place]) - 1
            if keys[index] == key { return index }
            place = (place + 1) & (places.count - 1)
        }
        return nil
    }

    func index(of name: String) -> Int? {
        let text = Array(name.utf8)
        return index(of: text, 0, ArgumentRange(start: 0, count: text.count))
    }

    func command(_ name: String) -> Command? { index(of: name).map { commands[$0] } }

    /// Everything that Brume speaks.
    static let all = CommandTable(
        connection + server + keys + strings + sets + hashes + scoredSets + lists + hyperLogLogs + transactions + subscriptions + brume)

    /// Commands of Redis 7.0 that Brume does not have; a client is told so, instead of that it wrote nonsense.
    static let foreign: Set<String> = Set(
        """
        asking bgrewriteaof bgsave bitcount bitfield bitfield_ro bitop bitpos blmpop bzmpop bzpopmax bzpopmin cluster dump eval eval_ro \
        evalsha evalsha_ro failover fcall fcall_ro function geoadd geodist geohash geopos georadius georadius_ro georadiusbymember \
        georadiusbymember_ro geosearch geosearchstore getbit lastsave latency lcs lmpop lolwut migrate module monitor move pfdebug \
        pfselftest psync readonly readwrite replconf replicaof restore restore-asking save script setbit shutdown slaveof slowlog sort \
        sort_ro spublish ssubscribe sunsubscribe swapdb sync xack xadd xautoclaim xclaim xdel xgroup xinfo xlen xpending xrange xread \
        xreadgroup xrevrange xsetid xtrim zmpop
        """.split(separator: " ").map(String.init))
}
