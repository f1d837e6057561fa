// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel

// What this replica asks. See Replica+Answers for the other side.

extension Replica {
    mutating func beginPulls(_ now: StateTime) {
        for index in pulls.active.indices.reversed() where pulls.active[index].deadline <= now.instant {
            let lost = pulls.active.remove(at: index)
            counts.lostPulls += 1
            pulls.request(lost.node, full: lost.isFull)
        }
        let up = peers.filter { $0.isUp && !$0.isBulkBlocked && $0.site != nil }.map(\.node)
        while let next = pulls.next(where: { up.contains($0) }) {
            guard let peer = find(next.node) else { continue }
            begin(with: peer, full: next.isFull, now)
        }
    }

    private mutating func begin(with peer: Peer, full: Bool, _ now: StateTime) {
        nextNonce += 1
        pulls.active.append(
            Pull(
                node: peer.node, nonce: nextNonce, first: nextNonce, isFull: full, startedAt: now.instant,
                deadline: now.instant + settings.repairTimeout))
        counts.pulls += 1
        sayHello(to: peer, now)
        var writer = Frame.writer(.roots, site: site, time: clock.now(wall: now.wallMilliseconds))
        writer.varint(nextNonce)
        interest.encode(into: &writer)
        let shared = spaces.filter { $0.namespace.interest.isHeld && $0.table.count > 0 }
        writer.count(shared.count)
        for space in shared {
            writer.string(Bytes(space.name.namespace))
            writer.count(space.name.database)
            writer.fixed(space.root)
        }
        transmit(writer.bytes, .bulk, to: peer)
    }

    mutating func takeTops(from peer: Peer, _ reader: inout ByteReader, _ now: StateTime) throws(DecodingFailure) {
        let nonce = try reader.varint()
        guard let index = pulls.index(peer.node, nonce) else { return }
        let vector = try VersionVector(from: &reader)
        let speaksForOthers = try reader.byte() == 1
        var tasks: [PullTask] = []
        for _ in 0..<(try reader.count(entryBytes: 8 * Space.topCount)) {
            let name = try reader.spaceName()
            let count = try reader.varint()
            var theirs: [UInt64] = []
            for _ in 0..<Space.topCount { theirs.append(try reader.fixed()) }
            guard knownNamespace(name.namespace)?.interest.isHeld ?? true else { continue }
            let mine = spaceNumbers[name].map { spaces[$0].currentTops() } ?? [UInt64](repeating: 0, count: Space.topCount)
            let differing = (0..<Space.topCount).filter { mine[$0] != theirs[$0] }
            guard !differing.isEmpty else { continue }
            let isSmall = count <= UInt64(Pulls.smallSpace) || spaceNumbers[name] == nil
            if isSmall {
                let ranges = differing.map { ($0 * Space.leavesPerTop)..<(($0 + 1) * Space.leavesPerTop) }
                tasks.append(.objects(name, ranges: Self.joined(ranges)))
            } else {
                tasks.append(.leaves(name, tops: differing))
            }
        }
        try reader.finish()
        pulls.active[index].vector = vector
        pulls.active[index].speaksForOthers = speaksForOthers
        pulls.active[index].tasks = tasks.reversed()
        askNext(index, now)
    }

    /// Joins ranges that touch.
    static func joined(_ ranges: [Range<Int>]) -> [Range<Int>] {
        var joined: [Range<Int>] = []
        for range in ranges {
            if let last = joined.last, last.upperBound == range.lowerBound {
                joined[joined.count - 1] = last.lowerBound..<range.upperBound
            } else {
                joined.append(range)
            }
        }
        return joined
    }

    mutating func askNext(_ index: Int, _ now: StateTime) {
        pulls.active[index].deadline = now.instant + settings.repairTimeout
        guard let peer = find(pulls.active[index].node) else { return }
        guard let task = pulls.active[index].tasks.popLast() else { return conclude(index, now) }
        // Each question has a number of its own: an answer that comes twice must not be taken for the answer to the next one.
        nextNonce += 1
        pulls.active[index].nonce = nextNonce
        let pull = pulls.active[index]
        pulls.active[index].asked = task
        switch task {
        case .leaves(let name, let tops):
            var writer = Frame.writer(.leavesWanted, site: site, time: clock.last)
            writer.varint(pull.nonce)
            writer.spaceName(name)
            writer.count(tops.count)
            for top in tops { writer.byte(UInt8(top)) }
            transmit(writer.bytes, .bulk, to: peer)
        case .objects(let name, let ranges):
            askObjects(index, pull.nonce, name, ranges, peer)
        case .lacking(let name, let addresses): askLacking(index, pull.nonce, name, addresses, peer)
        }
    }

    private mutating func askObjects(_ index: Int, _ nonce: UInt64, _ name: SpaceName, _ ranges: [Range<Int>], _ peer: Peer) {
        var listed: [StateObject] = []
        var asked: [Range<Int>] = []
        var rest = ranges
        if let number = spaceNumbers[name] {
            let space = spaces[number]
            space.refresh(limit: .max)
            while let range = rest.first, asked.isEmpty || listed.count < Pulls.entriesMax {
                // Buckets one by one, so that a question stays a question even in a full key space.
                let end = rest.count > 1 || range.count <= Space.leavesPerTop ? range.upperBound : range.lowerBound + Space.leavesPerTop
                let part = range.lowerBound..<end
                space.table.forEach(in: part) { object in
                    if object.contribution != 0 { listed.append(object) }
                    return true
                }
                asked.append(part)
                rest[0] = part.upperBound..<range.upperBound
                if rest[0].isEmpty { rest.removeFirst() }
            }
        } else {
            asked = ranges
            rest = []
        }
        if !rest.isEmpty { pulls.active[index].tasks.append(.objects(name, ranges: rest)) }
        pulls.active[index].asked = .objects(name, ranges: asked)
        var writer = Frame.writer(peer.version >= 2 ? .differencesWanted : .objectsWanted, site: site, time: clock.last)
        writer.varint(nonce)
        writer.byte(pulls.active[index].isFull ? 1 : 0)
        writer.spaceName(name)
        writer.count(asked.count)
        for range in asked {
            writer.count(range.lowerBound)
            writer.count(range.upperBound)
        }
        writer.count(listed.count)
        for object in listed {
            ObjectAddress(object).encode(into: &writer)
            writer.fixed(object.contribution)
        }
        transmit(writer.bytes, .bulk, to: peer)
    }

    mutating func takeLeaves(from peer: Peer, _ reader: inout ByteReader, _ now: StateTime) throws(DecodingFailure) {
        let nonce = try reader.varint()
        guard let index = pulls.index(peer.node, nonce), case .leaves(let name, _) = pulls.active[index].asked else { return }
        var ranges: [Range<Int>] = []
        for _ in 0..<(try reader.count(entryBytes: 1 + 8 * Space.leavesPerTop)) {
            let top = Int(try reader.byte())
            guard top < Space.topCount else { throw reader.failure(.impossible) }
            let mine = spaceNumbers[name].map { spaces[$0].leaves(of: top) } ?? []
            for leaf in 0..<Space.leavesPerTop {
                let theirs = try reader.fixed()
                let bucket = top * Space.leavesPerTop + leaf
                if mine.isEmpty || mine[leaf] != theirs { ranges.append(bucket..<(bucket + 1)) }
            }
        }
        try reader.finish()
        if !ranges.isEmpty { pulls.active[index].tasks.append(.objects(name, ranges: Self.joined(ranges))) }
        askNext(index, now)
    }

    mutating func takeObjects(from peer: Peer, _ head: FrameHead, _ reader: inout ByteReader, _ now: StateTime) throws(DecodingFailure) {
        let nonce = try reader.varint()
        guard let index = pulls.index(peer.node, nonce), case .objects(let name, let ranges) = pulls.active[index].asked else { return }
        let isPartial = try reader.byte() == 1
        let next = try reader.varint()
        let batch = try Batch(from: &reader)
        var large: [ObjectAddress] = []
        var groups: [NamedGroup] = []
        if head.kind == .differences {
            for _ in 0..<(try reader.count(entryBytes: 9)) { large.append(try ObjectAddress(from: &reader)) }
            groups = try NamedGroup.decode(from: &reader)
            noteShown(try VersionVector(from: &reader))
        }
        try reader.finish()
        try mergeAnswer(batch, head, groups)
        pulls.active[index].isPartial = pulls.active[index].isPartial || isPartial
        if next < UInt64(ObjectTable.buckets) {
            let rest = ranges.compactMap { range in
                let lower = max(range.lowerBound, Int(next))
                return lower < range.upperBound ? lower..<range.upperBound : nil
            }
            if !rest.isEmpty { pulls.active[index].tasks.append(.objects(name, ranges: rest)) }
        }
        if !large.isEmpty { pulls.active[index].tasks.append(.lacking(name, large)) }
        askNext(index, now)
    }

    /// Merges objects that were asked for, and remembers which of them belong together.
    mutating func mergeAnswer(_ batch: Batch, _ head: FrameHead, _ groups: [NamedGroup] = []) throws(DecodingFailure) {
        adopt(forgettable: batch.stable)
        var kept = batch
        kept.time = head.time
        kept.isAtomic = true
        kept.sections.removeAll { knownNamespace($0.namespace)?.interest.isHeld == false }
        var touched: [StateObject] = []
        for section in kept.sections { try check(section: section.blob, of: section.namespace) }
        for section in kept.sections {
            try merge(section: section.blob, of: section.namespace, time: kept.time, isAnswer: true, touched: &touched)
        }
        counts.pulledObjects += touched.count
        adopt(groups)
        log(sections: kept.sections, time: kept.time)
        log(groups)
    }

    /// All that differed is merged: so far as the peer had come when it began to answer, this replica has come too.
    private mutating func conclude(_ index: Int, _ now: StateTime) {
        let pull = pulls.active.remove(at: index)
        guard !pull.isPartial, let peer = find(pull.node) else { return }
        counts.concludedPulls += 1
        defer { noteTakeover(pull) }
        var news = VersionVector()
        for entry in pull.vector.entries where entry.site != site && entry.sequence > origins.received(entry.site) {
            // A peer's own batches are all there; those of others only where it keeps what this replica keeps.
            guard pull.speaksForOthers || entry.site == peer.site else { continue }
            origins.update(entry.site) { origin in
                origin.received = entry.sequence
                origin.held.removeAll { $0.batch.number <= entry.sequence }
            }
            news[entry.site] = entry.sequence
        }
        if !news.isEmpty {
            logReceived(news)
            for entry in news.entries {
                releaseHeld(of: entry.site, now)
                // Its origin may keep batches, or hold new ones back, until it hears of this.
                if let node = origins[entry.site]?.node { find(node)?.statusDue = now.instant }
            }
        }
        membership.release(pull.node)
        noteFilled(by: peer, pull)
        peer.statusDue = now.instant
        checkWaits(now)
    }
}

extension ByteWriter {
    mutating func spaceName(_ name: SpaceName) {
        string(Bytes(name.namespace))
        count(name.database)
    }
}

extension ByteReader {
    mutating func spaceName() throws(DecodingFailure) -> SpaceName {
        let namespace = try string().text
        let database = Int(clamping: try varint())
        do throws(StateError) {
            return try SpaceName(any: namespace, database: database)
        } catch {
            throw failure(.impossible)
        }
    }
}
