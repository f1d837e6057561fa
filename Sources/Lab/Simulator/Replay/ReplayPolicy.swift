// SPDX-License-Identifier: Apache-2.0

public import BrumeHarvest
import BrumeModel

/// How a virtual node shares its resources between calls, by name.
public struct ReplayPolicy: Sendable {
    /// As on the command line.
    public var name: String
    public var sharing: CPUSharing
    /// Nil where each call keeps its own limits.
    public var harvest: Harvest?
    /// Whether replicas reserve almost no CPU, as a real node's do where a spec names limits alone: CPU is promised several times over.
    public var overcommits = false
    /// What such a replica reserves; see `FunctionSpec.requests`.
    static let overcommittedMillicores = 50

    public struct Harvest: Sendable {
        /// Whether a replica that starts takes up its user's CPU, or only a call that runs does.
        public var reservesForStarts = false
        /// Changes the settings that a node would have by itself.
        public var adjust: @Sendable (inout HarvesterSettings) -> Void
        /// Between two looks at what calls use.
        public var lookInterval: Duration
        /// Whether a call stands still at a lent memory limit instead of being killed.
        public var pausesAtLentLimit: Bool
        /// Whether nodes begin with what the functions' earlier calls have taught.
        public var isExperienced: Bool

        /// - Parameter lookInterval: that of the real node's watcher.
        public init(
            lookInterval: Duration = .milliseconds(4), pausesAtLentLimit: Bool = true, isExperienced: Bool = true,
            adjust: @escaping @Sendable (inout HarvesterSettings) -> Void = { _ in }
        ) {
            self.adjust = adjust
            self.lookInterval = lookInterval
            self.pausesAtLentLimit = pausesAtLentLimit
            self.isExperienced = isExperienced
        }
    }

    public init(_ name: String, sharing: CPUSharing = .quota, harvest: Harvest? = nil) {
        self.name = name
        self.sharing = sharing
        self.harvest = harvest
    }

    func settings(capacity: Resources, experience: Profiler?) -> HarvesterSettings? {
        guard let harvest else { return nil }
        var settings = HarvesterSettings(capacity: capacity)
        harvest.adjust(&settings)
        if harvest.isExperienced, var experience {
            experience.settings = settings.profiler
            settings.experience = experience
        }
        return settings
    }
}

extension ReplayPolicy {
    /// Each call its user's allocation (the paper's Default).
    public static let fixed = ReplayPolicy("static")
    /// The same, and no more calls at a time than the allocations have room for, as harvested calls are admitted: lending is all that
    /// harvesting adds to this one.
    public static let reserved = ReplayPolicy(
        "static",
        harvest: Harvest(isExperienced: false) {
            $0.profiler.callsBeforePrediction = .max
            $0.profiler.explores = false
        })
    public static let weights = ReplayPolicy("weights", sharing: .weights)
    /// Brume as it comes.
    public static let harvest = ReplayPolicy("harvest", harvest: Harvest())
    /// Lending, with weights instead of lowered quotas: a lender is never below its own allocation while it wants it.
    public static let harvestAndWeights = ReplayPolicy("harvest-weights", sharing: .both, harvest: Harvest())
    public static let withoutSafeguard = ReplayPolicy("no-safeguard", harvest: Harvest { $0.usesSafeguard = false })
    public static let withoutProfiler = ReplayPolicy("no-profiler", harvest: Harvest(isExperienced: false) { blind(&$0) })
    public static let withoutTopUp = ReplayPolicy("no-top-up", harvest: Harvest { $0.pool.topsUp = false })
    /// Admission by what calls are expected to use.
    public static let density = ReplayPolicy("density", harvest: Harvest { $0.admission = .predictedDemand })

    /// Brume for nodes that share CPU by weight: calls are admitted by the CPU they are expected to use on average, those that would end
    /// first begin first, idle CPU goes to whoever can use it, and memory is lent as in ``harvest``.
    public static let shared = ReplayPolicy(
        "density-weights", sharing: .weights,
        harvest: Harvest {
            $0.admission = .predictedUse
            $0.guardsCPU = false
        })

    /// Libra's policy on our engine: only what calls have reserved is lent, once, when a call begins, first come first served; the
    /// safeguard looks every 100 ms, memory beyond a lent limit kills, and amounts are whole cores and units of 128 MB, 8 of each at most.
    public static let libra = ReplayPolicy("libra", harvest: likeLibra { _ in })
    public static let libraWithoutSafeguard = ReplayPolicy("libra-ns", harvest: likeLibra { $0.usesSafeguard = false })
    public static let libraWithoutProfiler = ReplayPolicy("libra-np", harvest: likeLibra(experienced: false) { blind(&$0) })
    public static let libraWithoutBoth = ReplayPolicy(
        "libra-nsp",
        harvest: likeLibra(experienced: false) {
            blind(&$0)
            $0.usesSafeguard = false
        })

    /// Those of Brume, the opponents first.
    public static let brume = [
        fixed, weights, harvest, harvestAndWeights, withoutSafeguard, withoutProfiler, withoutTopUp, density, shared,
    ]

    /// The most of the latest five calls, as Libra does without its profiler.
    private static func blind(_ settings: inout HarvesterSettings) {
        settings.profiler.method = .recentMaximum
        settings.profiler.callsBeforePrediction = 1
    }

    public static func likeLibra(
        experienced: Bool = true, _ change: @escaping @Sendable (inout HarvesterSettings) -> Void
    ) -> Harvest {
        var harvest = Harvest(lookInterval: .milliseconds(100), pausesAtLentLimit: false, isExperienced: experienced) { settings in
            settings.pool.lendsUnreserved = false
            settings.pool.topsUp = false
            settings.pool.order = .arrival
            settings.waitingOrder = .arrival
            settings.profiler.explores = false
            settings.safeguard.cpuWindow = .milliseconds(100)
            // The paper stops harvesting memory of functions that trip often; its code never does.
            settings.safeguard.tripsMax = .max
            settings.units = Resources(millicores: 1000, memoryBytes: 128_000_000)
            settings.profiler.millicoresMax = 7999
            change(&settings)
        }
        harvest.reservesForStarts = true
        return harvest
    }
}
