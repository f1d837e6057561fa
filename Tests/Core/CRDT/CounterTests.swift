// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import BrumeCRDT

private let a = SiteID(rawValue: 11)
private let b = SiteID(rawValue: 22)

@Suite("Counters")
struct CounterTests {
    @Test(
        "an addition that would overflow is refused and changes nothing", arguments: [(Int64.max, 1), (Int64.min, -1)] as [(Int64, Int64)])
    func overflow(start: Int64, amount: Int64) throws {
        var counter = PNCounter()
        _ = try counter.add(start, by: a)
        let before = counter
        var delta = PNCounter()
        #expect(throws: CRDTError(.overflow, PNCounter.overflow.message)) { try counter.add(amount, by: b, into: &delta) }
        #expect(counter == before)
        #expect(delta.isBottom)
        #expect(try counter.value() == start)

        var register = StringRegister()
        _ = register.set(Bytes(decimal: start), at: Stamp(time: HybridTime(rawValue: 1), site: a))
        let text = register
        var registerDelta = StringRegister()
        #expect(throws: CRDTError.self) { try register.add(amount, by: b, into: &registerDelta) }
        #expect(register == text)
        #expect(registerDelta.isBottom)

        var resettable = Causal<ResettableCounter>()
        _ = try resettable.add(start, by: a)
        let counted = resettable
        #expect(throws: CRDTError.self) { _ = try resettable.add(amount, by: b) }
        #expect(resettable == counted)
    }

    @Test("a grow-only counter refuses to shrink and to overflow")
    func growOnly() throws {
        var counter = GCounter()
        _ = try counter.add(.max, by: a)
        for amount in [0, -1, 1] as [Int64] { #expect(throws: CRDTError.self) { _ = try counter.add(amount, by: a) } }
        #expect(try counter.value() == .max)
        #expect(try GCounter(decoding: counter.encoded) == counter)
    }

    @Test("additions that overflow only together make an error to read, and counting back mends it")
    func concurrentOverflow() throws {
        var left = PNCounter()
        var right = PNCounter()
        _ = try left.add(.max, by: a)
        _ = try right.add(10, by: b)
        left.merge(right)
        #expect(throws: CRDTError.self) { try left.value() }
        #expect(throws: CRDTError.self) { _ = try left.add(1, by: a) }
        _ = try left.add(-20, by: a)
        #expect(try left.value() == .max - 10)
    }

    @Test("what is no integer is not counted on, and nothing changes")
    func notInteger() {
        var register = StringRegister()
        _ = register.set("ten", at: Stamp(time: HybridTime(rawValue: 1), site: a))
        let before = register
        #expect(throws: CRDTError(.notInteger, "The value is not an integer or out of range; set a number first.")) {
            _ = try register.add(1, by: a)
        }
        #expect(register == before)
    }

    @Test(
        "counting by nothing on an absent string makes a zero that takes nothing from what is counted elsewhere", arguments: [false, true])
    func countsByNothing(isDeletedBefore: Bool) throws {
        var here = StringRegister()
        if isDeletedBefore {
            _ = here.set("7", at: Stamp(time: HybridTime(rawValue: 1), site: a))
            _ = here.set(nil, at: Stamp(time: HybridTime(rawValue: 2), site: a))
        }
        var there = here
        let meanwhile = try there.add(5, by: b)
        let nothing = try here.add(0, by: a)
        #expect(here.value == "0" && nothing.value == "0")
        here.merge(meanwhile)
        there.merge(nothing)
        #expect(here == there && here.value == "5")
        let more = try here.add(2, by: a)
        there.merge(more)
        #expect(there.value == "7" && there == here && there.digest == here.digest)
    }

    @Test("counting by nothing on an absent string makes a zero")
    func zero() throws {
        var register = StringRegister()
        let delta = try register.add(0, by: a)
        #expect(register.value == "0")
        #expect(delta.value == "0")
        var other = StringRegister()
        _ = try other.add(5, by: b)
        #expect(try other.add(0, by: b).isBottom || other.value == "5")
    }

    @Test("a string's set wins over what it has seen, even from a clock that is hours ahead")
    func setWinsOverFuture() {
        var register = StringRegister()
        _ = register.set("future", at: Stamp(time: HybridTime(milliseconds: 9_000_000), site: b))
        _ = register.set("now", at: Stamp(time: HybridTime(milliseconds: 5), site: a))
        #expect(register.value == "now")
        var other = StringRegister()
        _ = other.set("future", at: Stamp(time: HybridTime(milliseconds: 9_000_000), site: b))
        other.merge(register)
        #expect(other.value == "now")
    }

    @Test("two partitioned sites never bring a bounded counter below its bound, however they try")
    func boundHolds() throws {
        for seed in 1...50 as ClosedRange<UInt64> {
            var draw = Draw(seed: seed)
            var sites: [(id: SiteID, state: BoundedCounter)] = [a, b, SiteID(rawValue: 33)].map { ($0, BoundedCounter(bound: 10)) }
            for _ in 0..<200 {
                let index = draw.below(3)
                let amount = Int64(draw.below(20)) + 1
                var delta = BoundedCounter()
                switch draw.below(5) {
                case 0: try sites[index].state.add(amount, by: sites[index].id, into: &delta)
                case 1: try? sites[index].state.transfer(amount, from: sites[index].id, to: sites[draw.below(3)].id, into: &delta)
                case 2: sites[index].state.merge(sites[draw.below(3)].state)
                default: _ = try? sites[index].state.subtract(amount, by: sites[index].id, into: &delta)
                }
                let all = sites.reduce(into: BoundedCounter()) { $0.merge($1.state) }
                // The sum of everything that happened anywhere, without the clamping of what is shown.
                let made = all.rights.reduce(Int128(0)) { $1.from == $1.to ? $0 + Int128($1.amount) : $0 }
                let used = all.used.entries.reduce(Int128(0)) { $0 + Int128($1.sequence) }
                #expect(made >= used, "seed \(seed)")
                #expect(all.total >= 10, "seed \(seed)")
            }
        }
    }

    @Test("rights go where they are sent, and a site without any is told so")
    func transfer() throws {
        var left = BoundedCounter(bound: 0)
        var delta = BoundedCounter()
        try left.add(10, by: a, into: &delta)
        try left.transfer(4, from: a, to: b, into: &delta)
        var right = BoundedCounter()
        right.merge(delta)
        #expect(right.rights(of: b) == 4)
        #expect(right.holders.map(\.rights) == [6, 4])
        var other = BoundedCounter()
        #expect(throws: CRDTError.self) { try right.subtract(5, by: b, into: &other) }
        #expect(other.isBottom)
        #expect(try right.subtract(4, by: b, into: &other) == 6)
        left.merge(other)
        #expect(try left.value() == 6)
        #expect(left == right)
    }

    @Test("a reset takes away what it has seen and leaves what was added meanwhile")
    func reset() throws {
        var left = Causal<ResettableCounter>()
        _ = try left.add(5, by: a)
        var right = left
        let more = try left.add(2, by: a)
        let reset = right.reset()
        left.merge(reset)
        right.merge(more)
        #expect(try left.value() == 2)
        #expect(left == right)
    }

    @Test("a counter that is counted on 10,000 times stays small, and a reset still takes all away")
    func foldedTallies() throws {
        var left = Causal<ResettableCounter>()
        var right = Causal<ResettableCounter>()
        for index in 0..<10_000 { right.merge(try left.add(Int64(index % 7), by: a)) }
        #expect(left == right)
        #expect(try left.value() == (0..<10_000).reduce(0) { $0 + Int64($1 % 7) })
        #expect(left.encoded.count < 700)
        let seen = left.context
        var late = Causal<ResettableCounter>()
        late.merge(left.delta(since: CausalContext()))
        #expect(late == left)
        left.merge(right.reset())
        #expect(try left.value() == 0)
        #expect(left.context == seen)
    }

    @Test("who has seen half of a counter's entries catches up to the folded ones")
    func catchingUpWithFolded() throws {
        var left = Causal<ResettableCounter>()
        var right = Causal<ResettableCounter>()
        for index in 0..<100 {
            let delta = try left.add(1, by: a)
            if index < 40 { right.merge(delta) }
        }
        right.merge(left.delta(since: right.context))
        #expect(left == right)
        #expect(try right.value() == 100)
    }

    @Test("additions between two deltas are one entry")
    func groupedAdditions() throws {
        var counter = Causal<ResettableCounter>()
        var delta = Causal<ResettableCounter>()
        for _ in 0..<1000 { try counter.add(1, by: a, into: &delta) }
        #expect(counter.store.writes.count == 1)
        #expect(try delta.value() == 1000)
        #expect(delta.encoded.count < 30)
    }
}
