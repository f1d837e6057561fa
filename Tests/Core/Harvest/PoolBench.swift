// SPDX-License-Identifier: Apache-2.0

import BrumeHarvest
import BrumeModel
import Testing

/// A pool beside the limits that its changes have written so far: every prefix of the changes is checked against the capacity.
struct PoolBench {
    var pool: HarvestPool
    var written: [CallID: Resources] = [:]
    var now = Instant.zero
    /// Movements of the operation before.
    var movements: [PoolMovement] = []
    var changes: [LimitChange] = []
    private var total = Resources.zero
    private let note: String

    init(_ settings: HarvestSettings, note: String = "") {
        pool = HarvestPool(settings: settings)
        self.note = note
    }

    /// A pool in which an amount of 1 counts, as in the paper's examples.
    static func units(cpu: Int, memory: Int = 0, lendsUnreserved: Bool = false, note: String = "") -> PoolBench {
        var settings = HarvestSettings(capacity: Resources(millicores: cpu, memoryBytes: memory))
        settings.quantum = Resources(millicores: 1, memoryBytes: 1)
        settings.lendsUnreserved = lendsUnreserved
        return PoolBench(settings, note: note)
    }

    @discardableResult
    mutating func enter(_ number: UInt64, user: Int, demand: Int, end: Int64) -> Bool {
        enter(
            CallID(number),
            HarvestTerms(
                FunctionHandle(Int(number)), reserved: Resources(millicores: user, memoryBytes: 0),
                demand: Resources(millicores: demand, memoryBytes: 0), end: Instant(nanoseconds: end)))
    }

    @discardableResult
    mutating func enter(_ call: CallID, _ terms: HarvestTerms) -> Bool {
        var entered = false
        perform { pool, effects in entered = pool.enter(call, terms, into: &effects) }
        return entered
    }

    mutating func leave(_ call: CallID) {
        if let limits = written.removeValue(forKey: call) { total = total - limits }
        perform { $0.leave(call, into: &$1) }
    }

    mutating func restore(_ call: CallID, _ kind: ResourceKind = .cpu) { perform { $0.restore(call, kind, into: &$1) } }

    mutating func perform(_ operation: (inout HarvestPool, inout HarvestEffects) -> Void) {
        var effects = HarvestEffects()
        operation(&pool, &effects)
        write(effects)
    }

    mutating func write(_ effects: HarvestEffects) {
        movements = effects.movements
        changes = effects.changes
        for change in effects.changes { write(change) }
        let faults = pool.audit()
        #expect(faults.isEmpty, "\(note) \(faults)")
        // The last changes hold: what is written is what the books say.
        for view in ResourceKind.allCases.flatMap({ kind in pool.shares(kind).map { (kind, $0) } }) {
            guard case .call(let call) = view.1.party else { continue }
            #expect(written[call, default: .zero][view.0] == view.1.limit, "\(note) \(call) \(view.0)")
        }
    }

    mutating func write(_ change: LimitChange) {
        let before = written[change.call, default: .zero]
        var after = before
        after[change.kind] = change.to
        written[change.call] = after
        total = total + after - before
        #expect(total.fits(in: pool.settings.capacity), "\(note) limits exceed the node after \(change)")
        #expect(change.to >= 0)
    }

    func limit(_ number: UInt64) -> Int? { pool.limit(of: CallID(number), .cpu) }
    func idle(_ number: UInt64) -> Int? { pool.share(of: CallID(number), .cpu)?.idle }
    func loans() -> [String] { pool.loans(.cpu).map { "\($0.lender)>\($0.borrower):\($0.amount)" } }
}
