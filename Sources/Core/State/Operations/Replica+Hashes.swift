// SPDX-License-Identifier: Apache-2.0

public import BrumeCRDT
import BrumeModel

extension Replica {
    /// Sets a field and answers whether it was absent. Of concurrent writers of one field the last one wins. O(1).
    public mutating func hashSet(
        _ key: ObjectKey, _ field: Bytes, _ value: Bytes, _ now: StateTime
    ) throws(StateError) -> Bool {
        if field.count + value.count > 256 { try checkField(field, value) }
        let object = try writing(key, HashContent.self, now)
        let time = clock.now(wall: now.wallMilliseconds)
        let isNew = unsafe unsafeDowncast(object, to: HashObject.self).set(field, to: value, at: time, by: site)
        changed(object, time, now)
        return isNew
    }

    private func checkField(_ field: Bytes, _ value: Bytes) throws(StateError) {
        try checkSize(field.count, "field")
        try checkSize(value.count, "value")
    }

    /// Sets fields and answers how many were absent.
    public mutating func hashSet(
        _ key: ObjectKey, _ fields: [(Bytes, Bytes)], _ now: StateTime
    ) throws(StateError) -> Int {
        guard !fields.isEmpty else { return 0 }
        for (field, value) in fields { try checkField(field, value) }
        let object = try writing(key, HashContent.self, now)
        let time = clock.now(wall: now.wallMilliseconds)
        let count = object.change { content, delta in
            fields.reduce(0) { $0 + (content.set($1.0, to: $1.1, at: time, by: site, into: &delta) ? 1 : 0) }
        }
        changed(object, time, now)
        return count
    }

    /// Sets a field that is absent and answers whether it was.
    public mutating func hashSetIfAbsent(
        _ key: ObjectKey, _ field: Bytes, _ value: Bytes, _ now: StateTime
    ) throws(StateError) -> Bool {
        if try hashContains(key, field, now) { return false }
        return try hashSet(key, field, value, now)
    }

    public func hashGet(_ key: ObjectKey, _ field: Bytes, _ now: StateTime) throws(StateError) -> Bytes? {
        try reading(key, HashContent.self, now)?.content.field(field)
    }

    public func hashContains(_ key: ObjectKey, _ field: Bytes, _ now: StateTime) throws(StateError) -> Bool {
        try reading(key, HashContent.self, now)?.content.store.contains(field) ?? false
    }

    public func hashCount(_ key: ObjectKey, _ now: StateTime) throws(StateError) -> Int {
        try reading(key, HashContent.self, now)?.content.store.count ?? 0
    }

    /// All fields with their values, in no promised order. O(n).
    public func hashAll(_ key: ObjectKey, _ now: StateTime) throws(StateError) -> [(field: Bytes, value: Bytes)] {
        guard let store = try reading(key, HashContent.self, now)?.content.store else { return [] }
        return (0..<store.count).compactMap { position in store.value(at: position).value.map { (store.key(at: position), $0) } }
    }

    /// The names of all fields, in no promised order. O(n).
    public func hashFields(_ key: ObjectKey, _ now: StateTime) throws(StateError) -> [Bytes] {
        try reading(key, HashContent.self, now)?.content.store.keys ?? []
    }

    /// Removes fields as far as they are known here, and answers how many there were.
    public mutating func hashRemove(_ key: ObjectKey, _ fields: [Bytes], _ now: StateTime) throws(StateError) -> Int {
        guard let object = try reading(key, HashContent.self, now) else { return 0 }
        let present = fields.filter { object.content.store.contains($0) }
        guard !present.isEmpty else { return 0 }
        let count = object.change { content, delta in
            present.reduce(0) { $0 + (content.removeField($1, into: &delta) ? 1 : 0) }
        }
        changed(object, clock.now(wall: now.wallMilliseconds), now)
        return count
    }

    /// Adds to a field and answers the sum. Concurrent additions all count. O(1).
    ///
    /// - Throws: `StateError`: `notInteger`, `overflow`, `wrongType`, `quota`; nothing is changed then.
    public mutating func hashIncrement(
        _ key: ObjectKey, _ field: Bytes, by amount: Int64, _ now: StateTime
    ) throws(StateError) -> Int64 {
        try checkSize(field.count, "field")
        let object = try writing(key, HashContent.self, now)
        do throws(CRDTError) {
            let sum = try object.change { content, delta throws(CRDTError) in
                try content.add(amount, to: field, by: site, into: &delta)
            }
            changed(object, clock.now(wall: now.wallMilliseconds), now)
            return sum
        } catch {
            throw StateError(error)
        }
    }

    /// Adds to a field that may have a fraction, and answers its text. Of concurrent additions the last one wins.
    public mutating func hashIncrement(
        _ key: ObjectKey, _ field: Bytes, by amount: Double, _ now: StateTime
    ) throws(StateError) -> Bytes {
        let before = try hashGet(key, field, now)
        guard let number = before.map({ $0.double }) ?? 0 else { throw .notNumber }
        guard let text = Bytes.sum(number, amount) else { throw .notFinite }
        _ = try hashSet(key, field, text, now)
        return text
    }

    /// Some fields at random, with their values: different ones, at most as many as there are, or with repetitions.
    public mutating func hashSample(
        _ key: ObjectKey, count: Int, distinct: Bool, _ now: StateTime
    ) throws(StateError) -> [(field: Bytes, value: Bytes)] {
        guard let store = try reading(key, HashContent.self, now)?.content.store, store.count > 0, count > 0 else { return [] }
        let total = store.count
        let positions = distinct ? drawPositions(min(count, total), of: total) : (0..<count).map { _ in random.below(total) }
        return positions.compactMap { position in store.value(at: position).value.map { (store.key(at: position), $0) } }
    }
}
