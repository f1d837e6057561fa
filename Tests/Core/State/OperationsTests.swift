// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel
import Testing

@testable import BrumeState

/// One node alone: what its operations answer.
struct OperationsTests {
    private let net: StateNetwork

    init() throws { net = try StateNetwork(1, seed: 1) }

    private func key(_ name: String) throws -> ObjectKey { try net.key(0, name) }

    private func act<R>(_ body: (inout Replica, StateTime) throws -> R) rethrows -> R { try net.act(0, body) }

    @Test("strings: set with conditions, previous values, lengths, ranges")
    func strings() throws {
        let k = try key("k")
        try act { try $0.set(k, "hello", $1) }
        #expect(try act { try $0.length(of: k, $1) } == 5)
        #expect(try act { try $0.range(of: k, start: -3, end: -1, $1) } == "llo")
        #expect(try act { try $0.range(of: k, start: 1, end: 100, $1) } == "ello")
        #expect(try act { try $0.range(of: k, start: 3, end: 1, $1) } == "")
        #expect(try act { try $0.append(k, " you", $1) } == 9)
        #expect(try act { try $0.overwrite(k, at: 12, with: "x", $1) } == 13)
        #expect(try act { try $0.get(k, $1) }?.array == Array("hello you".utf8) + [0, 0, 0] + Array("x".utf8))
        var options = SetOptions()
        options.condition = .ifAbsent
        options.wantsPrevious = true
        let refused = try act { try $0.set(k, "new", options, $1) }
        #expect(!refused.isWritten && refused.previous?.count == 13)
        options.condition = .ifPresent
        #expect(try act { try $0.set(k, "new", options, $1) }.isWritten)
        #expect(try act { try $0.take(k, $1) } == "new")
        #expect(try act { try $0.get(k, $1) } == nil)
        #expect(try !act { try $0.set(k, "new", options, $1) }.isWritten)
    }

    @Test("numbers: increments by integers and fractions, and what they refuse")
    func numbers() throws {
        let k = try key("n")
        #expect(try act { try $0.increment(k, by: Int64(5), $1) } == 5)
        #expect(try act { try $0.increment(k, by: Int64(-7), $1) } == -2)
        #expect(try act { try $0.get(k, $1) } == "-2")
        #expect(try act { try $0.increment(k, by: 2.6, $1) }.text == "0.6")
        #expect(throws: StateError.notInteger) { try act { try $0.increment(k, by: Int64(1), $1) } }
        try act { try $0.set(k, Bytes(decimal: Int64.max), $1) }
        #expect(throws: StateError.overflow) { try act { try $0.increment(k, by: Int64(1), $1) } }
        try act { try $0.set(k, "1e300", $1) }
        #expect(try act { try $0.increment(k, by: 1e300, $1) }.count == 301)
        try act { try $0.set(k, "0.0000001", $1) }
        #expect(try act { try $0.increment(k, by: 0.0000002, $1) }.text.hasPrefix("0.0000003"))
    }

    @Test("an object of another kind is refused by name, and deleting it makes room")
    func kinds() throws {
        let k = try key("k")
        _ = try act { try $0.setAdd(k, "a", $1) }
        let error = #expect(throws: StateError.self) { try act { try $0.get(k, $1) } }
        #expect(error?.kind == .wrongType)
        #expect(throws: StateError.self) { try act { try $0.increment(k, by: Int64(1), $1) } }
        #expect(act { $0.kind(of: k, $1) } == .set)
        #expect(act { $0.delete([k], $1) } == 1)
        #expect(act { $0.kind(of: k, $1) } == nil)
        #expect(try act { try $0.increment(k, by: Int64(1), $1) } == 1)
        #expect(act { $0.kind(of: k, $1) } == .string)
        // SET replaces whatever is there.
        let s = try key("s")
        _ = try act { try $0.setAdd(s, "a", $1) }
        try act { try $0.set(s, "v", $1) }
        #expect(try act { try $0.get(s, $1) } == "v")
        #expect(act { replica, _ in replica.size(of: k.space) } == 2)
    }

    @Test("sets and hashes")
    func setsAndHashes() throws {
        let s = try key("s")
        #expect(try act { try $0.setAdd(s, ["a", "b", "c", "a"], $1) } == 3)
        #expect(try act { try $0.setRemove(s, ["b", "x"], $1) } == 1)
        #expect(try act { try $0.setMembers(s, $1) }.sorted() == ["a", "c"])
        #expect(try act { try $0.setPop(s, count: 9, $1) }.count == 2)
        #expect(act { !$0.exists(s, $1) })
        let h = try key("h")
        #expect(try act { try $0.hashSet(h, [("a", "1"), ("b", "2")], $1) } == 2)
        #expect(try !act { try $0.hashSet(h, "a", "5", $1) })
        #expect(try act { try $0.hashIncrement(h, "a", by: Int64(3), $1) } == 8)
        #expect(try act { try $0.hashIncrement(h, "b", by: 0.5, $1) } == "2.5")
        #expect(try act { try $0.hashGet(h, "a", $1) } == "8")
        #expect(try act { try $0.hashRemove(h, ["a", "b", "c"], $1) } == 2)
        #expect(act { !$0.exists(h, $1) })
    }

    @Test("scored sets: options, ranks and ranges")
    func scores() throws {
        let z = try key("z")
        let members = [(1.0, "a"), (2.0, "b"), (3.0, "c"), (3.0, "d")].map { ScoredMember(member: Bytes($0.1), score: $0.0) }
        #expect(try act { try $0.scoreAdd(z, members, ScoreOptions(), $1) }.added == 4)
        var greater = ScoreOptions()
        greater.onlyIfGreater = true
        let outcome = try act {
            try $0.scoreAdd(z, [ScoredMember(member: "a", score: 0), ScoredMember(member: "b", score: 2.5)], greater, $1)
        }
        #expect(outcome == ScoreOutcome(added: 0, changed: 1))
        #expect(try act { try $0.scoreRank(z, "d", reversed: false, $1) } == 3)
        #expect(try act { try $0.scoreRank(z, "d", reversed: true, $1) } == 0)
        func names(_ range: ScoreRange, reversed: Bool = false, offset: Int = 0, count: Int? = nil) throws -> String {
            try act { try $0.scoreRange(z, range, reversed: reversed, offset: offset, count: count, $1) }.map(\.member.text).joined()
        }
        #expect(try names(.ranks(0, -1)) == "abcd")
        #expect(try names(.ranks(0, 1), reversed: true) == "dc")
        #expect(try names(.scores(ScoreBound(1, isExclusive: true), ScoreBound(3))) == "bcd")
        #expect(try names(.scores(ScoreBound(-.infinity), ScoreBound(3, isExclusive: true)), reversed: true) == "ba")
        #expect(try names(.scores(ScoreBound(0), ScoreBound(9)), offset: 1, count: 2) == "bc")
        #expect(try names(.scores(ScoreBound(0), ScoreBound(9)), reversed: true, offset: 1, count: 2) == "cb")
        #expect(try act { try $0.scoreIncrement(z, "a", by: 9, ScoreOptions(), $1) } == 10)
        #expect(try act { try $0.scorePop(z, count: 1, highest: true, $1) }.map(\.member) == ["a"])
        #expect(try act { try $0.scoreRemoveRange(z, .ranks(0, 0), $1) } == 1)
        #expect(try names(.ranks(0, -1)) == "cd")
        #expect(try names(.members(.excluded("c"), .highest)) == "d")
    }

    @Test("lists: both ends, indices, trimming, removing")
    func lists() throws {
        let l = try key("l")
        #expect(try act { try $0.listPush(l, ["a"], atHead: true, onlyIfExists: true, $1) } == 0)
        #expect(try act { try $0.listPush(l, ["b", "c"], atHead: false, onlyIfExists: false, $1) } == 2)
        #expect(try act { try $0.listPush(l, ["y", "x"], atHead: true, onlyIfExists: false, $1) } == 4)
        func all() throws -> String { try act { try $0.listRange(l, start: 0, end: -1, $1) }.map(\.text).joined() }
        #expect(try all() == "xybc")
        #expect(try act { try $0.listInsert(l, "m", before: true, pivot: "b", $1) } == 5)
        #expect(try act { try $0.listInsert(l, "m", before: true, pivot: "?", $1) } == -1)
        try act { try $0.listSet(l, at: -1, "z", $1) }
        #expect(try all() == "xymbz")
        #expect(try act { try $0.listElement(l, at: -2, $1) } == "b")
        #expect(try act { try $0.listPop(l, count: 2, fromHead: false, $1) } == ["z", "b"])
        _ = try act { try $0.listPush(l, ["x", "q", "x"], atHead: false, onlyIfExists: false, $1) }
        #expect(try act { try $0.listRemove(l, count: -2, "x", $1) } == 2)
        #expect(try all() == "xymq")
        try act { try $0.listTrim(l, start: 1, end: 2, $1) }
        #expect(try all() == "ym")
        try act { try $0.listTrim(l, start: 5, end: 9, $1) }
        #expect(act { !$0.exists(l, $1) })
    }

    @Test("expiry: conditions, persistence, and a key that is gone by the clock")
    func expiry() throws {
        let k = try key("k")
        try act { try $0.set(k, "v", $1) }
        let start = Int64(net.time(0).wallMilliseconds)
        #expect(try act { try $0.expire(k, at: start + 5_000, .ifSome, $1) } == false)
        #expect(try act { try $0.expire(k, at: start + 5_000, .ifNone, $1) })
        #expect(try act { try $0.expire(k, at: start + 4_000, .ifLater, $1) } == false)
        #expect(act { $0.expiry(of: k, $1) } == .at(start + 5_000))
        #expect(act { $0.persist(k, $1) })
        #expect(act { $0.expiry(of: k, $1) } == .never)
        #expect(try act { try $0.expire(k, at: start + 1_000, .always, $1) })
        net.run(.milliseconds(1_001))
        #expect(try act { try $0.get(k, $1) } == nil)
        #expect(act { $0.expiry(of: k, $1) } == .absent)
        net.run(.seconds(3))
        #expect(act { replica, _ in replica.figures }.objects == 0)
        // A new life has no old expiry.
        try act { try $0.set(k, "w", $1) }
        #expect(act { $0.expiry(of: k, $1) } == .never)
        // Setting ends an expiry unless it is kept.
        _ = try act { try $0.expire(k, at: start + 60_000, .always, $1) }
        var kept = SetOptions()
        kept.keepsExpiry = true
        _ = try act { try $0.set(k, "x", kept, $1) }
        #expect(act { $0.expiry(of: k, $1) } == .at(start + 60_000))
        try act { try $0.set(k, "y", $1) }
        #expect(act { $0.expiry(of: k, $1) } == .never)
    }

    @Test("scan meets every key that stays, whatever comes and goes meanwhile")
    func scan() throws {
        let space = try net.space(0)
        for number in 0..<3_000 { try act { try $0.set(ObjectKey(space, Bytes("stay\(number)")), "v", $1) } }
        var cursor: UInt64 = 0
        var met: Set<String> = []
        var turn = 0
        repeat {
            let (next, keys) = act { $0.scan(space, cursor: cursor, count: 50, $1) }
            met.formUnion(keys.map(\.name.text))
            cursor = next
            for number in 0..<100 { try act { try $0.set(ObjectKey(space, Bytes("go\(turn)-\(number)")), "v", $1) } }
            _ = act { replica, time in replica.delete((0..<50).map { ObjectKey(space, Bytes("go\(turn)-\($0)")) }, time) }
            turn += 1
        } while cursor != 0 && turn < 1_000
        #expect(met.filter { $0.hasPrefix("stay") }.count == 3_000)
        #expect(turn < 1_000)
    }

    @Test("copies and renames keep content of every kind, and expiry")
    func copies() throws {
        let fields = [Bytes("a"), Bytes("b")]
        try act { replica, now in
            let space = try replica.space(SpaceName("test"))
            func k(_ name: String) -> ObjectKey { ObjectKey(space, Bytes(name)) }
            try replica.set(k("string"), "v", now)
            _ = try replica.hashSet(k("hash"), fields[0], "1", now)
            _ = try replica.setAdd(k("set"), fields, now)
            _ = try replica.scoreAdd(k("zset"), [ScoredMember(member: "m", score: 1)], ScoreOptions(), now)
            _ = try replica.listPush(k("list"), fields, atHead: false, onlyIfExists: false, now)
            _ = try replica.countAdd(k("sketch"), fields, now)
            _ = try replica.counterAdd(k("counter"), 5, now)
            try replica.boundedCreate(k("bounded"), bound: 2, now)
            _ = try replica.boundedAdd(k("bounded"), 3, now)
            try replica.registerSet(k("register"), "v", now)
            try replica.multiSet(k("multi"), "v", now)
            try replica.flagSet(k("flag"), true, .enableWinsFlag, now)
            _ = try replica.removeWinsAdd(k("rw"), fields, now)
            _ = try replica.growAdd(k("grow"), fields, now)
            try replica.textInsert(k("text"), "héllo", at: 0, now)
            try replica.documentSet(k("doc"), "v", at: ["x", "y"], now)
            let names = [
                "string", "hash", "set", "zset", "list", "sketch", "counter", "bounded", "register", "multi", "flag", "rw", "grow", "text",
                "doc",
            ]
            for name in names {
                #expect(try replica.rename(k(name), to: k(name + "2"), ifAbsent: true, now), "\(name)")
                #expect(!replica.exists(k(name), now) && replica.exists(k(name + "2"), now), "\(name)")
            }
            #expect(try replica.countEstimate([k("sketch2")], now) == 2)
            #expect(try replica.counterValue(k("counter2"), now) == 5)
            #expect(try replica.boundedValue(k("bounded2"), now) == 5)
            #expect(try replica.textValue(k("text2"), now) == "héllo")
            #expect(try replica.documentValue(k("doc2"), at: ["x", "y"], now) == "v")
            #expect(try replica.listRange(k("list2"), start: 0, end: -1, now) == fields)
        }
    }

    @Test("quotas and limits refuse with what to do, and deleting makes room")
    func quotas() throws {
        let net = try StateNetwork(1, seed: 1) { settings, _ in
            settings.standard.objectsMax = 3
            settings.valueBytesMax = 1_000
        }
        let keys = try (0..<4).map { try net.key(0, "k\($0)") }
        for key in keys[..<3] { try net.act(0) { try $0.set(key, "v", $1) } }
        let full = #expect(throws: StateError.self) { try net.act(0) { try $0.set(keys[3], "v", $1) } }
        #expect(full?.kind == .quota)
        try net.act(0) { try $0.set(keys[0], "w", $1) }
        _ = net.act(0) { $0.delete([keys[1]], $1) }
        try net.act(0) { try $0.set(keys[3], "v", $1) }
        let long = #expect(throws: StateError.self) {
            try net.act(0) { try $0.set(keys[0], Bytes([UInt8](repeating: 1, count: 1_001)), $1) }
        }
        #expect(long?.kind == .tooLarge)
    }

    @Test("what grows the objects that are there stops at the quota of bytes too, and what takes away goes on")
    func quotaOfBytes() throws {
        let net = try StateNetwork(1, seed: 1) { settings, _ in settings.standard.bytesMax = 20_000 }
        func k(_ name: String) throws -> ObjectKey { try net.key(0, name) }
        let keys = (try k("set"), try k("text"), try k("document"), try k("removals"))
        let string = try k("string")
        try net.act(0) { replica, now in
            _ = try replica.setAdd(keys.0, ["a", "b"], now)
            try replica.textInsert(keys.1, "some text", at: 0, now)
            try replica.documentSet(keys.2, "v", at: ["x", "y"], now)
            _ = try replica.removeWinsAdd(keys.3, ["a"], now)
        }
        var error: StateError?
        for number in 0..<10_000 where error == nil {
            do {
                _ = try net.act(0) { try $0.setAdd(keys.0, Bytes("member \(number)"), $1) }
            } catch let refusal as StateError {
                error = refusal
            }
            net.run(.milliseconds(3))
        }
        #expect(error?.kind == .quota)
        #expect(throws: StateError.self) { try net.act(0) { try $0.set(string, "v", $1) } }
        #expect(throws: StateError.self) { try net.act(0) { try $0.textInsert(keys.1, "more", at: 0, $1) } }
        let removed = try net.act(0) { try $0.setRemove(keys.0, ["a"], $1) }
        #expect(removed == 1)
        try net.act(0) { try $0.textRemove(keys.1, 0..<5, $1) }
        #expect(try net.act(0) { try $0.documentRemove(keys.2, at: ["x"], $1) })
        #expect(try net.act(0) { try $0.removeWinsRemove(keys.3, ["a"], $1) } == 1)
        _ = net.act(0) { $0.delete([keys.0], $1) }
        net.run(.seconds(5))
        try net.act(0) { try $0.set(string, "v", $1) }
    }
}
