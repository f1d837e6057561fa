// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import BrumeCRDT

/// Holds one type against every law; `nil` if all hold, else what does not, with the seed that repeats it.
enum Laws<S: Subject> {
    /// The value is the specification's at every step, and sites that have seen the same are equal.
    static func specification(seed: UInt64) -> String? {
        var simulation = Simulation<S>(sites: 4, seed: seed)
        for step in 0..<60 {
            let index = simulation.step()
            let state = simulation.replicas[index].state
            let expected = simulation.specified(index)
            if S.view(state) != expected {
                return "\(S.name), seed \(seed), step \(step): \(S.view(state)) instead of \(expected)"
            }
            if let fault = S.fault(state) { return "\(S.name), seed \(seed), step \(step): \(fault)" }
            for other in simulation.replicas where other.visible == simulation.replicas[index].visible {
                if other.state != state || other.state.digest != state.digest {
                    return "\(S.name), seed \(seed), step \(step): two that have seen the same differ"
                }
            }
        }
        return nil
    }

    static func join(_ left: S.State, _ right: S.State) -> S.State {
        var joined = left
        joined.merge(right)
        return joined
    }

    /// The join is commutative, associative and idempotent, and has a bottom.
    static func semilattice(seed: UInt64) -> String? {
        var simulation = Simulation<S>(sites: 3, seed: seed)
        for _ in 0..<30 { _ = simulation.step() }
        let pool = simulation.pool(24)
        let bottom = S.State()
        for _ in 0..<40 {
            let a = pool[simulation.draw.below(pool.count)]
            let b = pool[simulation.draw.below(pool.count)]
            let c = pool[simulation.draw.below(pool.count)]
            let ab = join(a, b)
            if ab != join(b, a) || ab.digest != join(b, a).digest { return "\(S.name), seed \(seed): not commutative" }
            if join(ab, c) != join(a, join(b, c)) { return "\(S.name), seed \(seed): not associative" }
            if join(a, a) != a || join(ab, a) != ab || join(ab, b) != ab { return "\(S.name), seed \(seed): not idempotent" }
            if join(a, bottom) != a || join(bottom, a) != a { return "\(S.name), seed \(seed): the bottom changes something" }
            if (a == b) != (a.digest == b.digest) { return "\(S.name), seed \(seed): equal but for the digest, or the other way round" }
            if let part = S.catchUp(a, for: b), join(b, part) != ab { return "\(S.name), seed \(seed): catching up is not merging" }
            if S.view(ab) != S.view(join(b, a)) { return "\(S.name), seed \(seed): the view depends on the order" }
        }
        if !bottom.isBottom { return "\(S.name): the bottom is none" }
        return nil
    }

    /// A delta joined is the operation done, alone and grouped with others, here and on any state that knows as much.
    static func deltas(seed: UInt64) -> String? {
        var simulation = Simulation<S>(sites: 3, seed: seed)
        for _ in 0..<20 { _ = simulation.step() }
        var draw = Draw(seed: seed ^ 0xD)
        let before = simulation.replicas[0].state
        var after = before
        var group = S.State()
        for _ in 0..<8 {
            let single = after
            var delta = S.State()
            let op = S.draw(&draw)
            let time = HybridTime(milliseconds: 5_000_000)
            var grouped = after
            let done = (try? S.apply(op, to: &after, by: simulation.replicas[0].site, at: time, into: &delta)) != nil
            if join(single, delta) != after { return "\(S.name), seed \(seed): the delta of \(op) is not the operation" }
            let again = (try? S.apply(op, to: &grouped, by: simulation.replicas[0].site, at: time, into: &group)) != nil
            if done != again { return "\(S.name), seed \(seed): \(op) is refused by chance" }
            if !done, single != after { return "\(S.name), seed \(seed): \(op) was refused and has changed something" }
            // The two differ in how a counter groups its entries, and in nothing that anybody can see.
            if S.view(grouped) != S.view(after) { return "\(S.name), seed \(seed): the value of \(op) depends on the delta it joins" }
            after = grouped
            if join(before, group) != after { return "\(S.name), seed \(seed): the delta of a group is not the group" }
        }
        for other in simulation.pool(12) {
            let knowing = join(other, before)
            if join(knowing, group) != join(knowing, after) { return "\(S.name), seed \(seed): delta join is not full join" }
        }
        return nil
    }

    /// What is written is read back, and every mutilation of it is refused or some value.
    static func codec(seed: UInt64) -> String? {
        var simulation = Simulation<S>(sites: 3, seed: seed)
        for _ in 0..<30 { _ = simulation.step() }
        for state in simulation.pool(16) {
            let bytes = state.encoded
            guard let read = try? S.State(decoding: bytes) else { return "\(S.name), seed \(seed): cannot be read back" }
            if read != state || read.digest != state.digest { return "\(S.name), seed \(seed): is read back as something else" }
            if read.encoded.count != bytes.count { return "\(S.name), seed \(seed): two lengths of one state" }
            for length in 0..<min(bytes.count, 200) where (try? S.State(decoding: Array(bytes.prefix(length)))) != nil {
                return "\(S.name), seed \(seed): \(length) of \(bytes.count) bytes are taken for a whole"
            }
            for _ in 0..<20 { use(mutilated(bytes, &simulation.draw), with: state) }
        }
        for _ in 0..<60 {
            let length = simulation.draw.below(60)
            use(
                (0..<length).map { _ in
                    simulation.draw.chance(1, in: 2) ? UInt8(simulation.draw.below(4)) : UInt8(simulation.draw.below(256))
                }, with: S.start())
        }
        return nil
    }

    private static func mutilated(_ bytes: [UInt8], _ draw: inout Draw) -> [UInt8] {
        var bytes = bytes
        for _ in 0...draw.below(3) where !bytes.isEmpty {
            let index = draw.below(bytes.count)
            switch draw.below(4) {
            case 0: bytes[index] = UInt8(draw.below(256))
            case 1: bytes[index] ^= 1 << UInt8(draw.below(8))
            case 2: bytes.remove(at: index)
            default: bytes.insert([0, 1, 0x7F, 0x80, 0xFF][draw.below(5)], at: index)
            }
        }
        return bytes
    }

    /// Whatever these bytes are, nothing traps, also not later.
    private static func use(_ bytes: [UInt8], with state: S.State) {
        guard let strange = try? S.State(decoding: bytes) else { return }
        var joined = join(state, strange)
        joined.merge(join(strange, state))
        _ = S.view(joined)
        _ = joined.digest
        _ = joined.memoryBytes
        _ = S.catchUp(joined, for: strange)
        var draw = Draw(seed: 9)
        var delta = S.State()
        for _ in 0..<4 {
            try? S.apply(S.draw(&draw), to: &joined, by: SiteID(rawValue: 1000), at: HybridTime(milliseconds: 9), into: &delta)
        }
    }

    /// How many of `runs` random runs end with two different states: five sites, thirty random steps, then every state once to everybody
    /// in random order.
    static func differing(runs: Int, seed: UInt64) -> Int {
        var seeds = Draw(seed: seed)
        var differing = 0
        for _ in 0..<runs {
            var simulation = Simulation<S>(sites: 5, seed: seeds.next())
            for _ in 0..<30 {
                let target = simulation.draw.below(5)
                if simulation.draw.chance(1, in: 2) {
                    simulation.operate(at: target)
                } else {
                    simulation.mergeState(from: simulation.draw.below(5), to: target)
                }
            }
            let final = simulation.replicas.map(\.state)
            var ends: [S.State] = []
            for index in 0..<5 {
                var end = final[index]
                for other in (0..<5).shuffled(using: &simulation.draw) where other != index { end.merge(final[other]) }
                ends.append(end)
            }
            if ends.contains(where: { $0 != ends[0] || $0.digest != ends[0].digest || S.view($0) != S.view(ends[0]) }) { differing += 1 }
        }
        return differing
    }
}

/// A subject whose type is put away, for lists of them.
struct AnySubject: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let specification: @Sendable (UInt64) -> String?
    let semilattice: @Sendable (UInt64) -> String?
    let deltas: @Sendable (UInt64) -> String?
    let codec: @Sendable (UInt64) -> String?
    let differing: @Sendable (Int, UInt64) -> Int

    init<S: Subject>(_ subject: S.Type) {
        testDescription = S.name
        specification = { Laws<S>.specification(seed: $0) }
        semilattice = { Laws<S>.semilattice(seed: $0) }
        deltas = { Laws<S>.deltas(seed: $0) }
        codec = { Laws<S>.codec(seed: $0) }
        differing = { Laws<S>.differing(runs: $0, seed: $1) }
    }

    static let all: [AnySubject] = [
        AnySubject(GCounterSubject.self), AnySubject(PNCounterSubject.self), AnySubject(ResettableCounterSubject.self),
        AnySubject(BoundedCounterSubject.self), AnySubject(StringSubject.self), AnySubject(LWWSubject.self), AnySubject(MVSubject.self),
        AnySubject(EnableWinsSubject.self), AnySubject(DisableWinsSubject.self), AnySubject(AddWinsSubject.self),
        AnySubject(RemoveWinsSubject.self), AnySubject(GSetSubject.self), AnySubject(FieldMapSubject.self),
        AnySubject(NestedMapSubject.self), AnySubject(MapOfSetsSubject.self), AnySubject(DocumentSubject.self),
        AnySubject(ScoredSetSubject.self), AnySubject(HyperLogLogSubject.self),
    ]
}

@Suite("Laws of the CRDTs")
struct LawTests {
    /// Histories per type and law. The seeds are `1...runs`; a failure names its own.
    static let runs: ClosedRange<UInt64> = 1...40

    @Test("the value is the pure specification over the history of operations", arguments: AnySubject.all)
    func specification(subject: AnySubject) {
        #expect(Self.runs.lazy.compactMap { subject.specification($0) }.first == nil)
    }

    @Test("the join is commutative, associative and idempotent; digests are equal where states are", arguments: AnySubject.all)
    func semilattice(subject: AnySubject) {
        #expect(Self.runs.lazy.compactMap { subject.semilattice($0) }.first == nil)
    }

    @Test("joining a delta is joining the whole state", arguments: AnySubject.all)
    func deltas(subject: AnySubject) {
        #expect(Self.runs.lazy.compactMap { subject.deltas($0) }.first == nil)
    }

    @Test("what is written is read back, and no bytes at all make a decoder trap", arguments: AnySubject.all)
    func codec(subject: AnySubject) {
        #expect(Self.runs.lazy.compactMap { subject.codec($0) }.first == nil)
    }

    @Test(
        "0 of 20,000 random runs of five sites differ in the end (MISO: 1,997 sets, 8,928 registers, 644 flags)",
        arguments: [
            AnySubject(AddWinsSubject.self), AnySubject(MVSubject.self), AnySubject(EnableWinsSubject.self),
            AnySubject(DisableWinsSubject.self), AnySubject(FieldMapSubject.self),
        ])
    func experiment(subject: AnySubject) { #expect(subject.differing(20_000, 2024) == 0) }
}
