// SPDX-License-Identifier: Apache-2.0

public import BrumeCRDT
import BrumeModel

extension Replica {
    /// Adds a member to a set and answers whether it was absent. Adding wins over a removal elsewhere at the same time. O(1).
    public mutating func setAdd(_ key: ObjectKey, _ member: Bytes, _ now: StateTime) throws(StateError) -> Bool {
        if member.count > 256 { try checkSize(member.count, "member") }
        let object = try writing(key, SetContent.self, now)
        if unsafe unsafeDowncast(object, to: SetObject.self).isAdded(member, by: site) { return false }
        let isNew = object.change { content, delta in content.add(member, by: site, into: &delta) }
        changed(object, clock.now(wall: now.wallMilliseconds), now)
        return isNew
    }

    /// Adds members and answers how many were absent.
    public mutating func setAdd(_ key: ObjectKey, _ members: [Bytes], _ now: StateTime) throws(StateError) -> Int {
        guard !members.isEmpty else { return 0 }
        for member in members { try checkSize(member.count, "member") }
        let object = try writing(key, SetContent.self, now)
        let count = object.change { content, delta in
            members.reduce(0) { $0 + (content.add($1, by: site, into: &delta) ? 1 : 0) }
        }
        changed(object, clock.now(wall: now.wallMilliseconds), now)
        return count
    }

    /// Removes members as far as they are known here, and answers how many there were.
    public mutating func setRemove(_ key: ObjectKey, _ members: [Bytes], _ now: StateTime) throws(StateError) -> Int {
        guard let object = try reading(key, SetContent.self, now) else { return 0 }
        let present = members.filter { object.content.contains($0) }
        guard !present.isEmpty else { return 0 }
        let count = object.change { content, delta in
            present.reduce(0) { $0 + (content.remove($1, into: &delta) ? 1 : 0) }
        }
        changed(object, clock.now(wall: now.wallMilliseconds), now)
        return count
    }

    public func setContains(_ key: ObjectKey, _ member: Bytes, _ now: StateTime) throws(StateError) -> Bool {
        try reading(key, SetContent.self, now)?.content.contains(member) ?? false
    }

    public func setCount(_ key: ObjectKey, _ now: StateTime) throws(StateError) -> Int {
        try reading(key, SetContent.self, now)?.content.count ?? 0
    }

    /// All members, in no promised order. O(n).
    public func setMembers(_ key: ObjectKey, _ now: StateTime) throws(StateError) -> [Bytes] {
        try reading(key, SetContent.self, now)?.content.elements ?? []
    }

    /// Some members at random: different ones, at most as many as there are, or with repetitions.
    public mutating func setSample(
        _ key: ObjectKey, count: Int, distinct: Bool, _ now: StateTime
    ) throws(StateError) -> [Bytes] {
        guard let object = try reading(key, SetContent.self, now), object.content.count > 0, count > 0 else { return [] }
        let total = object.content.count
        guard distinct else { return (0..<count).map { _ in object.content.store.element(at: random.below(total)) } }
        return drawPositions(min(count, total), of: total).map { object.content.store.element(at: $0) }
    }

    /// Different positions at random.
    mutating func drawPositions(_ count: Int, of total: Int) -> [Int] {
        if count * 2 >= total { return Array(0..<total).shuffled(using: &random).prefix(count).map { $0 } }
        var drawn: Set<Int> = []
        var positions: [Int] = []
        while positions.count < count {
            let position = random.below(total)
            if drawn.insert(position).inserted { positions.append(position) }
        }
        return positions
    }

    /// Takes some members away at random and answers them. Two nodes may take the same one at the same time.
    public mutating func setPop(_ key: ObjectKey, count: Int, _ now: StateTime) throws(StateError) -> [Bytes] {
        let taken = try setSample(key, count: count, distinct: true, now)
        _ = try setRemove(key, taken, now)
        return taken
    }

    /// Moves a member from one set to another, in one batch. Answers whether it was there.
    public mutating func setMove(
        _ from: ObjectKey, to: ObjectKey, _ member: Bytes, _ now: StateTime
    ) throws(StateError) -> Bool {
        guard try setContains(from, member, now) else { return false }
        // Read first: an object of another kind at the target must not cost the member.
        _ = try setCount(to, now)
        return try atomically { replica throws(StateError) in
            if from == to { return true }
            _ = try replica.setRemove(from, [member], now)
            _ = try replica.setAdd(to, member, now)
            return true
        }
    }

    /// Makes a set of exactly these members under a key, whatever was there; an empty list deletes the key. Answers how many there are.
    public mutating func setReplace(_ key: ObjectKey, _ members: [Bytes], _ now: StateTime) throws(StateError) -> Int {
        try atomically { replica throws(StateError) in
            _ = replica.delete([key], now)
            return try replica.setAdd(key, members, now)
        }
    }
}
