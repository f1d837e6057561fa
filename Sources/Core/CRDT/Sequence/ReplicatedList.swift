// SPDX-License-Identifier: Apache-2.0

/// A list that several sites edit at once: inserts stay between their neighbours, runs of inserts stay together, removed stays removed.
///
/// The order is Fugue's. Elements that one site inserts one behind the other are one block in memory and on the wire; a removed run keeps
/// its place as a range of dots, without its content, until ``collect(stable:)``. With n blocks: look-ups, inserts and removals by
/// position, and merging a delta, take O(log n) a block touched; where sites wrote at one place at the same time, merging walks along the
/// sibling besides. A delta that comes before what it hangs on is kept and takes effect later. A delta has no order: read only lists.
public struct ReplicatedList<Element: ListElement>: Sendable {
    /// All dots that are known: of elements, placed, waiting or removed, and of removals.
    public internal(set) var context = CausalContext()
    var pending = PendingRuns<Element>()
    var waiters = Waiters()
    var removals = Removals()
    /// Up to where removed elements may have been forgotten: what is in the context up to here and not in the list was removed.
    var collected = VersionVector()
    /// Whether this is a delta, whose runs are not put into order.
    var isDelta = false
    var storage: Storage?

    /// The placed elements, shared by copies of a list until one of them changes.
    ///
    /// Unchecked because it is changed only by the one list that refers to it (`isKnownUniquelyReferenced`): that is its guard.
    final class Storage: @unchecked Sendable {
        var tree: RunTree<Element>

        init(_ tree: RunTree<Element> = RunTree()) { self.tree = tree }
    }

    /// An empty list; as a delta, nothing.
    public init() {}

    /// Whether nothing has ever been written.
    public var isBottom: Bool { context.isEmpty }

    // MARK: Reading

    /// The number of elements. O(1).
    public var count: Int { storage?.tree.count ?? 0 }

    public var isEmpty: Bool { count == 0 }

    /// The element at a position, which must be there. O(log n).
    public subscript(position: Int) -> Element {
        @specialized(where Element == Bytes)
        get {
            precondition(position >= 0 && position < count, "the position is outside of the list")
            guard let storage else { preconditionFailure("a list with elements has storage") }
            return storage.tree[position]
        }
    }

    /// Calls with the elements at the positions in order, some at a time. The positions must be there. O(log n + length).
    @specialized(where Element == Bytes)
    public func forEachSlice(in range: Range<Int>, _ body: (ArraySlice<Element>) -> Void) {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "the positions are outside of the list")
        storage?.tree.forEachSlice(range, body)
    }

    /// The elements at the positions, which must be there. O(log n + length).
    @specialized(where Element == Bytes)
    public func elements(in range: Range<Int>) -> [Element] {
        var elements: [Element] = []
        elements.reserveCapacity(range.count)
        forEachSlice(in: range) { elements.append(contentsOf: $0) }
        return elements
    }

    /// All elements. O(n).
    public var elements: [Element] { elements(in: 0..<count) }

    /// What names the element at a position wherever it moves: a cursor for ``position(of:)``. O(log n).
    @specialized(where Element == Bytes)
    public func dot(at position: Int) -> Dot {
        precondition(position >= 0 && position < count, "the position is outside of the list")
        guard let storage else { preconditionFailure("a list with elements has storage") }
        let place = storage.tree.place(at: position)
        return storage.tree.dot(place.block, at: place.offset)
    }

    /// Where an element is now; for a removed one whose place is still kept, where it would be. O(log n).
    @specialized(where Element == Bytes)
    public func position(of dot: Dot) -> Int? {
        guard dot.sequence > 0, let storage, let place = storage.tree.locate(dot) else { return nil }
        return storage.tree.order.position(of: place.block) + (storage.tree.blocks[Int(place.block)].isLive ? place.offset : 0)
    }

    /// How many runs wait for the element at which they hang, because a delta was lost or is late.
    public var pendingCount: Int { isDelta ? 0 : pending.runs.count }

    /// How many removed runs keep their places, or wait for them. O(n).
    public var placeholderCount: Int {
        pending.runs.count { !$0.fate.isLive } + (storage?.tree.placeholderCount ?? 0)
    }

    /// How many blocks there are, for figures about memory.
    public var blockCount: Int { storage?.tree.blockCount ?? 0 }

    // MARK: Changing the tree

    /// The tree, owned by this list alone while `body` runs.
    mutating func withTree<R>(_ body: (inout RunTree<Element>) -> R) -> R {
        if !isKnownUniquelyReferenced(&storage) { storage = Storage(storage?.tree ?? RunTree()) }
        guard let own = storage else { preconditionFailure("storage was made just now") }
        return body(&own.tree)
    }
}

extension ReplicatedList: Equatable {
    /// Whether both know the same writes and show the same elements. How the elements lie in blocks does not matter.
    public static func == (left: ReplicatedList, right: ReplicatedList) -> Bool {
        guard left.context == right.context, left.isDelta == right.isDelta || left.isBottom else { return false }
        return left.liveRuns == right.liveRuns && left.elements == right.elements
    }

    /// The live elements by their dots, in one piece where dots are consecutive: the same however they are placed.
    private var liveRuns: [Run<Element>] {
        var all: [Run<Element>] = pending.runs.filter(\.fate.isLive)
        storage?.tree.forEachRun { if $0.fate.isLive { all.append($0) } }
        return PendingRuns(sorting: all).runs
    }
}
