// SPDX-License-Identifier: Apache-2.0

import BrumeEngine
import BrumeHarvest
import BrumeModel

/// What a node that harvests keeps beside the engine's books: records that wait for their statements, and the other way round.
struct HarvestBooks: Sendable {
    /// Calls whose callers have their answers and whose replicas are not through with them: no more than calls run.
    var unsettled: [CallID: UnsettledRecord] = [:]
    /// What harvesting did to calls that are not answered yet: no more than calls are open.
    var settled: [CallID: CallHarvest] = [:]
    var peers = PeerLabels()
    var limitWrites = 0
    var heldBack = 0

    func unsettled(_ query: CallQuery) -> [CallRecord] {
        unsettled.isEmpty ? [] : unsettled.values.map(\.record).filter { query.matches($0) }
    }
}

/// A call's record that lacks what harvesting did to it; what is written is on its way to the disk already.
struct UnsettledRecord: Sendable {
    var record: CallRecord
    /// Whether it goes to the disk, or into ``RecentCalls``.
    let isWritten: Bool
}

/// The caller-visible ids of the latest calls that ended: a lender's story names its borrowers, and most of those have gone before it.
struct PeerLabels: Sendable {
    /// A loan lasts no longer than both calls run: with the node's cores, this many have ended in that time at most.
    private static let countMax = 1_024

    private var labels: [CallID: String] = [:]
    private var order: [CallID] = []
    private var next = 0

    subscript(call: CallID) -> String? { labels[call] }

    mutating func remember(_ call: CallID, _ label: String) {
        guard labels.updateValue(label, forKey: call) == nil else { return }
        if order.count < Self.countMax {
            order.append(call)
        } else {
            labels[order[next]] = nil
            order[next] = call
            next = (next + 1) % Self.countMax
        }
    }
}

extension HarvestTotals {
    init(_ account: HarvestAccount, _ kind: ResourceKind) {
        func amount(_ time: ResourceTime) -> Double { kind == .cpu ? time.coreSeconds : time.byteSeconds }
        self.init(
            lent: amount(account.lent), borrowed: amount(account.borrowed), idle: amount(account.idle),
            reclaimed: amount(account.reclaimed), lost: amount(account.lost), reclaims: account.reclaims, safeguards: account.safeguards)
    }
}

extension HarvestLedgerReport.Account {
    init(cpu: HarvestAccount, memory: HarvestAccount) {
        self.init(
            cpu: HarvestTotals(cpu, .cpu), memory: HarvestTotals(memory, .memory), outOfMemoryKills: memory.kills,
            outOfMemoryKillsWhileLending: memory.killsWhileLending)
    }
}
