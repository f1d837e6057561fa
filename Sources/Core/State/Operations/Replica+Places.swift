// SPDX-License-Identifier: Apache-2.0

public import BrumeCRDT

/// Where in a list or a text something is to happen.
///
/// An index is what a reader sees now, and moves with what others insert before it; an element's dot stays with the element.
public enum SequencePlace: Hashable, Sendable {
    /// A negative one counts from the end: -1 is the last element, or for an insertion the place behind it.
    case index(Int)
    /// An element that is there.
    case element(Dot)
    /// Before or behind an element; of one that was removed, where it would be, as long as its place is remembered.
    case before(Dot)
    case after(Dot)
}

/// What came of an edit in the middle of a list or a text.
public struct SpliceResult<Removed: Sendable>: Sendable {
    /// The length afterwards, in elements or Unicode scalars.
    public var count: Int
    /// What was taken out, in its order.
    public var removed: Removed
    /// What names the first inserted element; those behind it have the numbers that follow.
    public var first: Dot?
}

extension Replica {
    /// Takes `count` elements out of a list, as far as there are so many, and puts others in their place. O(log n + elements touched).
    ///
    /// What other nodes do at the same time stays: two that replace one element leave two.
    ///
    /// - Throws: `StateError`: `outOfRange` for an index that is not there, `notFound` for an element that is not, `wrongType`, `tooLarge`,
    ///   `quota`, `invalid` for a negative count.
    public mutating func listSplice(
        _ key: ObjectKey, at place: SequencePlace, removing count: Int, inserting elements: [Bytes], _ now: StateTime
    ) throws(StateError) -> SpliceResult<[Bytes]> {
        for element in elements { try checkSize(element.count, "element") }
        let found = try reading(key, ListContent.self, now)
        let range = try Self.range(place, count, in: found?.content, SequenceEdit(removes: count > 0, inserts: !elements.isEmpty))
        let removed = found?.content.elements(in: range) ?? []
        guard !range.isEmpty || !elements.isEmpty else { return SpliceResult(count: found?.content.count ?? 0, removed: [], first: nil) }
        // What only takes away makes no object, and is not held up by a quota.
        let object = if elements.isEmpty, let found { found } else { try writing(key, ListContent.self, now) }
        object.change { [site] content, delta in delta.join(content.replace(range, with: elements, by: site)) }
        changed(object, clock.now(wall: now.wallMilliseconds), now)
        let content = object.content
        return SpliceResult(
            count: content.count, removed: removed, first: elements.isEmpty ? nil : content.dot(at: range.lowerBound))
    }

    /// Takes `count` scalars out of a text, as far as there are so many, and puts others in their place. O(log n + length).
    ///
    /// - Throws: `StateError` as ``listSplice(_:at:removing:inserting:_:)``.
    public mutating func textSplice(
        _ key: ObjectKey, at place: SequencePlace, removing count: Int, inserting text: String, _ now: StateTime
    ) throws(StateError) -> SpliceResult<String> {
        try checkSize(text.utf8.count, "text")
        let found = try reading(key, Text.self, now)
        let range = try Self.range(place, count, in: found?.content, SequenceEdit(removes: count > 0, inserts: !text.isEmpty))
        let removed = found?.content.string(in: range) ?? ""
        guard !range.isEmpty || !text.isEmpty else { return SpliceResult(count: found?.content.count ?? 0, removed: "", first: nil) }
        let object = if text.isEmpty, let found { found } else { try writing(key, Text.self, now) }
        object.change { [site] content, delta in delta.join(content.replace(range, with: text, by: site)) }
        changed(object, clock.now(wall: now.wallMilliseconds), now)
        let content = object.content
        return SpliceResult(count: content.count, removed: removed, first: text.isEmpty ? nil : content.dot(at: range.lowerBound))
    }

    // MARK: Looking up

    /// The element of a list at a place: its index, what names it, and what it is. O(log n).
    ///
    /// - Throws: `StateError`: `outOfRange`, `notFound`, `wrongType`.
    public func listPlace(
        _ key: ObjectKey, _ place: SequencePlace, _ now: StateTime
    ) throws(StateError) -> (index: Int, dot: Dot, element: Bytes) {
        let content = try reading(key, ListContent.self, now)?.content ?? ListContent()
        let index = try Self.position(place, in: content, behindEnd: false)
        guard index < content.count else { throw Self.missingElement }
        return (index, content.dot(at: index), content[index])
    }

    /// The same of a text; the element is one Unicode scalar.
    public func textPlace(
        _ key: ObjectKey, _ place: SequencePlace, _ now: StateTime
    ) throws(StateError) -> (index: Int, dot: Dot, element: String) {
        let content = try reading(key, Text.self, now)?.content ?? Text()
        let index = try Self.position(place, in: content, behindEnd: false)
        guard index < content.count else { throw Self.missingElement }
        return (index, content.dot(at: index), content.string(in: index..<(index + 1)))
    }

    /// What names the elements of a list from `start` to `end`, both included and there. O(length · log n).
    public func listDots(_ key: ObjectKey, start: Int, end: Int, _ now: StateTime) throws(StateError) -> [Dot] {
        guard let content = try reading(key, ListContent.self, now)?.content else { return [] }
        return (max(0, start)..<max(start, min(end + 1, content.count))).map { content.dot(at: $0) }
    }

    // MARK: Places

    /// The positions that an edit takes out; empty where it only puts in.
    private static func range(
        _ place: SequencePlace, _ count: Int, in content: (some SequenceContent)?, _ edit: SequenceEdit
    ) throws(StateError) -> Range<Int> {
        guard count >= 0 else { throw StateError(.invalid, "The count is \(count); write 0 or more.") }
        let length = content?.count ?? 0
        // Taking from a queue that is empty just now is no mistake, at whichever end.
        if edit == .cut, length == 0, case .index(-1...0) = place { return 0..<0 }
        let start = try position(place, in: content, behindEnd: edit == .insert)
        return start..<start + min(count, length - start)
    }

    /// The position at an element of the place, or in front of which elements are put.
    ///
    /// - Parameter behindEnd: whether there is one more place, behind the last element.
    private static func position(
        _ place: SequencePlace, in content: (some SequenceContent)?, behindEnd: Bool
    ) throws(StateError) -> Int {
        let count = content?.count ?? 0
        let dot: Dot
        switch place {
        case .index(let index):
            let position = index < 0 ? count + index + (behindEnd ? 1 : 0) : index
            guard position >= 0, position < count + (behindEnd ? 1 : 0) else { throw outOfRange(index, count, behindEnd: behindEnd) }
            return position
        case .element(let named), .before(let named), .after(let named): dot = named
        }
        // Of a removed element the place is known for a while: what stands there now is another one.
        guard let content, let position = content.position(of: dot) else { throw missingElement }
        let isThere = position < count && content.dot(at: position) == dot
        if case .element = place, !isThere { throw missingElement }
        if case .after = place, isThere { return position + 1 }
        return position
    }

    private static func outOfRange(_ index: Int, _ count: Int, behindEnd: Bool) -> StateError {
        let ends = (last: count - (behindEnd ? 0 : 1), first: -count - (behindEnd ? 1 : 0))
        guard ends.last >= 0 else { return StateError(.outOfRange, "The index \(index) is out of range: there are no elements.") }
        return StateError(
            .outOfRange,
            "The index \(index) is out of range: with \(count) element\(count == 1 ? "" : "s") it is 0 to \(ends.last), "
                + "or from the end -1 to \(ends.first).")
    }

    private static var missingElement: StateError {
        StateError(.notFound, "The element is not there: it was removed, or has not come to this node yet; read the object again.")
    }
}

/// What an edit does, as far as its indices are concerned.
private enum SequenceEdit {
    case insert, cut, replace

    init(removes: Bool, inserts: Bool) { self = !inserts ? .cut : removes ? .replace : .insert }
}

/// What lists and texts have in common.
protocol SequenceContent {
    var count: Int { get }
    func dot(at position: Int) -> Dot
    func position(of dot: Dot) -> Int?
}

extension ReplicatedList: SequenceContent {}

extension Text: SequenceContent {}
