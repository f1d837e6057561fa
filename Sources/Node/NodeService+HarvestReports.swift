// SPDX-License-Identifier: Apache-2.0

import BrumeEngine
import BrumeHarvest
package import BrumeModel
import Synchronization

/// What people are told about harvesting: what is lent now, what it has come to, and what is known of a function.
extension NodeService {
    package func harvest() async throws -> HarvestReport {
        try books.withLock { books in
            let harvester = try harvester(books)
            var report = HarvestReport(
                admission: harvester.settings.admission.rawValue, calls: harvester.runningCount, cpu: Self.sums(harvester.pool, .cpu),
                memory: Self.sums(harvester.pool, .memory))
            for kind in ResourceKind.allCases {
                let loans = harvester.pool.loans(kind).sorted { $0.amount > $1.amount }
                report.loans += loans.map { loan in
                    HarvestReport.Loan(
                        kind: kind, lender: party(loan.lender, books), borrower: party(.call(loan.borrower), books), amount: loan.amount,
                        endsInMs: milliseconds(until: loan.until))
                }
                let idle = harvester.pool.shares(kind).filter { $0.idle > 0 }.sorted { $0.idle > $1.idle }
                report.idle += idle.map { share in
                    HarvestReport.Idle(
                        kind: kind, lender: party(share.party, books), amount: share.idle, endsInMs: milliseconds(until: share.end))
                }
            }
            report.loansOmitted = max(0, report.loans.count - HarvestReport.rowsMax)
            report.loans.removeLast(report.loansOmitted)
            report.idleOmitted = max(0, report.idle.count - HarvestReport.rowsMax)
            report.idle.removeLast(report.idleOmitted)
            return report
        }
    }

    package func harvestLedger() async throws -> HarvestLedgerReport {
        try books.withLock { books in
            let harvester = try harvester(books)
            let (ledger, now) = (harvester.ledger, clock.now)
            var report = HarvestLedgerReport(
                seconds: (now - startedAt).inSeconds,
                node: .init(cpu: ledger.nodeAccount(.cpu, now: now), memory: ledger.nodeAccount(.memory, now: now)),
                total: .init(cpu: ledger.totalAccount(.cpu, now: now), memory: ledger.totalAccount(.memory, now: now)),
                limitWrites: books.harvest.limitWrites, skippedSamples: harvester.safeguard.skippedSamples,
                heldBack: books.harvest.heldBack)
            var removed = (cpu: ledger.removedAccount(.cpu), memory: ledger.removedAccount(.memory))
            for function in ledger.accountedFunctions {
                let cpu = ledger.account(of: function, .cpu, now: now)
                let memory = ledger.account(of: function, .memory, now: now)
                if let name = name(of: function, books) {
                    report.functions.append(.init(function: name, account: .init(cpu: cpu, memory: memory)))
                } else {
                    // Removed, and a call of it still runs.
                    removed = (removed.cpu + cpu, removed.memory + memory)
                }
            }
            report.removed = .init(cpu: removed.cpu, memory: removed.memory)
            report.functions.sort { $0.function < $1.function }
            report.functionsOmitted = max(0, report.functions.count - HarvestLedgerReport.rowsMax)
            report.functions.removeLast(report.functionsOmitted)
            return report
        }
    }

    package func harvestProfile(_ id: FunctionID) async throws -> HarvestProfileReport {
        try books.withLock { books in
            let harvester = try harvester(books)
            guard let handle = books.handles[id], let entry = books.functions[handle] else {
                throw BrumeError(.notFound, "There is no function '\(id)'; see the names with: brume list")
            }
            let spec = entry.stored.spec
            var report = ProfileText(
                profile: harvester.profiler.report(handle) ?? ProfileReport(), settings: harvester.settings.profiler,
                parameters: entry.harvestParameters
            ).report(of: spec.id, takesPart: FunctionPolicy(spec).harvests)
            let own = FunctionPolicy(spec).allocation.millicores
            let outlook = harvester.profiler.outlook(handle, rows: ProfileText.outlookRows)
            report.outlookFeature = outlook.first?.feature.map { ProfileText.name(ofFeature: $0, entry.harvestParameters) }
            report.outlook = outlook.map { HarvestProfileReport.Outlook($0, own: own) }
            for kind in ResourceKind.allCases {
                guard let suspension = harvester.safeguard.suspension(handle, kind, now: clock.now) else { continue }
                report.suspensions.append(
                    .init(kind: kind, reason: suspension.reason, endsInMs: (suspension.until - clock.now).inMilliseconds))
            }
            return report
        }
    }

    private func harvester(_ books: Books) throws(BrumeError) -> Harvester {
        guard let harvester = books.engine.harvester else {
            throw BrumeError(.conflict, "This node lends nothing between calls; start it with: brume up --sharing harvest")
        }
        return harvester
    }

    private func party(_ lender: Lender, _ books: Books) -> HarvestParty {
        guard case .call(let call) = lender else { return HarvestParty() }
        let known = books.calls[call]?.function ?? books.harvest.unsettled[call]?.record.function
        return HarvestParty(call: label(of: call, books), function: known?.description)
    }

    private func milliseconds(until time: Instant) -> Double? {
        time == .distantFuture || time == .zero ? nil : (time - clock.now).inMilliseconds
    }

    private static func sums(_ pool: HarvestPool, _ kind: ResourceKind) -> HarvestReport.Pool {
        var sums = HarvestReport.Pool(capacity: pool.capacity[kind])
        for share in pool.shares(kind) {
            if share.party != .node { sums.limits += share.limit }
            sums.lent += share.onLoan
            sums.idle += share.idle
            sums.overdue += share.overdue
        }
        return sums
    }
}
