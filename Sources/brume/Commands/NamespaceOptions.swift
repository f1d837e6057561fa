// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import BrumeModel
import BrumeState

/// What `brume up` is told about state: of one namespace, or of every one of which nothing else is said.
struct NamespaceOptions: ParsableArguments {
    @Option(
        name: .customLong("state-durability"),
        help: ArgumentHelp(
            """
            When a write to state is on disk: sync (before it is answered), interval (within 100 ms; what holds where nothing is said), \
            or none (memory alone). May be repeated, for one namespace each.
            """, valueName: "[namespace=]class"))
    var durability: [String] = []
    @Option(
        name: .customLong("state-objects"),
        help: ArgumentHelp(
            "Most objects of a namespace on this node (1000000). May be repeated.", valueName: "[namespace=]number"))
    var objects: [String] = []
    @Option(
        name: .customLong("state-bytes"),
        help: ArgumentHelp(
            "Memory of a namespace on this node from which it takes no writes, approximately (1Gi). May be repeated.",
            valueName: "[namespace=]amount"))
    var bytes: [String] = []
    @Option(
        name: .customLong("state-keep"),
        help: ArgumentHelp(
            """
            Who keeps a namespace of state: all nodes, edge, cloud, functions (only nodes that use it), or a number of nodes. \
            It holds on every node of the cluster until a deployment or 'brume state keep' says otherwise. May be repeated.
            """, valueName: "namespace=policy"))
    var keep: [String] = []
    @Option(
        name: .customLong("state-idle"),
        help: ArgumentHelp(
            "How long a namespace of state stays on this node that no policy keeps here, after its last use.", valueName: "duration"))
    var idle = "1h"

    /// - Throws: a `CommandFailure` (words).
    func plan() throws(CommandFailure) -> StatePlan {
        var plan = StatePlan()
        plan.standard.idle = try StatePlan.idle(idle)
        plan.keep = try keep.map { text throws(CommandFailure) in try StatePlan.keep(text) }
        // What is said of all namespaces comes first, so that what is said of one differs from it, in whatever order they were said.
        for ofOne in [false, true] {
            try apply(durability, "--state-durability", ofOne, to: &plan) { settings, word in
                guard let choice = DurabilityChoice(rawValue: word) else { return "say sync, interval or none" }
                settings.durability = choice.durability
                return nil
            }
            try apply(objects, "--state-objects", ofOne, to: &plan) { settings, word in
                guard let number = Int(word), number > 0 else { return "say a number from 1 on" }
                settings.objectsMax = number
                return nil
            }
            try apply(bytes, "--state-bytes", ofOne, to: &plan) { settings, word in
                guard let amount = try? Resources.bytes(parsing: word), amount > 0 else { return "say an amount like 64Mi or 1Gi" }
                settings.bytesMax = amount
                return nil
            }
        }
        return plan
    }

    /// Changes the settings of what each text names; `change` answers with what to say instead where it cannot.
    private func apply(
        _ texts: [String], _ option: String, _ ofOne: Bool, to plan: inout StatePlan,
        _ change: (inout NamespaceSettings, String) -> String?
    ) throws(CommandFailure) {
        var said: [String] = []
        for text in texts where text.contains("=") == ofOne {
            let (name, word) = try Self.parts(text, option)
            guard !said.contains(name ?? "") else {
                throw .words("\(option) \(text.prefix(64)): of \(name ?? "all namespaces") it is said twice; say it once.")
            }
            said.append(name ?? "")
            var settings = name.flatMap { plan.namespaces[$0] } ?? plan.standard
            if let advice = change(&settings, word) {
                throw .words("\(option) \(text.prefix(64)): '\(word.prefix(32))' is none; \(advice).")
            }
            if let name { plan.namespaces[name] = settings } else { plan.standard = settings }
        }
    }

    private static func parts(_ text: String, _ option: String) throws(CommandFailure) -> (namespace: String?, word: String) {
        guard let sign = text.firstIndex(of: "=") else { return (nil, text) }
        do throws(StateError) {
            return (try SpaceName(String(text[..<sign])).namespace, String(text[text.index(after: sign)...]))
        } catch {
            throw .words("\(option) \(text.prefix(64)): \(error.message)")
        }
    }
}

/// What may stand behind `--state-durability`.
enum DurabilityChoice: String, CaseIterable, Sendable {
    case none, interval, sync

    var durability: StateDurability {
        switch self {
        case .none: .none
        case .interval: .interval
        case .sync: .sync
        }
    }
}
