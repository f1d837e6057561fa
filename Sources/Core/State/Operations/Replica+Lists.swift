// SPDX-License-Identifier: Apache-2.0

public import BrumeCRDT

extension Replica {
    private func list(_ key: ObjectKey, _ now: StateTime) throws(StateError) -> ContentObject<ListContent>? {
        try reading(key, ListContent.self, now)
    }

    /// Changes a list by edits that answer deltas.
    private mutating func edit(
        _ object: ContentObject<ListContent>, _ now: StateTime, _ body: (inout ListContent) -> ListContent
    ) {
        object.change { content, delta in delta.join(body(&content)) }
        changed(object, clock.now(wall: now.wallMilliseconds), now)
    }

    /// Puts elements at an end of a list, one after the other, and answers its length; 0 where there is none and it must exist.
    ///
    /// What several nodes push at the same time stands in one order everywhere, each node's run unbroken. O(log n).
    public mutating func listPush(
        _ key: ObjectKey, _ elements: [Bytes], atHead: Bool, onlyIfExists: Bool, _ now: StateTime
    ) throws(StateError) -> Int {
        for element in elements { try checkSize(element.count, "element") }
        if onlyIfExists, try list(key, now)?.content.isEmpty ?? true { return 0 }
        guard !elements.isEmpty else { return try listLength(key, now) }
        let object = try writing(key, ListContent.self, now)
        edit(object, now) { [site] in
            atHead ? $0.insert(elements.reversed(), at: 0, by: site) : $0.append(elements, by: site)
        }
        return object.content.count
    }

    /// Takes elements from an end of a list and answers them. Two nodes may take the same one at the same time. O(log n + count).
    public mutating func listPop(
        _ key: ObjectKey, count: Int, fromHead: Bool, _ now: StateTime
    ) throws(StateError) -> [Bytes] {
        guard let object = try list(key, now), count > 0 else { return [] }
        let taken = min(count, object.content.count)
        guard taken > 0 else { return [] }
        let range = fromHead ? 0..<taken : (object.content.count - taken)..<object.content.count
        let elements = object.content.elements(in: range)
        edit(object, now) { [site] in $0.remove(range, by: site) }
        return fromHead ? elements : elements.reversed()
    }

    public func listLength(_ key: ObjectKey, _ now: StateTime) throws(StateError) -> Int { try list(key, now)?.content.count ?? 0 }

    /// The elements from `start` to `end`, both included; negative ones count from the end. O(log n + length).
    public func listRange(_ key: ObjectKey, start: Int, end: Int, _ now: StateTime) throws(StateError) -> [Bytes] {
        guard let content = try list(key, now)?.content else { return [] }
        let range = InclusiveRange.positions(start, end, count: content.count)
        return range.isEmpty ? [] : content.elements(in: range)
    }

    /// The element at an index; nil where there is none. O(log n).
    public func listElement(_ key: ObjectKey, at index: Int, _ now: StateTime) throws(StateError) -> Bytes? {
        guard let content = try list(key, now)?.content else { return nil }
        let position = index < 0 ? content.count &+ index : index
        return content.isEmpty || position < 0 || position >= content.count ? nil : content[position]
    }

    /// Puts an element beside the first one equal to `pivot`, and answers the length; -1 without such a one, 0 without a list. O(n).
    public mutating func listInsert(
        _ key: ObjectKey, _ element: Bytes, before: Bool, pivot: Bytes, _ now: StateTime
    ) throws(StateError) -> Int {
        try checkSize(element.count, "element")
        guard let object = try list(key, now), !object.content.isEmpty else { return 0 }
        guard let position = object.content.elements.firstIndex(of: pivot) else { return -1 }
        edit(object, now) { [site] in $0.insert(element, at: before ? position : position + 1, by: site) }
        return object.content.count
    }

    /// Replaces the element at an index. Two nodes that do so at the same time leave two elements there. O(log n).
    ///
    /// - Throws: `StateError`: `notFound` without a list, `outOfRange` without such an index, `wrongType`, `tooLarge`.
    public mutating func listSet(
        _ key: ObjectKey, at index: Int, _ element: Bytes, _ now: StateTime
    ) throws(StateError) {
        try checkSize(element.count, "element")
        guard let object = try list(key, now), !object.content.isEmpty else { throw StateError(.notFound, "There is no such key.") }
        let position = index < 0 ? object.content.count &+ index : index
        guard position >= 0, position < object.content.count else {
            throw StateError(.outOfRange, "The index is out of range; the list has \(object.content.count) elements.")
        }
        edit(object, now) { [site] in $0.set(element, at: position, by: site) }
    }

    /// Keeps the elements from `start` to `end`, both included, and removes the others that are known here.
    public mutating func listTrim(_ key: ObjectKey, start: Int, end: Int, _ now: StateTime) throws(StateError) {
        guard let object = try list(key, now), !object.content.isEmpty else { return }
        let count = object.content.count
        let kept = InclusiveRange.positions(start, end, count: count)
        guard kept.count < count else { return }
        edit(object, now) { [site] content in
            guard !kept.isEmpty else { return content.removeAll(by: site) }
            var delta = content.remove(kept.upperBound..<count, by: site)
            delta.join(content.remove(0..<kept.lowerBound, by: site))
            return delta
        }
    }

    /// Removes the first `count` elements equal to one given, the last ones for a negative count, all for 0; answers how many. O(n).
    public mutating func listRemove(
        _ key: ObjectKey, count: Int, _ element: Bytes, _ now: StateTime
    ) throws(StateError) -> Int {
        guard let object = try list(key, now) else { return 0 }
        let all = object.content.elements
        let matching = all.indices.filter { all[$0] == element }
        let limit = count == 0 ? matching.count : Int(clamping: count.magnitude)
        let chosen = count < 0 ? matching.suffix(limit) : matching.prefix(limit)
        guard !chosen.isEmpty else { return 0 }
        edit(object, now) { [site] content in
            var delta = ListContent()
            for position in chosen.reversed() { delta.join(content.remove(position..<(position + 1), by: site)) }
            return delta
        }
        return chosen.count
    }
}
