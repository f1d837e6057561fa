// SPDX-License-Identifier: Apache-2.0

public import BrumeCRDT

// Kinds that Redis does not know.

extension Replica {
    /// Changes an object's content, collecting the delta.
    ///
    /// - Parameter removes: whether it only takes away, which goes on where a quota is used up.
    private mutating func change<Content: ObjectContent, Result>(
        _ key: ObjectKey, _ type: Content.Type, _ now: StateTime, removes: Bool = false,
        _ body: (inout Content, inout Content) throws(CRDTError) -> Result
    ) throws(StateError) -> Result {
        let object = if removes, let found = try reading(key, Content.self, now) { found } else { try writing(key, Content.self, now) }
        do throws(CRDTError) {
            let result = try object.change(body)
            changed(object, clock.now(wall: now.wallMilliseconds), now)
            return result
        } catch {
            settle(object, in: spaces[key.space.index])
            throw StateError(error)
        }
    }

    private func content<Content: ObjectContent>(_ key: ObjectKey, _ type: Content.Type, _ now: StateTime) throws(StateError) -> Content? {
        try reading(key, Content.self, now)?.content
    }

    // MARK: Counters

    /// Adds to a counter, up or down, and answers its value. Everything that anybody adds counts. O(log sites).
    public mutating func counterAdd(_ key: ObjectKey, _ amount: Int64, _ now: StateTime) throws(StateError) -> Int64 {
        try change(key, PNCounter.self, now) { [site] content, delta throws(CRDTError) in
            try content.add(amount, by: site, into: &delta)
        }
    }

    public func counterValue(_ key: ObjectKey, _ now: StateTime) throws(StateError) -> Int64 {
        let content = try content(key, PNCounter.self, now)
        do throws(CRDTError) {
            return try content?.value() ?? 0
        } catch {
            throw StateError(error)
        }
    }

    /// Makes a bounded counter that stands at its bound; where one exists, its bound stays if it is greater.
    public mutating func boundedCreate(_ key: ObjectKey, bound: Int64, _ now: StateTime) throws(StateError) {
        try change(key, BoundedCounter.self, now) { content, delta throws(CRDTError) in
            let made = BoundedCounter(bound: bound)
            content.merge(made)
            delta.merge(made)
        }
    }

    /// Adds to a bounded counter, or takes from it as far as this node holds rights, and answers its value as known here.
    ///
    /// - Throws: `StateError`: `rights` where they do not suffice (wait for ``StateNeed/rights(_:amount:)`` and try again); `overflow`,
    ///   `wrongType`, `quota`.
    public mutating func boundedAdd(_ key: ObjectKey, _ amount: Int64, _ now: StateTime) throws(StateError) -> Int64 {
        guard amount != 0 else { return try boundedValue(key, now) }
        guard amount != .min else { throw .overflow }
        return try change(key, BoundedCounter.self, now) { [site] content, delta throws(CRDTError) in
            amount > 0
                ? try content.add(amount, by: site, into: &delta) : try content.subtract(-amount, by: site, into: &delta)
        }
    }

    public func boundedValue(_ key: ObjectKey, _ now: StateTime) throws(StateError) -> Int64 {
        let content = try content(key, BoundedCounter.self, now)
        do throws(CRDTError) {
            return try content?.value() ?? 0
        } catch {
            throw StateError(error)
        }
    }

    /// How much this node may take from a bounded counter without asking anybody.
    public func boundedRights(_ key: ObjectKey, _ now: StateTime) throws(StateError) -> Int64 {
        try content(key, BoundedCounter.self, now)?.rights(of: site) ?? 0
    }

    // MARK: Flags and registers

    /// Sets a flag; of a concurrent on and off, what the kind says wins: ``ObjectKind/enableWinsFlag`` or ``ObjectKind/disableWinsFlag``.
    public mutating func flagSet(_ key: ObjectKey, _ isOn: Bool, _ kind: ObjectKind, _ now: StateTime) throws(StateError) {
        if kind == .disableWinsFlag {
            try change(key, Causal<DisableWinsFlag>.self, now) { [site] content, delta throws(CRDTError) in
                content.set(isOn, by: site, into: &delta)
            }
        } else {
            try change(key, Causal<EnableWinsFlag>.self, now) { [site] content, delta throws(CRDTError) in
                content.set(isOn, by: site, into: &delta)
            }
        }
    }

    /// Whether a flag of either kind is on; a flag that nobody set is off.
    public func flagValue(_ key: ObjectKey, _ now: StateTime) throws(StateError) -> Bool {
        if kind(of: key, now) == .disableWinsFlag { return try content(key, Causal<DisableWinsFlag>.self, now)?.isOn ?? false }
        return try content(key, Causal<EnableWinsFlag>.self, now)?.isOn ?? false
    }

    /// Sets a register; the last of concurrent writers wins.
    public mutating func registerSet(_ key: ObjectKey, _ value: Bytes, _ now: StateTime) throws(StateError) {
        try checkSize(value.count, "value")
        let stamp = stamp(now)
        try change(key, LWWRegister.self, now) { content, delta throws(CRDTError) in
            _ = content.set(value, at: stamp, into: &delta)
        }
    }

    public func registerValue(_ key: ObjectKey, _ now: StateTime) throws(StateError) -> Bytes? {
        try content(key, LWWRegister.self, now)?.value
    }

    /// Sets a register that keeps what concurrent writers wrote, and replaces what is seen here.
    public mutating func multiSet(_ key: ObjectKey, _ value: Bytes, _ now: StateTime) throws(StateError) {
        try checkSize(value.count, "value")
        try change(key, Causal<MVRegister>.self, now) { [site] content, delta throws(CRDTError) in
            content.set(value, by: site, into: &delta)
        }
    }

    /// The values of concurrent writers, in one order everywhere; usually one.
    public func multiValues(_ key: ObjectKey, _ now: StateTime) throws(StateError) -> [Bytes] {
        try content(key, Causal<MVRegister>.self, now)?.values ?? []
    }

    // MARK: Sets that decide otherwise

    /// Adds members to a set in which a concurrent removal wins.
    public mutating func removeWinsAdd(_ key: ObjectKey, _ members: [Bytes], _ now: StateTime) throws(StateError) -> Int {
        for member in members { try checkSize(member.count, "member") }
        return try change(key, Causal<RemoveWinsSet>.self, now) { [site] content, delta throws(CRDTError) in
            members.reduce(0) { $0 + (content.add($1, by: site, into: &delta) ? 1 : 0) }
        }
    }

    /// Removes members, also such as are not known here: they are removed where they are added at the same time.
    public mutating func removeWinsRemove(_ key: ObjectKey, _ members: [Bytes], _ now: StateTime) throws(StateError) -> Int {
        try change(key, Causal<RemoveWinsSet>.self, now, removes: true) { [site] content, delta throws(CRDTError) in
            members.reduce(0) { $0 + (content.remove($1, by: site, into: &delta) ? 1 : 0) }
        }
    }

    public func removeWinsMembers(_ key: ObjectKey, _ now: StateTime) throws(StateError) -> [Bytes] {
        try content(key, Causal<RemoveWinsSet>.self, now)?.elements ?? []
    }

    /// Adds members to a set that only grows.
    public mutating func growAdd(_ key: ObjectKey, _ members: [Bytes], _ now: StateTime) throws(StateError) -> Int {
        for member in members { try checkSize(member.count, "member") }
        return try change(key, GSet.self, now) { content, delta throws(CRDTError) in
            members.reduce(0) { $0 + (content.add($1, into: &delta) ? 1 : 0) }
        }
    }

    public func growMembers(_ key: ObjectKey, _ now: StateTime) throws(StateError) -> [Bytes] {
        try content(key, GSet.self, now)?.elements ?? []
    }

    // MARK: Counting distinct elements

    /// Shows elements to a sketch and answers whether it changed (`PFADD`). O(1) each.
    public mutating func countAdd(_ key: ObjectKey, _ elements: [Bytes], _ now: StateTime) throws(StateError) -> Bool {
        let existed = exists(key, now)
        guard existed || !elements.isEmpty else { return false }
        let isChanged = try change(key, HyperLogLog.self, now) { content, delta throws(CRDTError) in
            elements.reduce(false) { content.add($1, into: &delta) || $0 }
        }
        return isChanged || !existed
    }

    /// About how many distinct elements were shown to the sketches together (`PFCOUNT`), within 0.81 % in most cases.
    public func countEstimate(_ keys: [ObjectKey], _ now: StateTime) throws(StateError) -> Int {
        if let only = keys.first, keys.count == 1 { return try content(only, HyperLogLog.self, now)?.count ?? 0 }
        var union = HyperLogLog()
        for key in keys {
            if let sketch = try content(key, HyperLogLog.self, now) { union.merge(sketch) }
        }
        return union.count
    }

    /// Merges sketches into one (`PFMERGE`).
    public mutating func countMerge(into key: ObjectKey, from others: [ObjectKey], _ now: StateTime) throws(StateError) {
        var union = HyperLogLog()
        for other in others {
            if let sketch = try content(other, HyperLogLog.self, now) { union.merge(sketch) }
        }
        try change(key, HyperLogLog.self, now) { content, delta throws(CRDTError) in
            content.merge(union)
            delta.merge(union)
        }
    }

    // MARK: Text

    /// Inserts text before a position, counted in Unicode scalars. O(log n + length).
    public mutating func textInsert(_ key: ObjectKey, _ text: String, at position: Int, _ now: StateTime) throws(StateError) {
        let count = try textCount(key, now)
        guard (0...count).contains(position) else {
            throw StateError(.outOfRange, "The position is outside of the text of \(count) scalars.")
        }
        try checkSize(text.utf8.count, "text")
        try change(key, Text.self, now) { [site] content, delta throws(CRDTError) in
            delta.join(content.insert(text, at: position, by: site))
        }
    }

    /// Removes the scalars in a range. O(log n + length).
    public mutating func textRemove(_ key: ObjectKey, _ range: Range<Int>, _ now: StateTime) throws(StateError) {
        let count = try textCount(key, now)
        guard range.lowerBound >= 0, range.upperBound <= count else {
            throw StateError(.outOfRange, "The range is outside of the text of \(count) scalars.")
        }
        guard !range.isEmpty else { return }
        try change(key, Text.self, now, removes: true) { [site] content, delta throws(CRDTError) in
            delta.join(content.remove(range, by: site))
        }
    }

    public func textValue(_ key: ObjectKey, _ now: StateTime) throws(StateError) -> String {
        try content(key, Text.self, now)?.string ?? ""
    }

    /// The length of a text in Unicode scalars.
    public func textCount(_ key: ObjectKey, _ now: StateTime) throws(StateError) -> Int {
        try content(key, Text.self, now)?.count ?? 0
    }

    // MARK: Documents

    /// Sets the value at a path of a document, making maps on the way; what others set elsewhere in it stays.
    public mutating func documentSet(_ key: ObjectKey, _ value: Bytes, at path: [Bytes], _ now: StateTime) throws(StateError) {
        try checkSize(value.count, "value")
        let time = clock.now(wall: now.wallMilliseconds)
        try change(key, DocumentContent.self, now) { [site] content, delta throws(CRDTError) in
            try content.set(value, at: path, time: time, by: site, into: &delta)
        }
    }

    /// Adds to the number at a path.
    public mutating func documentAdd(_ key: ObjectKey, _ amount: Int64, at path: [Bytes], _ now: StateTime) throws(StateError) -> Int64 {
        try change(key, DocumentContent.self, now) { [site] content, delta throws(CRDTError) in
            try content.add(amount, at: path, by: site, into: &delta)
        }
    }

    /// Removes what is at a path as far as it is known here. Answers whether anything was.
    public mutating func documentRemove(_ key: ObjectKey, at path: [Bytes], _ now: StateTime) throws(StateError) -> Bool {
        guard try content(key, DocumentContent.self, now) != nil else { return false }
        return try change(key, DocumentContent.self, now, removes: true) { content, delta throws(CRDTError) in
            content.remove(at: path, into: &delta)
        }
    }

    /// The value at a path; nil where there is none, or a map.
    public func documentValue(_ key: ObjectKey, at path: [Bytes], _ now: StateTime) throws(StateError) -> Bytes? {
        try content(key, DocumentContent.self, now)?.value(at: path)
    }

    /// The keys of the map at a path, sorted; nil where there is none.
    public func documentKeys(_ key: ObjectKey, at path: [Bytes], _ now: StateTime) throws(StateError) -> [Bytes]? {
        try content(key, DocumentContent.self, now)?.keys(at: path)
    }

    // MARK: Copies

    /// Writes what an object shows under another key, as new content.
    mutating func copyContent(_ source: StateObject, to key: ObjectKey, _ now: StateTime) throws(StateError) {
        let from = ObjectKey(SpaceID(Int(source.space)), source.name)
        switch source.kind {
        case .string: if let value = try get(from, now) { try set(key, value, now) }
        case .hash: _ = try hashSet(key, try hashAll(from, now).map { ($0.field, $0.value) }, now)
        case .set: _ = try setAdd(key, try setMembers(from, now), now)
        case .scoredSet: _ = try scoreAdd(key, try scoreAll(from, now), ScoreOptions(), now)
        case .list:
            _ = try listPush(key, try listRange(from, start: 0, end: -1, now), atHead: false, onlyIfExists: false, now)
        case .hyperLogLog: try countMerge(into: key, from: [from], now)
        case .counter: _ = try counterAdd(key, try counterValue(from, now), now)
        case .boundedCounter: try copyBounded(from, to: key, now)
        case .register: if let value = try registerValue(from, now) { try registerSet(key, value, now) }
        case .multiRegister: for value in try multiValues(from, now) { try multiSet(key, value, now) }
        case .enableWinsFlag, .disableWinsFlag: try flagSet(key, try flagValue(from, now), source.kind, now)
        case .removeWinsSet: _ = try removeWinsAdd(key, try removeWinsMembers(from, now), now)
        case .growSet: _ = try growAdd(key, try growMembers(from, now), now)
        case .text: try textInsert(key, try textValue(from, now), at: 0, now)
        case .document: try copyDocument(from, to: key, at: [], now)
        }
    }

    private mutating func copyBounded(_ from: ObjectKey, to key: ObjectKey, _ now: StateTime) throws(StateError) {
        let bound = try content(from, BoundedCounter.self, now)?.bound ?? 0
        let value = try boundedValue(from, now)
        try boundedCreate(key, bound: bound, now)
        if value > bound { _ = try boundedAdd(key, value - bound, now) }
    }

    private mutating func copyDocument(_ from: ObjectKey, to key: ObjectKey, at path: [Bytes], _ now: StateTime) throws(StateError) {
        if let value = try documentValue(from, at: path, now) { return try documentSet(key, value, at: path, now) }
        for name in try documentKeys(from, at: path, now) ?? [] { try copyDocument(from, to: key, at: path + [name], now) }
    }
}
