// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel

// What this replica answers to others that compare. Every answer follows from the question alone.

extension Replica {
    mutating func answerRoots(from peer: Peer, _ reader: inout ByteReader, _ now: StateTime) throws(DecodingFailure) {
        let nonce = try reader.varint()
        let wanted = try PeerInterest(from: &reader)
        var roots: [SpaceName: UInt64] = [:]
        for _ in 0..<(try reader.count(entryBytes: 10)) {
            let name = try reader.spaceName()
            roots[name] = try reader.fixed()
        }
        try reader.finish()
        learn(wanted, of: peer)
        // What was written and not flushed is compared too, and the vector below must not promise less than the answer holds.
        if isDirty { flush(now) }
        let shared = spaces.filter { peer.interest.keeps($0.name.namespace) && $0.namespace.interest.isHeld && $0.table.count > 0 }
        let differing = shared.filter { roots[$0.name] ?? 0 != $0.root }
        var writer = Frame.writer(.tops, site: site, time: clock.now(wall: now.wallMilliseconds))
        writer.varint(nonce)
        writer.value(currentVector)
        writer.byte(holdsAll(of: peer.interest) ? 1 : 0)
        writer.count(differing.count)
        for space in differing {
            writer.spaceName(space.name)
            writer.count(space.table.count)
            for digest in space.currentTops() { writer.fixed(digest) }
        }
        transmit(writer.bytes, .bulk, to: peer)
    }

    /// Whether this replica keeps all namespaces, completely, that the other one keeps.
    private func holdsAll(of wanted: PeerInterest) -> Bool {
        if wanted.others, !interest.others { return false }
        return membership.holds.isEmpty
            && namespaces.allSatisfy { !wanted.keeps($0.name) || $0.interest.isHeld && $0.interest.isFilled }
            && wanted.named.allSatisfy { !$0.isKept || interest.keeps($0.namespace) }
    }

    mutating func answerLeaves(from peer: Peer, _ reader: inout ByteReader, _ now: StateTime) throws(DecodingFailure) {
        let nonce = try reader.varint()
        let name = try reader.spaceName()
        var tops: [Int] = []
        for _ in 0..<(try reader.count()) {
            let top = Int(try reader.byte())
            guard top < Space.topCount, tops.last ?? -1 < top else { throw reader.failure(.impossible) }
            tops.append(top)
        }
        try reader.finish()
        var writer = Frame.writer(.leaves, site: site, time: clock.now(wall: now.wallMilliseconds))
        writer.varint(nonce)
        let known = spaceNumbers[name].map { spaces[$0] }
        writer.count(known == nil ? 0 : tops.count)
        if let known {
            for top in tops {
                writer.byte(UInt8(top))
                for digest in known.leaves(of: top) { writer.fixed(digest) }
            }
        }
        transmit(writer.bytes, .bulk, to: peer)
    }

    /// Answers with the objects that differ; of large ones that the asker has too, only with their names if it asks for that.
    mutating func answerObjects(
        from peer: Peer, naming: Bool, _ reader: inout ByteReader, _ now: StateTime
    ) throws(DecodingFailure) {
        let nonce = try reader.varint()
        let isFull = try reader.byte() == 1
        let name = try reader.spaceName()
        var ranges: [Range<Int>] = []
        for _ in 0..<(try reader.count(entryBytes: 2)) {
            let lower = try reader.varint()
            let upper = try reader.varint()
            guard lower < upper, upper <= UInt64(ObjectTable.buckets), ranges.last?.upperBound ?? 0 <= Int(lower) else {
                throw reader.failure(.impossible)
            }
            ranges.append(Int(lower)..<Int(upper))
        }
        var listed: [ObjectAddress: UInt64] = [:]
        for _ in 0..<(try reader.count(entryBytes: 17)) {
            let address = try ObjectAddress(from: &reader)
            listed[address] = try reader.fixed()
        }
        try reader.finish()
        var answer = Answer()
        if peer.interest.keeps(name.namespace), let number = spaceNumbers[name] {
            collect(from: spaces[number], ranges, listed, naming: naming, isFull: isFull, now, into: &answer)
        }
        var writer = Frame.writer(naming ? .differences : .objects, site: site, time: clock.now(wall: now.wallMilliseconds))
        writer.varint(nonce)
        writer.byte(answer.isPartial ? 1 : 0)
        writer.count(answer.next)
        batch(of: answer.objects, peer).encode(into: &writer) { _ in true }
        if naming {
            writer.count(answer.large.count)
            for address in answer.large { address.encode(into: &writer) }
            encodeCompany(of: answer.objects, peer.interest, into: &writer)
        }
        counts.answeredObjects += answer.objects.count
        transmit(writer.bytes, .bulk, to: peer)
    }

    private struct Answer {
        var objects: [StateObject] = []
        /// Objects of which the asker shall tell first what it has seen.
        var large: [ObjectAddress] = []
        /// The bucket to go on with, or their number when all were looked at.
        var next = ObjectTable.buckets
        /// Whether something was left out because it changes at this moment.
        var isPartial = false
    }

    private func collect(
        from space: Space, _ ranges: [Range<Int>], _ listed: [ObjectAddress: UInt64], naming: Bool, isFull: Bool, _ now: StateTime,
        into answer: inout Answer
    ) {
        space.refresh(limit: .max)
        let recent = HybridTime(milliseconds: UInt64(max(0, milliseconds(now) - Self.recentMilliseconds)))
        var bytes = 0
        for range in ranges {
            var first = range.lowerBound
            while first < range.upperBound {
                guard bytes < settings.repairBytes else {
                    answer.next = first
                    return
                }
                let end = min(range.upperBound, space.table.groupEnd(after: first))
                space.table.forEach(in: first..<end) { object in
                    let theirs = listed[ObjectAddress(object)]
                    guard theirs ?? 0 != object.contribution else { return true }
                    if !isFull, object.updated > recent {
                        answer.isPartial = true
                    } else if naming, theirs != nil, isNamedOnly(object) {
                        answer.large.append(ObjectAddress(object))
                    } else {
                        answer.objects.append(object)
                        bytes += object.memoryBytes
                    }
                    return true
                }
                first = end
            }
        }
    }

    /// What changed within this time is on its way as a delta, most likely.
    private static let recentMilliseconds: Int64 = 1_000

    /// Objects, with those that must be seen together with them, as they are now.
    mutating func batch(of objects: [StateObject], _ peer: Peer, seen: SeenParts = SeenParts()) -> Batch {
        var chosen = groups.isEmpty ? objects : groups.closed(objects)
        chosen.removeAll { $0.flags.contains(.dropped) || !peer.interest.keeps(spaces[Int($0.space)].name.namespace) }
        chosen.sort { left, right in
            let one = spaces[Int(left.space)].name
            let other = spaces[Int(right.space)].name
            return one == other ? (left.hash, left.kind) < (right.hash, right.kind) : one < other
        }
        var sections: [BatchSection] = []
        var index = 0
        while index < chosen.count {
            let namespace = spaces[Int(chosen[index].space)].namespace
            var end = index
            while end < chosen.count, spaces[Int(chosen[end].space)].namespace === namespace { end += 1 }
            sections.append(BatchSection(namespace: namespace.name, blob: encodeWhole(chosen[index..<end], seen)))
            index = end
        }
        return Batch(number: 1, time: clock.last, stable: forgettable, isAtomic: false, sections: sections)
    }

    /// Objects of one namespace, by key space; of those of which somebody has seen a part, the rest.
    private func encodeWhole(_ objects: ArraySlice<StateObject>, _ seen: SeenParts) -> [UInt8] {
        var groups: [ArraySlice<StateObject>] = []
        var rest = objects
        while let first = rest.first {
            let group = rest.prefix { $0.space == first.space }
            groups.append(group)
            rest = rest.dropFirst(group.count)
        }
        var writer = ByteWriter()
        writer.count(groups.count)
        for group in groups {
            guard let first = group.first else { continue }
            writer.count(spaces[Int(first.space)].name.database)
            writer.count(group.count)
            for object in group { encode(object, lacking: seen[object], into: &writer) }
        }
        return writer.bytes
    }

    // MARK: Single objects

    /// Writes what goes with objects of an answer: which of them belong together, and what their reader has seen.
    func encodeCompany(of objects: [StateObject], _ interest: PeerInterest, into writer: inout ByteWriter) {
        NamedGroup.encode(namedGroups(of: objects) { interest.keeps($0) }, into: &writer)
        writer.value(shownVector)
    }

    mutating func answerFetch(from peer: Peer, _ head: FrameHead, _ reader: inout ByteReader, _ now: StateTime) throws(DecodingFailure) {
        let nonce = try reader.varint()
        var objects: [StateObject] = []
        var holdsAll = true
        for _ in 0..<(try reader.count(entryBytes: 4)) {
            let name = try reader.spaceName()
            let key = try reader.string()
            let isHeld = vouches(for: name.namespace)
            holdsAll = holdsAll && isHeld
            if let number = spaceNumbers[name] {
                let space = spaces[number]
                objects += space.table.all(space.hash(key), key)
            }
        }
        try reader.finish()
        if isDirty { flush(now) }
        let isWhole = head.kind == .fetchWanted
        var writer = Frame.writer(isWhole ? .fetchedWhole : .fetched, site: site, time: clock.now(wall: now.wallMilliseconds))
        writer.varint(nonce)
        writer.byte(holdsAll ? 1 : 0)
        // Asking for a key is using its namespace, whether the announcement came or not.
        let asker = Peer(node: peer.node, settings: settings)
        asker.interest = PeerInterest()
        batch(of: objects, asker).encode(into: &writer) { _ in true }
        if isWhole { encodeCompany(of: objects, asker.interest, into: &writer) }
        transmit(writer.bytes, .state, to: peer)
    }

    /// Reads what goes with objects, where the peer says it, up to the end of the message.
    mutating func takeCompany(_ isThere: Bool, _ reader: inout ByteReader) throws(DecodingFailure) -> [NamedGroup] {
        guard isThere else {
            try reader.finish()
            return []
        }
        let groups = try NamedGroup.decode(from: &reader)
        let shown = try VersionVector(from: &reader)
        try reader.finish()
        noteShown(shown)
        return groups
    }

    mutating func takeFetched(from peer: Peer, _ head: FrameHead, _ reader: inout ByteReader, _ now: StateTime) throws(DecodingFailure) {
        let nonce = try reader.varint()
        let isHeld = try reader.byte() == 1
        guard waits.expects(nonce, from: peer.node) else { return }
        let batch = try Batch(from: &reader)
        let groups = try takeCompany(head.kind == .fetchedWhole, &reader)
        try mergeAnswer(batch, head, groups)
        waits.answered(nonce, by: peer.node, isHeld: isHeld)
    }
}
