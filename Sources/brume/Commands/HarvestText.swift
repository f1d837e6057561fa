// SPDX-License-Identifier: Apache-2.0
import BrumeModel

/// The reports about harvesting, for people.
enum HarvestText {
    // MARK: Now

    static func now(_ report: HarvestReport, style: Style) -> String {
        var sheet = Sheet()
        sheet.add("Admission", report.admission == "allocation" ? "by the user's allocation" : "by predicted demand")
        sheet.add("Calls", "\(Wording.count(report.calls, "call")) running")
        for kind in ResourceKind.allCases {
            let pool = report[kind]
            func amount(_ value: Int) -> String { Wording.amount(value, kind) }
            let overdue = pool.overdue > 0 ? ", \(amount(pool.overdue)) overdue" : ""
            sheet.add(
                kind == .cpu ? "CPU" : "Memory",
                "\(amount(pool.limits)) of \(amount(pool.capacity)) in limits, \(amount(pool.lent)) lent, \(amount(pool.idle)) idle"
                    + overdue)
        }
        var text = sheet.rendered(style: style)
        if !report.loans.isEmpty {
            var table = Table([
                .init("LENDER"), .init("CALL"), .init("BORROWER"), .init("CALL"), .init("RESOURCE"), .init("LENT", .right), .init("UNTIL"),
            ])
            for loan in report.loans {
                table.add([
                    name(loan.lender), loan.lender.call ?? "", name(loan.borrower), loan.borrower.call ?? "", loan.kind.rawValue,
                    Wording.amount(loan.amount, loan.kind), Wording.ending(in: loan.endsInMs),
                ])
            }
            text += "\n" + table.rendered(style: style) + more(report.loansOmitted, "loan")
        }
        if !report.idle.isEmpty {
            var table = Table([.init("IDLE OF"), .init("CALL"), .init("RESOURCE"), .init("AMOUNT", .right), .init("UNTIL")])
            for idle in report.idle {
                table.add([
                    name(idle.lender), idle.lender.call ?? "", idle.kind.rawValue, Wording.amount(idle.amount, idle.kind),
                    Wording.ending(in: idle.endsInMs),
                ])
            }
            text += "\n" + table.rendered(style: style) + more(report.idleOmitted, "entry")
        }
        return text
    }

    private static func name(_ party: HarvestParty) -> String {
        guard let function = party.function else { return party.call == nil ? "the node" : "" }
        return short(function)
    }

    /// Without the default namespace.
    private static func short(_ function: String) -> String {
        let ending = "." + FunctionID.defaultNamespace
        return function.hasSuffix(ending) ? String(function.dropLast(ending.count)) : function
    }

    private static func more(_ count: Int, _ noun: String) -> String {
        count > 0 ? "\(count) more of the kind '\(noun)' are counted above.\n" : ""
    }

    // MARK: Ledger

    static func ledger(_ report: HarvestLedgerReport, style: Style) -> String {
        var sheet = Sheet()
        sheet.add("Covers", Wording.milliseconds(report.seconds * 1000))
        sheet.add("Limits written", "\(report.limitWrites)")
        sheet.add("Held back", "\(Wording.count(report.heldBack, "call")) waited for its part")
        sheet.add("Samples skipped", "\(report.skippedSamples)")
        sheet.add(
            "Memory kills",
            "\(report.total.outOfMemoryKills), \(report.total.outOfMemoryKillsWhileLending) of them at a limit that a loan had lowered")
        var table = Table([
            .init("FUNCTION"), .init("RESOURCE"), .init("LENT", .right), .init("BORROWED", .right), .init("RECLAIMED", .right),
            .init("LOST", .right), .init("IDLE", .right), .init("SAFEGUARDS", .right), .init("KILLS", .right),
        ])
        for row in report.functions { add(short(row.function), row.account, to: &table) }
        if report.removed != HarvestLedgerReport.Account() { add("(removed)", report.removed, to: &table) }
        add("(the node)", report.node, to: &table)
        add("total", report.total, to: &table)
        let omitted = report.functionsOmitted > 0 ? "\(report.functionsOmitted) more functions are in the total.\n" : ""
        return sheet.rendered(style: style) + "\n" + table.rendered(style: style) + omitted
    }

    private static func add(_ name: String, _ account: HarvestLedgerReport.Account, to table: inout Table) {
        for kind in ResourceKind.allCases {
            let totals = account[kind]
            let amounts = [totals.lent, totals.borrowed, totals.reclaimed, totals.lost, totals.idle].map { Wording.overTime($0, kind) }
            table.add(
                [kind == .cpu ? name : "", kind.rawValue] + amounts
                    + ["\(totals.safeguards)", kind == .memory ? "\(account.outOfMemoryKills)" : ""])
        }
    }

    // MARK: Profile

    static func profile(_ report: HarvestProfileReport, style: Style) -> String {
        var sheet = Sheet()
        sheet.add("Function", short(report.function))
        sheet.add("May lend", Wording.kinds(report.takesPart))
        sheet.add("Calls", "\(report.calls) learned from, predicted from \(report.callsBeforePrediction) on")
        add("CPU", report.cpu, to: &sheet) { Wording.amount(Int($0), .cpu) }
        add("Memory", report.memory, to: &sheet) { Wording.amount(Int($0), .memory) }
        add("Run time", report.duration, to: &sheet) { Wording.milliseconds($0 * 1000) + " on one core" }
        sheet.add("Serial part", "\(Wording.percent(report.serialShare)) of the run time on one core, which more CPU does not shorten")
        sheet.add("Accuracy", accuracy(report))
        for suspension in report.suspensions {
            sheet.add(
                "Not lent",
                "\(Wording.kinds([suspension.kind])) for another \(Wording.milliseconds(suspension.endsInMs)). \(suspension.reason)")
        }
        return sheet.rendered(style: style) + outlook(report, style: style)
    }

    private static func add(
        _ name: String, _ quantity: HarvestProfileReport.Quantity, to sheet: inout Sheet, _ words: (Double) -> String
    ) {
        let model =
            switch quantity.model {
            case .unknown: "not known yet"
            case .quantiles: "quantiles of the latest calls"
            case .curve: "a curve over \(quantity.feature ?? "the input")"
            }
        sheet.add(name, "\(model): \(quantity.reason)")
        if let curve = quantity.curve {
            let terms = curve.map { "\(Wording.number($0.coefficient)) \($0.term)" }.joined(separator: ", ")
            let range =
                if let low = quantity.lowest, let high = quantity.highest {
                    " for x from \(Wording.number(low)) to \(Wording.number(high))"
                } else {
                    ""
                }
            sheet.add("", "  the sum of \(terms)\(range)")
        }
        if let low = quantity.p5, let median = quantity.p50, let high = quantity.p99 {
            sheet.add("", "  latest calls: p5 \(words(low)), p50 \(words(median)), p99 \(words(high))")
        }
    }

    private static func accuracy(_ report: HarvestProfileReport) -> String {
        guard report.predictions > 0 else { return "nothing has been predicted yet" }
        var parts: [String] = []
        if let share = report.cpuClassAccuracy { parts.append("CPU class \(Wording.percent(share))") }
        if let share = report.memoryClassAccuracy { parts.append("memory class \(Wording.percent(share))") }
        if let r2 = report.durationR2 { parts.append("run time R2 \(Wording.decimal(max(-99, r2), places: 3))") }
        parts.append("exceeded by \(Wording.percent(report.cpuExceeded)) in CPU and \(Wording.percent(report.memoryExceeded)) in memory")
        return parts.joined(separator: ", ") + "; \(report.predictions) calls, \(report.unpredicted) of them not predicted"
    }

    private static func outlook(_ report: HarvestProfileReport, style: Style) -> String {
        guard report.outlook.contains(where: { $0.runMs != nil }) else { return "" }
        var table = Table([
            .init((report.outlookFeature ?? "any input").uppercased(), .right), .init("CPU", .right), .init("MEMORY", .right),
            .init("RUN TIME", .right), .init("WITH ALL THE CPU IT USES", .right),
        ])
        for row in report.outlook {
            table.add([
                row.value.map { Wording.number($0) } ?? "", row.millicores.map { Wording.amount($0, .cpu) } ?? "?",
                row.memoryBytes.map { Wording.amount($0, .memory) } ?? "?", row.runMs.map { Wording.milliseconds($0) } ?? "?",
                row.shortestRunMs.map { Wording.milliseconds($0) } ?? "?",
            ])
        }
        return "\n" + table.rendered(style: style)
    }

    // MARK: One call

    /// What harvesting did to a call, for `explain`.
    static func add(_ harvest: CallHarvest, to sheet: inout Sheet) {
        let expected = harvest.expected
        sheet.add(
            "Expected",
            "\(expected?.millicores.map { Wording.amount($0, .cpu) } ?? "unknown") CPU, "
                + "\(expected?.memoryBytes.map { Wording.amount($0, .memory) } ?? "unknown") memory"
                + (expected.map { ", to run \(Wording.milliseconds($0.runMs))" } ?? ""))
        sheet.add(
            "Began with",
            "\(Wording.amount(harvest.began.millicores, .cpu)) CPU (its own: \(Wording.amount(harvest.allocation.millicores, .cpu))), "
                + "\(Wording.amount(harvest.began.memoryBytes, .memory)) memory "
                + "(its own: \(Wording.amount(harvest.allocation.memoryBytes, .memory)))")
        sheet.add(
            "Used at most",
            "\(harvest.peakMillicores.map { Wording.amount($0, .cpu) } ?? "unmeasured") CPU, "
                + "\(harvest.peakMemoryBytes.map { Wording.amount($0, .memory) } ?? "unmeasured") memory")
        if let limit = harvest.killedAtBytes { sheet.add("Killed", killed(at: limit, own: harvest.allocation.memoryBytes)) }
        for kind in ResourceKind.allCases {
            let totals = harvest[kind]
            guard totals != HarvestTotals() else { continue }
            func words(_ name: String, _ amount: Double) -> String? { amount > 0 ? "\(name) \(Wording.overTime(amount, kind))" : nil }
            let parts = [
                words("lent", totals.lent), words("borrowed", totals.borrowed), words("idle in the pool", totals.idle),
                words("taken back early", totals.reclaimed), words("lost early", totals.lost),
                totals.safeguards > 0 ? "restored by the safeguard" : nil,
            ]
            sheet.add(kind == .cpu ? "Shared CPU" : "Shared memory", parts.compactMap { $0 }.joined(separator: ", "))
        }
    }

    private static func killed(at limit: Int, own: Int) -> String {
        func words(_ bytes: Int) -> String { Wording.amount(bytes, .memory) }
        let story =
            limit < own
            ? "killed for memory at a lowered limit: it had lent all but \(words(limit)) of its \(words(own))"
            : limit > own
                ? "killed for memory at \(words(limit)), of which \(words(limit - own)) were borrowed"
                : "killed for memory at its own limit of \(words(own))"
        return "a process of it was \(story)"
    }

    /// Each loan of a call, or nothing.
    static func movements(_ harvest: CallHarvest, style: Style) -> String {
        let rows = (harvest.movements ?? []).map { movement in
            let isGain = movement.amount > 0
            let peer = movement.peerFunction.map { short($0) + (movement.peer.map { " (\($0))" } ?? "") } ?? "the node"
            let verb =
                switch (movement.ended == nil, isGain) {
                case (true, true): "borrowed from"
                case (true, false): "lent to"
                case (false, true): "back from"
                case (false, false): "given back to"
                }
            return "  \(Wording.milliseconds(movement.atMs))  \(Wording.signed(movement.amount, movement.kind)) "
                + "\(movement.kind == .cpu ? "CPU" : "memory") \(verb) \(peer)" + (movement.ended.map { ": \($0)" } ?? "") + "\n"
        }
        guard !rows.isEmpty else { return "" }
        let omitted = harvest.movementsOmitted > 0 ? "  and \(harvest.movementsOmitted) more\n" : ""
        return style.faint("Loans") + "\n" + rows.joined() + omitted
    }
}
