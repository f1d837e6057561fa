// SPDX-License-Identifier: Apache-2.0

public import BrumeCRDT
public import BrumeModel

extension Replica {
    /// Merges, or answers, what another node sent. Bytes that make no sense are refused and counted, and change nothing.
    ///
    /// - Returns: whether what follows from it should be done at once; else ``wake`` tells when, and what waits for the log
    ///   (``hasOutputs``) may wait about as long as an acknowledgement.
    @discardableResult
    public mutating func receive(_ frame: [UInt8], from node: NodeID, _ now: StateTime) -> Bool {
        counts.receivedFrames += 1
        counts.receivedBytes += frame.count
        guard let version = frame.first, version <= Frame.version else {
            counts.refusedFrames += 1
            if let version = frame.first { outputs.append(.note(.newerPeer(node, version: version))) }
            return true
        }
        let before = (pulls.wanted.count, pulls.active.count)
        let peer = makePeer(node)
        // The link refuses its certificate; should a frame come all the same, it must not bring back what was deleted meanwhile.
        guard !peer.isRemoved else {
            counts.refusedFrames += 1
            counts.removedFrames += 1
            return false
        }
        do throws(DecodingFailure) {
            try take(frame, from: peer, now)
        } catch {
            counts.refusedFrames += 1
            outputs.append(.note(.refusedFrame(peer: node, reason: error.description)))
        }
        adoptPolicies()
        checkWaits(now)
        // A comparison that was asked for may begin, or one that ended made room for the next.
        if hasUrgentOutputs || before != (pulls.wanted.count, pulls.active.count) { return true }
        return find(node)?.tellsAt.map { $0 <= now.instant } ?? false
    }

    private mutating func take(_ frame: [UInt8], from peer: Peer, _ now: StateTime) throws(DecodingFailure) {
        var reader = ByteReader(frame)
        let head = try FrameHead(from: &reader)
        if !clock.observe(head.time, wall: now.wallMilliseconds) {
            counts.clocksAhead += 1
            let ahead = head.time.milliseconds - now.wallMilliseconds
            if counts.clocksAhead & (counts.clocksAhead - 1) == 0 {
                outputs.append(.note(.clockAhead(peer.node, milliseconds: ahead)))
            }
        }
        guard head.site != site else { return escapeDuplicate(peer.node, now) }
        peer.lastHeard = now.instant
        meet(peer, head.site, now)
        peer.version = max(peer.version, head.version)
        switch head.kind {
        case .batches: try takeBatches(from: peer, &reader, now)
        case .status: try takeStatus(from: peer, head, &reader, now)
        case .roots: try answerRoots(from: peer, &reader, now)
        case .tops: try takeTops(from: peer, &reader, now)
        case .leavesWanted: try answerLeaves(from: peer, &reader, now)
        case .leaves: try takeLeaves(from: peer, &reader, now)
        case .objectsWanted: try answerObjects(from: peer, naming: false, &reader, now)
        case .objects, .differences: try takeObjects(from: peer, head, &reader, now)
        case .hello: try takeHello(from: peer, &reader, now)
        case .differencesWanted: try answerObjects(from: peer, naming: true, &reader, now)
        case .lackingWanted: try answerLacking(from: peer, &reader, now)
        case .lacking: try takeLacking(from: peer, head, &reader, now)
        case .fetch, .fetchWanted: try answerFetch(from: peer, head, &reader, now)
        case .fetched, .fetchedWhole: try takeFetched(from: peer, head, &reader, now)
        case .fragment:
            if let whole = try takeFragment(from: peer, &reader) { try take(whole, from: peer, now) }
        case .leaseAsked, .leaseWanted, .ownershipWanted: try answerLease(from: peer, head, &reader, now)
        case .leaseAnswered, .leaseGiven, .ownershipGiven: try takeLease(from: peer, head, &reader, now)
        case .rightsAsked: try answerRights(from: peer, &reader, now)
        // Whoever is about to leave promises to keep nothing.
        case .releaseAsked: if handover == nil { try answerRelease(from: peer, &reader, now) }
        case .handoverWanted: try answerHandover(from: peer, &reader, now)
        case .handoverTaken: try takeHandover(from: peer, &reader, now)
        case .releaseAnswered: try takeRelease(from: peer, &reader, now)
        }
    }

    private func takeFragment(from peer: Peer, _ reader: inout ByteReader) throws(DecodingFailure) -> [UInt8]? {
        let message = try reader.varint()
        let index = try reader.varint()
        let count = try reader.varint()
        let length = try reader.count()
        let part = try reader.raw(length)
        try reader.finish()
        guard index < count, count <= UInt64(settings.messageBytesMax / Frame.fragmentBytes + 1) else { throw reader.failure(.impossible) }
        let whole = peer.assembly.take(
            message: message, index: Int(index), count: Int(count), part: part, bytesMax: settings.messageBytesMax)
        // A message within a message would let one frame stand for many.
        guard let whole, whole.count > 1, whole[1] != Frame.Kind.fragment.rawValue else { return nil }
        return whole
    }

    /// Takes note of a peer's incarnation.
    private mutating func meet(_ peer: Peer, _ site: SiteID, _ now: StateTime) {
        guard peer.site != site else { return }
        if let other = peers.first(where: { $0 !== peer && $0.site == site && $0.isUp }) {
            // Two nodes, one identity: both will find out from each other; here it is only told.
            outputs.append(.note(.duplicateIdentity(peer: other.node, incarnation: site.rawValue)))
            counts.duplicateIdentities += 1
        }
        let isRestart = peer.site != nil
        peer.site = site
        peer.forget()
        peer.forgetVersion()
        peer.assembly = Assembly()
        peer.statusDue = now.instant
        origins.update(site) { $0.node = peer.node }
        // What the earlier incarnation told only some of us must be told by those.
        if isRestart { membership.holdForAll() }
    }

    // MARK: Batches

    private mutating func takeBatches(from peer: Peer, _ reader: inout ByteReader, _ now: StateTime) throws(DecodingFailure) {
        guard let sender = peer.site else { return }
        _ = try reader.varint()
        let isUrgent = try reader.byte() == 1
        let count = try reader.count(entryBytes: 8)
        for _ in 0..<count {
            let previous = try reader.varint()
            let batch = try Batch(from: &reader)
            take(batch, after: previous, of: sender, now)
        }
        let bytes = reader.offset
        try reader.finish()
        let lacksSome = origins[sender]?.held.isEmpty == false
        peer.received(bytes, isUrgent: isUrgent || lacksSome, now.instant, settings: settings)
    }

    private mutating func take(_ batch: Batch, after previous: UInt64, of sender: SiteID, _ now: StateTime) {
        let received = origins.received(sender)
        guard batch.number > received else {
            counts.duplicateBatches += 1
            return
        }
        guard previous <= received else {
            hold(batch, after: previous, of: sender)
            return
        }
        apply(batch, of: sender, previous: previous, now)
        releaseHeld(of: sender, now)
    }

    private mutating func hold(_ batch: Batch, after previous: UInt64, of sender: SiteID) {
        counts.heldBatches += 1
        origins.update(sender) { origin in
            let index = origin.held.partitioningIndex { $0.batch.number >= batch.number }
            if index < origin.held.count, origin.held[index].batch.number == batch.number { return }
            let bytes = origin.held.reduce(batch.bytes) { $0 + $1.batch.bytes }
            guard origin.held.count < HeldBatch.countMax, bytes <= HeldBatch.bytesMax else { return }
            origin.held.insert(HeldBatch(previous: previous, batch: batch), at: index)
        }
    }

    mutating func releaseHeld(of sender: SiteID, _ now: StateTime) {
        while let origin = origins[sender], let next = origin.held.first, next.previous <= origin.received {
            origins.update(sender) { _ = $0.held.removeFirst() }
            if next.batch.number > origin.received { apply(next.batch, of: sender, previous: next.previous, now) }
        }
    }

    private mutating func apply(_ batch: Batch, of sender: SiteID, previous: UInt64, _ now: StateTime) {
        adopt(forgettable: batch.stable)
        var kept = batch
        kept.sections.removeAll { knownNamespace($0.namespace)?.interest.isHeld == false }
        do throws(DecodingFailure) {
            try merge(kept)
            counts.mergedBatches += 1
        } catch {
            // Sent again it would be no better: the comparison with this peer mends what can be mended.
            counts.refusedFrames += 1
            if let node = origins[sender]?.node {
                outputs.append(.note(.refusedFrame(peer: node, reason: error.description)))
                pulls.request(node, full: false)
            }
        }
        origins.update(sender) { $0.received = batch.number }
        log(kept, of: sender, previous: previous)
    }

    /// Merges a batch; one whose objects belong together only if all of it can be read.
    mutating func merge(_ batch: Batch) throws(DecodingFailure) {
        if batch.isAtomic {
            for section in batch.sections { try check(section: section.blob, of: section.namespace) }
        }
        var touched: [StateObject] = []
        for section in batch.sections {
            try merge(section: section.blob, of: section.namespace, time: batch.time, touched: &touched)
        }
        if batch.isAtomic { groups.add(touched, at: batch.time) }
    }

    // MARK: Identity

    /// Another node writes under this replica's identity. Both take a new one; what was written twice under the old stays as it fell.
    private mutating func escapeDuplicate(_ other: NodeID, _ now: StateTime) {
        guard other != node else { return }
        counts.duplicateIdentities += 1
        outputs.append(.note(.duplicateIdentity(peer: other, incarnation: site.rawValue)))
        reincarnate(as: SiteID(rawValue: random.next()), now)
    }

    /// Goes on under another identity; peers learn by comparing what the old one did not tell them.
    public mutating func reincarnate(as fresh: SiteID, _ now: StateTime) {
        flush(now)
        let last = nextBatch - 1
        origins.update(site) {
            $0.received = last
            $0.durable = last
            $0.node = node
        }
        site = fresh
        for namespace in namespaces { namespace.isWritten = false }
        nextBatch = 1
        floor = 0
        ring = BatchRing()
        for peer in peers {
            peer.forget()
            peer.statusDue = now.instant
        }
        waits.failMarks(StateError(.unavailable, "This node's state began a new incarnation; ask again."), into: &outputs)
        outputs.append(.incarnation(fresh.rawValue))
    }
}
