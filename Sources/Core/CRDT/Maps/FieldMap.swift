// SPDX-License-Identifier: Apache-2.0

/// What a Redis hash is: fields that are set, counted on and removed.
public typealias FieldMap = ORMap<FieldRegister>

extension ORMap where Value == FieldRegister {
    private static func mark(_ hash: UInt64, _ value: FieldRegister) -> UInt64 { Mixing.hash(hash, value.digest, seed: 5) }

    /// Sets a field in place: what ``update(_:context:into:_:)`` would do, at a third of its price. Returns whether it was absent.
    @discardableResult
    mutating func set(
        _ name: Bytes, to value: Bytes, at time: HybridTime, by site: SiteID, context: inout CausalContext, into delta: inout Causal<ORMap>
    ) -> Bool {
        let dot = context.next(for: site)
        delta.context.insert(dot)
        let place = table.look(name)
        var stamp = Stamp(time: time, site: site)
        if let position = place.position {
            if let latest = table[position].value.latest?.stamp { stamp = stamp.after(latest) }
            table[position].value.writes.forEach { entry in
                delta.context.insert(entry.dot)
                if index != nil { index?.remove(entry.dot, at: position) }
            }
        }
        let register = FieldRegister(dot, .set(stamp.time, value))
        let hash = stableHash(name)
        let mark = Self.mark(hash, register)
        assign(register, name, hash, mark, at: place)
        if index != nil { index?.insert(dot, at: place.position ?? table.count - 1) }
        delta.store.index = nil
        delta.store.assign(register, name, hash, mark, at: delta.store.table.look(name))
        return place.position == nil
    }

    /// Sets a field once more whose only write is one of the site after its `number`th, under the dot of that write and in the delta
    /// alike: a third of the price of another write. Returns false, having done nothing, where the field is not so.
    mutating func setAgain(
        _ name: Bytes, to value: Bytes, at time: HybridTime, by site: SiteID, after number: UInt64, into delta: inout Causal<ORMap>
    ) -> Bool {
        guard let position = table.find(name), let write = table[position].value.writes.only, case .set(let last, _) = write.value,
            write.dot.site == site, write.dot.sequence > number, let place = delta.store.table.find(name),
            delta.store.table[place].value.writes.only?.dot == write.dot
        else { return false }
        let stamp = Stamp(time: time, site: site).after(Stamp(time: last, site: site))
        let register = FieldRegister(write.dot, .set(stamp.time, value))
        let hash = stableHash(name)
        // Both hold the same write.
        let change = Self.mark(hash, register) &- Self.mark(hash, table[position].value)
        digest &+= change
        table[position].value = register
        delta.store.digest &+= change
        delta.store.table[place].value = register
        return true
    }

    private mutating func assign(
        _ register: FieldRegister, _ name: Bytes, _ hash: UInt64, _ mark: UInt64, at place: KeyTable<Entry>.Place
    ) {
        digest &+= mark
        if let position = place.position {
            digest &-= Self.mark(hash, table[position].value)
            table[position].value = register
        } else {
            table.append(Entry(key: name, value: register), at: place)
        }
    }
}

extension Causal where Store == FieldMap {
    public func field(_ name: Bytes) -> Bytes? { store[name]?.value }

    /// Sets a field and joins the delta to `delta`. Returns whether it was absent. O(1).
    @discardableResult
    public mutating func set(_ name: Bytes, to value: Bytes, at time: HybridTime, by site: SiteID, into delta: inout Causal) -> Bool {
        store.set(name, to: value, at: time, by: site, context: &context, into: &delta)
    }

    /// Sets a field once more that the site has set after its `number`th write, where nobody can know of any write after that one: the
    /// value takes the place of the one before, under its dot. Returns false, having done nothing, where the field was not set so. O(1).
    ///
    /// - Parameter delta: what ``set(_:to:at:by:into:)`` has joined its delta to.
    public mutating func setAgain(
        _ name: Bytes, to value: Bytes, at time: HybridTime, by site: SiteID, after number: UInt64, into delta: inout Causal
    ) -> Bool {
        store.setAgain(name, to: value, at: time, by: site, after: number, into: &delta)
    }

    /// Sets a field and returns the delta.
    public mutating func set(_ name: Bytes, to value: Bytes, at time: HybridTime, by site: SiteID) -> Causal {
        var delta = Causal()
        set(name, to: value, at: time, by: site, into: &delta)
        return delta
    }

    /// Adds to a field, joins the delta to `delta` and returns the new number. Throws, changing nothing, as ``FieldRegister`` does.
    @discardableResult
    public mutating func add(_ amount: Int64, to name: Bytes, by site: SiteID, into delta: inout Causal) throws(CRDTError) -> Int64 {
        try store.update(name, context: &context, into: &delta) { field, context, delta throws(CRDTError) in
            try field.add(amount, by: site, context: &context, into: &delta)
        }
    }

    /// Removes a field. Returns whether it was there. O(1).
    @discardableResult
    public mutating func removeField(_ name: Bytes, into delta: inout Causal) -> Bool { store.remove(name, into: &delta) }
}
