// SPDX-License-Identifier: Apache-2.0

/// What a replica has done since it began, for metrics.
public struct StateCounts: Sendable, Hashable {
    /// Batches made, and objects in them.
    public var batches = 0
    public var flushedObjects = 0
    /// Batches and frames handed to the link, and their bytes.
    public var sentBatches = 0
    public var sentFrames = 0
    public var sentStatuses = 0
    public var sentBytes = 0
    public var resentBatches = 0
    public var resendRounds = 0
    /// Frames that came, and their bytes; batches merged, known already, or ahead of their turn.
    public var receivedFrames = 0
    public var receivedBytes = 0
    public var mergedBatches = 0
    public var duplicateBatches = 0
    public var heldBatches = 0
    /// Frames that made no sense.
    public var refusedFrames = 0
    /// Frames of nodes that were removed from the cluster.
    public var removedFrames = 0
    /// Content of an epoch that is over.
    public var refusedEpochs = 0
    /// Comparisons begun, ended with everything merged, and given up; objects they brought and gave.
    public var pulls = 0
    public var concludedPulls = 0
    public var lostPulls = 0
    public var pulledObjects = 0
    public var answeredObjects = 0
    /// Objects of which only what a peer lacked was given.
    public var answeredDifferences = 0
    /// Peers for which batches were not kept long enough.
    public var lapsedPeers = 0
    public var duplicateIdentities = 0
    public var clocksAhead = 0
    /// Keys that two nodes made with two kinds.
    public var kindConflicts = 0
    public var expired = 0
    /// Objects without content that were forgotten.
    public var collected = 0
    /// Removed parts of lists, texts and remove-wins sets that were forgotten.
    public var collectedRests = 0
    /// Answers to questions that told of what had ended meanwhile.
    public var lateAnswers = 0
    /// Namespaces that this node began to keep, because of a use or a policy, and pulled from others; and those that it dropped.
    public var takenUpNamespaces = 0
    public var droppedNamespaces = 0
    public var transfers = 0

    public init() {}
}

/// What a replica holds.
public struct StateFigures: Sendable, Hashable {
    public var objects = 0
    /// Objects without content that are kept until everybody knows.
    public var shells = 0
    /// Approximate.
    public var bytes = 0
    public var spaces = 0
    /// Namespaces that this node keeps; of those, how many a policy or a user holds here, and how many have still to come.
    public var keptNamespaces = 0
    public var pinnedNamespaces = 0
    public var unfilledNamespaces = 0
    public var peersUp = 0
    /// Batches that some peer lacks, and their bytes.
    public var pendingBatches = 0
    public var pendingBytes = 0
    public var waits = 0
}

extension Replica {
    /// What this replica holds now.
    public var figures: StateFigures {
        var figures = StateFigures()
        figures.spaces = spaces.count
        for space in spaces {
            figures.objects += space.count
            figures.shells += space.table.count - space.count
        }
        for namespace in namespaces {
            figures.bytes += namespace.bytes
            let interest = namespace.interest
            guard interest.isHeld, !namespace.isOwn else { continue }
            figures.keptNamespaces += 1
            if interest.isPinned || interest.users > 0 { figures.pinnedNamespaces += 1 }
            if !interest.isFilled { figures.unfilledNamespaces += 1 }
        }
        figures.peersUp = peers.filter(\.isUp).count
        figures.pendingBatches = ring.batches.count
        figures.pendingBytes = ring.bytes
        figures.waits = waits.count
        return figures
    }

    /// Objects and bytes of a key space's namespace, as its quotas count them.
    public func usage(of space: SpaceID) -> (objects: Int, bytes: Int) {
        let namespace = spaces[space.index].namespace
        return (namespace.objects, namespace.bytes)
    }

    /// A digest of everything that readers see: equal on two replicas that hold the same.
    public func digest() -> UInt64 {
        var sum: UInt64 = 0
        for space in spaces where space.table.count > 0 {
            let root = space.currentTops().reduce(0, &+)
            sum &+= root &* (space.seed | 1)
        }
        return sum
    }
}
