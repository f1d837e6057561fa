// SPDX-License-Identifier: Apache-2.0

@testable import BrumeCRDT

/// Letters, so that operations meet on the same things.
func letter(_ draw: inout Draw, of count: Int = 4) -> Bytes { Bytes([UInt8(ascii: "a") + UInt8(draw.below(count))]) }

enum GCounterSubject: Subject {
    typealias Op = Int64
    static func draw(_ draw: inout Draw) -> Int64 { Int64(draw.below(9)) }

    static func apply(_ op: Op, to state: inout GCounter, by site: SiteID, at time: HybridTime, into delta: inout GCounter) throws {
        try state.add(op, by: site, into: &delta)
    }

    static func view(_ state: GCounter) -> Int128 { state.total }
    static func specify(_ history: History<Op>) -> Int128 { history.events.reduce(0) { $0 + Int128($1.op) } }
}

enum PNCounterSubject: Subject {
    typealias Op = Int64

    /// Sometimes so much that the sum overflows.
    static func draw(_ draw: inout Draw) -> Int64 {
        draw.chance(1, in: 10) ? Int64(bitPattern: draw.next()) : Int64(draw.below(19)) - 9
    }

    static func apply(_ op: Op, to state: inout PNCounter, by site: SiteID, at time: HybridTime, into delta: inout PNCounter) throws {
        try state.add(op, by: site, into: &delta)
    }

    static func view(_ state: PNCounter) -> Int128 { state.total }
    static func specify(_ history: History<Op>) -> Int128 { history.events.reduce(0) { $0 + Int128($1.op) } }
}

enum ResettableCounterSubject: Subject {
    enum Op: Sendable { case add(Int64), reset }

    static func draw(_ draw: inout Draw) -> Op { draw.chance(1, in: 4) ? .reset : .add(Int64(draw.below(19)) - 9) }

    static func apply(
        _ op: Op, to state: inout Causal<ResettableCounter>, by site: SiteID, at time: HybridTime,
        into delta: inout Causal<ResettableCounter>
    ) throws {
        switch op {
        case .add(let amount): try state.add(amount, by: site, into: &delta)
        case .reset: state.reset(into: &delta)
        }
    }

    static func view(_ state: Causal<ResettableCounter>) -> Int128 { state.total }

    static func specify(_ history: History<Op>) -> Int128 {
        history.events.reduce(0) { sum, event in
            guard case .add(let amount) = event.op else { return sum }
            let wasReset = history.events.contains { later in
                if case .reset = later.op { later.sees(event) } else { false }
            }
            return wasReset ? sum : sum + Int128(amount)
        }
    }
}

enum BoundedCounterSubject: Subject {
    enum Op: Sendable { case add(Int64), subtract(Int64), transfer(Int64, to: SiteID) }

    static func start() -> BoundedCounter { BoundedCounter(bound: -3) }

    static func draw(_ draw: inout Draw) -> Op {
        switch draw.below(4) {
        case 0: .add(Int64(draw.below(9)))
        case 1: .transfer(Int64(draw.below(5)), to: SiteID(rawValue: 1000 - 7 * UInt64(draw.below(4))))
        default: .subtract(Int64(draw.below(6)))
        }
    }

    static func apply(
        _ op: Op, to state: inout BoundedCounter, by site: SiteID, at time: HybridTime, into delta: inout BoundedCounter
    )
        throws
    {
        switch op {
        case .add(let amount): try state.add(amount, by: site, into: &delta)
        case .subtract(let amount): try state.subtract(amount, by: site, into: &delta)
        case .transfer(let amount, let other): try state.transfer(amount, from: site, to: other, into: &delta)
        }
    }

    static func view(_ state: BoundedCounter) -> Int128 { state.total }

    static func specify(_ history: History<Op>) -> Int128 {
        history.events.reduce(-3) { sum, event in
            switch event.op {
            case .add(let amount): sum + Int128(amount)
            case .subtract(let amount): sum - Int128(amount)
            case .transfer: sum
            }
        }
    }

    static func fault(_ state: BoundedCounter) -> String? { state.total < -3 ? "\(state.total) is below the bound" : nil }
}

enum GSetSubject: Subject {
    typealias Op = Bytes
    static func draw(_ draw: inout Draw) -> Bytes { letter(&draw, of: 20) }

    static func apply(_ op: Op, to state: inout GSet, by site: SiteID, at time: HybridTime, into delta: inout GSet) throws {
        state.add(op, into: &delta)
    }

    static func view(_ state: GSet) -> [Bytes] { state.elements.sorted() }
    static func specify(_ history: History<Op>) -> [Bytes] { Set(history.events.map(\.op)).sorted() }
}

enum HyperLogLogSubject: Subject {
    typealias Op = [Bytes]

    /// Now and then so many that the sparse form ends.
    static func draw(_ draw: inout Draw) -> [Bytes] {
        let first = draw.below(1000)
        return (0..<(draw.chance(1, in: 10) ? 900 : 3)).map { Bytes("element \(first + $0)") }
    }

    static func apply(_ op: Op, to state: inout HyperLogLog, by site: SiteID, at time: HybridTime, into delta: inout HyperLogLog) throws {
        for element in op { state.add(element, into: &delta) }
    }

    static func view(_ state: HyperLogLog) -> Int { state.count }

    /// The registers as an array of numbers.
    static func specify(_ history: History<Op>) -> Int {
        var registers = [UInt32: UInt32](minimumCapacity: 2048)
        for element in history.events.flatMap(\.op) {
            let hash = stableHash(element, seed: 0x4C4C)
            let index = UInt32(hash % 16384)
            let rest = hash / 16384
            registers[index] = max(registers[index] ?? 0, rest == 0 ? 51 : UInt32(rest.trailingZeroBitCount) + 1)
        }
        var state = HyperLogLog()
        for (index, rank) in registers {
            var writer = ByteWriter()
            writer.byte(0)
            writer.count(1)
            writer.varint(UInt64(index))
            writer.byte(UInt8(rank))
            if let one = try? HyperLogLog(decoding: writer.bytes) { state.merge(one) }
        }
        return state.count
    }
}

enum StringSubject: Subject {
    enum Op: Sendable { case set(Bytes?), add(Int64) }

    static func draw(_ draw: inout Draw) -> Op {
        switch draw.below(6) {
        case 0: .set(nil)
        case 1: .set("no number, and longer than fifteen bytes")
        case 2: .set(Bytes(decimal: Int64(draw.below(100))))
        default: .add(Int64(draw.below(9)) + 1)
        }
    }

    static func apply(
        _ op: Op, to state: inout StringRegister, by site: SiteID, at time: HybridTime, into delta: inout StringRegister
    ) throws {
        switch op {
        case .set(let value): state.set(value, at: Stamp(time: time, site: site), into: &delta)
        case .add(let amount): try state.add(amount, by: site, into: &delta)
        }
    }

    static func view(_ state: StringRegister) -> Bytes? { state.value }

    static func specify(_ history: History<Op>) -> Bytes? {
        let stamps = effectiveStamps(history) { if case .set = $0 { true } else { false } }
        func epoch(_ events: [Event<Op>]) -> Event<Op>? {
            events.filter { stamps[$0.id] != nil }.max { (stamps[$0.id] ?? .zero) < (stamps[$1.id] ?? .zero) }
        }
        let winner = epoch(history.events)
        var base: Bytes?
        if case .set(let value)? = winner?.op { base = value }
        var sum: Int64?
        for event in history.events {
            guard case .add(let amount) = event.op, epoch(history.events.filter(event.sees))?.id == winner?.id else { continue }
            sum = (sum ?? 0) + amount
        }
        guard let sum else { return base }
        return Bytes(String((base.flatMap { Int64($0.text) } ?? 0) + sum))
    }
}

enum LWWSubject: Subject {
    typealias Op = Bytes?
    static func draw(_ draw: inout Draw) -> Bytes? { draw.chance(1, in: 5) ? nil : letter(&draw) }

    static func apply(_ op: Op, to state: inout LWWRegister, by site: SiteID, at time: HybridTime, into delta: inout LWWRegister) throws {
        state.set(op, at: Stamp(time: time, site: site), into: &delta)
    }

    static func view(_ state: LWWRegister) -> Bytes? { state.value }

    static func specify(_ history: History<Op>) -> Bytes? {
        let stamps = effectiveStamps(history) { _ in true }
        return history.events.max { (stamps[$0.id] ?? .zero) < (stamps[$1.id] ?? .zero) }?.op
    }
}

/// The stamps that writes get: their own, or the next one after the latest that they have seen.
func effectiveStamps<Op>(_ history: History<Op>, of isWrite: (Op) -> Bool) -> [Int: Stamp] {
    var stamps: [Int: Stamp] = [:]
    for event in history.events where isWrite(event.op) {
        let seen = history.events.filter(event.sees).compactMap { stamps[$0.id] }.max() ?? .zero
        stamps[event.id] = event.stamp > seen ? event.stamp : Stamp(time: HybridTime(rawValue: seen.time.rawValue + 1), site: event.site)
    }
    return stamps
}
