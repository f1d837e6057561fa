// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BrumeModel

/// A way in which the calls of a node share it, as the lab compares them.
enum LabPolicy: String, CaseIterable, Sendable, ExpressibleByArgument {
    /// No more calls run at a time than their users' allocations have room for, and none gets more or less: what Libra is compared with.
    case `static`
    /// Limits by the users' allocations, and as many calls at a time as come: CPU is promised several times over.
    case overcommit
    case weights, harvest
    case harvestWeights = "harvest-weights"
    case harvestWithoutSafeguard = "harvest-without-safeguard"
    case harvestWithoutProfiler = "harvest-without-profiler"
    case harvestWithoutTopUp = "harvest-without-top-up"
    case density
    case densityWeights = "density-weights"

    /// For a first look: what everybody has, what the kernel does by itself, and what docs/harvesting.md recommends.
    static let quick: [LabPolicy] = [.static, .weights, .densityWeights]

    /// The options of `brume up`.
    var options: [String] {
        switch self {
        case .static, .harvest: ["--sharing", "harvest"]
        case .overcommit: ["--sharing", "static"]
        case .weights: ["--sharing", "weights"]
        case .harvestWeights: ["--sharing", "harvest-weights"]
        case .harvestWithoutSafeguard: ["--sharing", "harvest", "--sharing-without", "safeguard"]
        case .harvestWithoutProfiler: ["--sharing", "harvest", "--sharing-without", "profiler"]
        case .harvestWithoutTopUp: ["--sharing", "harvest", "--sharing-without", "top-up"]
        case .density: ["--sharing", "density"]
        case .densityWeights: ["--sharing", "density-weights"]
        }
    }

    /// Whether calls lend and borrow. A node that harvests nothing of its functions admits calls by their allocations, with the same warm
    /// replicas as one that does: what differs is the lending alone.
    var lends: Bool { self != .static && self != .overcommit && self != .weights }

    /// The policies of a list with commas between them, in its order.
    ///
    /// - Throws: `CommandFailure` (words) for an unknown or repeated name.
    static func list(_ text: String) throws(CommandFailure) -> [LabPolicy] {
        var policies: [LabPolicy] = []
        for word in text.split(separator: ",", omittingEmptySubsequences: false) {
            let name = String(word.drop { $0 == " " })
            guard let policy = LabPolicy(rawValue: name) else {
                throw .words("'\(name.prefix(40))' is no policy; there are \(allCases.map(\.rawValue).joined(separator: ", ")).")
            }
            guard !policies.contains(policy) else { throw .words("The policy \(name) is named twice; name each once.") }
            policies.append(policy)
        }
        return policies
    }
}
