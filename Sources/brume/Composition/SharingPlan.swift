// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import BrumeHarvest
import BrumeModel
import BrumeSandbox

/// What may stand behind `--sharing`.
enum SharingChoice: String, ExpressibleByArgument, CaseIterable, Sendable {
    case `static`, weights, harvest
    case harvestWeights = "harvest-weights"
    case density
    case densityWeights = "density-weights"

    /// Whether calls lend to each other.
    var harvests: Bool { self != .static && self != .weights }
}

/// What may stand behind `--sharing-without`: a part of harvesting that is left out, to show what it is good for.
enum SharingPart: String, ExpressibleByArgument, CaseIterable, Sendable {
    case safeguard, profiler
    case topUp = "top-up"
}

/// How the calls of a node share the machine.
struct SharingPlan: Hashable, Sendable {
    let choice: SharingChoice
    /// Parts of harvesting that are left out.
    let without: Set<SharingPart>
    let safeguard: SafeguardSettings

    /// - Throws: a `CommandFailure` where something is to be left out of harvesting or set for it, and nothing is harvested.
    init(_ choice: SharingChoice, without parts: [SharingPart] = [], safeguard: SafeguardSettings? = nil) throws {
        guard parts.isEmpty || choice.harvests else {
            throw CommandFailure.words(
                "--sharing \(choice.rawValue) lends nothing, so --sharing-without has nothing to leave out; give --sharing harvest, "
                    + "harvest-weights, density or density-weights with it.")
        }
        guard safeguard == nil || choice.harvests && !parts.contains(.safeguard) else {
            throw CommandFailure.words(
                "There is no safeguard to set with --sharing \(choice.rawValue)\(choice.harvests ? " --sharing-without safeguard" : ""); "
                    + "leave --safeguard-threshold, --safeguard-window and --safeguard-pause out.")
        }
        self.choice = choice
        without = Set(parts)
        self.safeguard = safeguard ?? SafeguardSettings()
    }

    var harvests: Bool { choice.harvests }

    var cpuControl: CPUControl {
        switch choice {
        case .static, .harvestWeights: .quotaAndWeight
        case .weights, .densityWeights: .weight
        case .harvest, .density: .quota
        }
    }

    /// Without a safeguard nobody would restore what is left to a lender, and what is left would be no limit unless the kernel holds it.
    var memoryHold: MemoryHold { without.contains(.safeguard) ? .kill : .pause }

    /// Nil where nothing is lent.
    func harvesterSettings(capacity: Resources) -> HarvesterSettings? {
        guard harvests else { return nil }
        var settings = HarvesterSettings(capacity: capacity)
        settings.safeguard = safeguard
        switch choice {
        case .density: settings.admission = .predictedDemand
        case .densityWeights:
            settings.admission = .predictedUse
            // No quota is lowered, so nobody comes near one.
            settings.guardsCPU = false
        case .static, .weights, .harvest, .harvestWeights: break
        }
        settings.usesSafeguard = !without.contains(.safeguard)
        settings.pool.topsUp = !without.contains(.topUp)
        // What the paper calls Libra-NP: the most of the latest five calls, and nothing is tried out.
        if without.contains(.profiler) {
            settings.profiler.method = .recentMaximum
            settings.profiler.callsBeforePrediction = 1
            settings.profiler.explores = false
        }
        return settings
    }
}
