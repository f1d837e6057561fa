// SPDX-License-Identifier: Apache-2.0

/// Values by key, each in a place that stays the same while it lives.
///
/// A place that was looked up once is used without hashing again, and values are changed where they are: a dictionary would move
/// a large value out and back for every field that is set. There is no way to walk through it but by sorted keys.
struct Roster<Key: Hashable & Comparable & Sendable, Value: Sendable>: Sendable {
    private var places: [Key: Int] = [:]
    private var values: ContiguousArray<Value?> = []
    /// Places that may be taken again, so that memory is bounded by the most that lived at once.
    private var free: [Int] = []

    var count: Int { places.count }
    var sortedKeys: [Key] { places.keys.sorted() }

    func place(of key: Key) -> Int? { places[key] }

    /// Gives a new key a place. A key that is there already is a defect of the caller.
    mutating func insert(_ value: Value, for key: Key) {
        let place = free.popLast() ?? values.count
        let before = places.updateValue(place, forKey: key)
        precondition(before == nil, "\(key) was made twice")
        if place == values.count { values.append(value) } else { values[place] = value }
    }

    @discardableResult
    mutating func remove(_ key: Key) -> Value? {
        guard let place = places.removeValue(forKey: key) else { return nil }
        free.append(place)
        return values[place].take()
    }

    /// The value at a place that was looked up in the same step.
    ///
    /// Inlined by force, as the other one: what is lent across a call needs memory of its own, several times in each step.
    subscript(at place: Int) -> Value? {
        @inline(__always) _read { yield values[place] }
        @inline(__always) _modify { yield &values[place] }
    }

    /// The value of a key; it is changed in place, and never made or removed this way.
    subscript(key: Key) -> Value? {
        @inline(__always) _read {
            if let place = places[key] { yield values[place] } else { yield nil }
        }
        @inline(__always) _modify {
            if let place = places[key] {
                yield &values[place]
            } else {
                var nothing: Value?
                yield &nothing
            }
        }
    }
}
