// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel

/// How far this replica has come with one incarnation's batches.
struct Origin {
    let site: SiteID
    /// The node whose incarnation it is, if that is known.
    var node: NodeID?
    /// All batches that concern this replica were merged up to here.
    var received: UInt64 = 0
    /// The last batch that was made when its origin said that everything up to ``tip`` is all that concerns this replica: what came after
    /// ``received`` up to here does not.
    var last: UInt64 = 0
    /// The same as `received`, and they are in the log on disk as far as their namespaces ask for it.
    var durable: UInt64 = 0
    /// Everything that the incarnation did before this moment is merged here, and durable.
    var known = HybridTime.zero
    /// The last batch that concerns this replica, as the origin says, and the moment of its saying.
    var tip: UInt64 = 0
    var tipTime = HybridTime.zero
    /// Batches that came before their predecessors.
    var held: [HeldBatch] = []
    /// Whether the origin heard of the gap.
    var isGapTold = false
}

/// A batch that waits for its predecessors.
struct HeldBatch {
    /// Batches that are held of one origin: what a link may have in flight while one frame is repeated.
    static let countMax = 256
    static let bytesMax = 8 << 20

    let previous: UInt64
    let batch: Batch
}

/// All incarnations of which something was received, by site.
struct Origins {
    private(set) var list: [Origin] = []

    private func position(_ site: SiteID) -> Int { list.partitioningIndex { $0.site >= site } }

    subscript(site: SiteID) -> Origin? {
        let index = position(site)
        return index < list.count && list[index].site == site ? list[index] : nil
    }

    func received(_ site: SiteID) -> UInt64 { self[site]?.received ?? 0 }

    /// Up to which batch this replica has all that concerns it; it may never get those that do not.
    func reached(_ site: SiteID) -> UInt64 {
        guard let origin = self[site] else { return 0 }
        return origin.received >= origin.tip ? max(origin.received, origin.last) : origin.received
    }

    /// Changes the entry of the site, made if need be.
    mutating func update<Result>(_ site: SiteID, _ body: (inout Origin) -> Result) -> Result {
        let index = position(site)
        if index == list.count || list[index].site != site { list.insert(Origin(site: site), at: index) }
        return body(&list[index])
    }

    mutating func remove(_ site: SiteID) {
        let index = position(site)
        if index < list.count, list[index].site == site { list.remove(at: index) }
    }

    /// What was received of whom.
    var vector: VersionVector {
        var vector = VersionVector()
        for origin in list where origin.received > 0 { vector[origin.site] = origin.received }
        return vector
    }
}
