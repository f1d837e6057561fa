// SPDX-License-Identifier: Apache-2.0

public import BrumeCRDT

/// When an expiry may be set.
public enum ExpiryCondition: Sendable, Hashable {
    case always
    /// Only where none is (`NX`).
    case ifNone
    /// Only where one is (`XX`).
    case ifSome
    /// Only where the new one is later; never is the latest (`GT`).
    case ifLater
    /// Only where the new one is sooner (`LT`).
    case ifSooner
}

/// When a key will be gone.
public enum KeyExpiry: Sendable, Hashable {
    /// There is no such key.
    case absent
    case never
    /// At that moment, in milliseconds since 1970.
    case at(Int64)
}

extension Replica {
    /// Deletes keys as far as they are known here, and answers how many there were. What is written elsewhere at the same time stays.
    public mutating func delete(_ keys: [ObjectKey], _ now: StateTime) -> Int {
        var count = 0
        for key in keys {
            guard let seen = visible(key, now) else { continue }
            let all = seen.flags.contains(.sibling) ? spaces[key.space.index].table.all(seen.hash, key.name) : [seen]
            for object in all where object.hasContent { remove(object, now) }
            count += 1
        }
        return count
    }

    public func exists(_ key: ObjectKey, _ now: StateTime) -> Bool { visible(key, now) != nil }

    public func kind(of key: ObjectKey, _ now: StateTime) -> ObjectKind? { visible(key, now)?.kind }

    /// A number that changes whenever the object does, on every node alike: for `ETag`s and optimistic checks. Nil if there is none.
    public func version(of key: ObjectKey, _ now: StateTime) -> UInt64? { visible(key, now)?.digest }

    /// Sets when a key shall be gone; a moment in the past deletes it. Answers whether it was set.
    ///
    /// - Parameter moment: milliseconds since 1970.
    public mutating func expire(
        _ key: ObjectKey, at moment: Int64, _ condition: ExpiryCondition, _ now: StateTime
    ) throws(StateError) -> Bool {
        guard let object = visible(key, now) else { return false }
        let before = object.expiry
        switch condition {
        case .always: break
        case .ifNone: if before != nil { return false }
        case .ifSome: if before == nil { return false }
        case .ifLater: guard let before, moment > before else { return false }
        case .ifSooner: if let before, moment >= before { return false }
        }
        if moment <= milliseconds(now) {
            _ = delete([key], now)
            return true
        }
        setExpiry(object, moment, now)
        return true
    }

    mutating func setExpiry(_ object: StateObject, _ moment: Int64, _ now: StateTime) {
        let side = object.makeSide()
        let stamp = stamp(now).after(max(object.overwritten, side.expiry?.stamp ?? .zero))
        side.expiry = Expiry(stamp: stamp, moment: moment)
        side.isDirty = true
        if moment >= 0 { schedule(object) }
        changed(object, stamp.time, now)
    }

    /// Lets a key stay for ever. Answers whether it had an expiry.
    public mutating func persist(_ key: ObjectKey, _ now: StateTime) -> Bool {
        guard let object = visible(key, now), object.expiry != nil else { return false }
        setExpiry(object, -1, now)
        return true
    }

    public func expiry(of key: ObjectKey, _ now: StateTime) -> KeyExpiry {
        guard let object = visible(key, now) else { return .absent }
        return object.expiry.map { .at($0) } ?? .never
    }

    /// Gives a key another name, in one batch: a copy, then a removal of what was seen. Answers false where `ifAbsent` forbids it.
    ///
    /// What is written to the old name elsewhere at the same time stays there.
    ///
    /// - Throws: `StateError` (`notFound`) without an object.
    public mutating func rename(_ from: ObjectKey, to: ObjectKey, ifAbsent: Bool, _ now: StateTime) throws(StateError) -> Bool {
        guard exists(from, now) else { throw StateError(.notFound, "There is no such key.") }
        if from == to { return !ifAbsent }
        if ifAbsent, exists(to, now) { return false }
        return try atomically { replica throws(StateError) in
            let copied = try replica.copy(from, to: to, replace: true, now)
            _ = replica.delete([from], now)
            return copied
        }
    }

    /// Copies an object to another key, with its expiry. Answers false where there is nothing to copy or `replace` forbids it.
    public mutating func copy(_ from: ObjectKey, to: ObjectKey, replace: Bool, _ now: StateTime) throws(StateError) -> Bool {
        guard let source = visible(from, now), from != to else { return false }
        let occupied = exists(to, now)
        guard replace || !occupied else { return false }
        if occupied { _ = delete([to], now) }
        let expiry = source.expiry
        try copyContent(source, to: to, now)
        if let expiry { _ = try expire(to, at: expiry, .always, now) }
        return true
    }

    /// Walks through the keys of a key space: begin with 0, go on with the answer, until it is 0.
    ///
    /// Every key that is there from the first call to the last is met; one that comes or goes meanwhile may or may not be; none is
    /// reported twice by one call. A call looks at `count` keys or one bucket more.
    public func scan(
        _ space: SpaceID, cursor: UInt64, count: Int, _ now: StateTime
    ) -> (next: UInt64, keys: [(name: Bytes, kind: ObjectKind)]) {
        let space = spaces[space.index]
        let moment = milliseconds(now)
        var keys: [(name: Bytes, kind: ObjectKind)] = []
        guard cursor < UInt64(ObjectTable.buckets) else { return (0, []) }
        var first = Int(cursor)
        while first < ObjectTable.buckets, keys.count < count {
            // Buckets that share a slot are taken at once, so that walking through a small table takes no longer than the table.
            let end = space.table.groupEnd(after: first)
            space.table.forEach(in: first..<end) { object in
                if isShown(object, in: space, at: moment) { keys.append((object.name, object.kind)) }
                return true
            }
            first = end
        }
        return (first < ObjectTable.buckets ? UInt64(first) : 0, keys)
    }

    /// Whether an object is what a reader of its key sees.
    private func isShown(_ object: StateObject, in space: Space, at moment: Int64) -> Bool {
        guard object.isVisible(at: moment) else { return false }
        guard object.flags.contains(.sibling) else { return true }
        return !space.table.all(object.hash, object.name).contains { $0.kind < object.kind && $0.isVisible(at: moment) }
    }

    /// The number of keys, those included whose expiry nobody noticed yet.
    public func size(of space: SpaceID) -> Int { spaces[space.index].count }

    /// Deletes every key of a key space as far as it is known here, and answers how many there were.
    public mutating func clear(_ space: SpaceID, _ now: StateTime) -> Int {
        var all: [StateObject] = []
        spaces[space.index].table.forEach { if $0.hasContent { all.append($0) } }
        for object in all { remove(object, now) }
        return all.count
    }

    /// Some key; nil where there is none.
    public mutating func sample(_ space: SpaceID, _ now: StateTime) -> Bytes? {
        let space = spaces[space.index]
        guard space.count > 0 else { return nil }
        let moment = milliseconds(now)
        // Most objects are visible, so a few draws find one; else the first will do.
        for _ in 0..<16 {
            if let object = space.table.object(near: random.next()), isShown(object, in: space, at: moment) { return object.name }
        }
        var found: Bytes?
        space.table.forEach(in: 0..<ObjectTable.buckets) { object in
            if isShown(object, in: space, at: moment) { found = object.name }
            return found == nil
        }
        return found
    }

    /// About how much memory an object takes; nil if there is none.
    public func memoryBytes(of key: ObjectKey, _ now: StateTime) -> Int? { visible(key, now)?.memoryBytes }
}
