// SPDX-License-Identifier: Apache-2.0

/// On which side of its parent an element hangs.
enum Side: UInt8, Sendable {
    case left
    case right
}

/// Whether elements are there, and if not, which write removed them.
enum Fate: Sendable, Equatable {
    case live
    case removed(by: Dot)
    /// Removed by a write that nobody names any more, since all had seen it.
    case gone

    var isLive: Bool { self == .live }

    /// The fate of two neighbours that were removed by the same site: one of both writes known without a gap means all before, too.
    func joined(_ other: Fate) -> Fate? {
        switch (self, other) {
        case (.live, .live): .live
        case (.gone, .gone): .gone
        case (.removed(let one), .removed(let two)) where one.site == two.site: one.sequence < two.sequence ? other : self
        default: nil
        }
    }
}

/// Elements that one site inserted one behind the other, as they are in memory: no other element hangs between them.
///
/// Each element but the first is the right child of the one before it. Left children of the first and right children of the last
/// element are lists of blocks, ordered by dot.
struct Block: Sendable {
    static let none = OrderIndex.none
    /// The block without elements at the very beginning.
    static let root: UInt32 = 0

    /// The longest run that is one block or comes in one piece: what 32 bits hold.
    static let lengthMax = Int(UInt32.max)

    /// The number of the first element's dot.
    var start: UInt64
    /// Index of the site in the tree's table.
    var site: UInt32
    var length: UInt32
    /// The block at whose first (left) or last (right) element this one hangs.
    var parent: UInt32
    var firstLeft = Self.none
    var firstRight = Self.none
    var nextSibling = Self.none
    var removalSite: UInt32
    var side: Side
    var isLive: Bool
    var removal: UInt64

    var end: UInt64 { start + UInt64(length) }
    var range: Range<UInt64> { start..<end }
    /// Visible elements.
    var weight: Int { isLive ? Int(length) : 0 }
}

/// Elements with consecutive dots of one site, each the right child of the one before it, outside of a tree: what a delta carries.
struct Run<Element: ListElement>: DotStretch, Sendable, Equatable {
    var site: SiteID
    var start: UInt64
    var length: Int
    /// The element at which the first one hangs; number 0 is the beginning of the list.
    var parent: Dot
    var side: Side
    var fate: Fate
    /// The content; empty if removed.
    var elements: [Element]

    var end: UInt64 { start + UInt64(length) }
    var range: Range<UInt64> { start..<end }

    /// The beginning of the list, to which all else hangs.
    static var beginning: Dot { Dot(site: SiteID(rawValue: 0), sequence: 0) }

    /// A part of the run, with another fate if asked.
    func part(_ range: Range<UInt64>, fate other: Fate? = nil) -> Run {
        var part = self
        part.start = range.lowerBound
        part.length = Int(range.upperBound - range.lowerBound)
        if range.lowerBound > start {
            part.parent = Dot(site: site, sequence: range.lowerBound - 1)
            part.side = .right
        }
        part.fate = other ?? fate
        if part.fate.isLive, fate.isLive {
            if part.length < length { part.elements = [Element](elements[Int(range.lowerBound - start)..<Int(range.upperBound - start)]) }
        } else {
            part.elements = []
            if part.fate.isLive { part.fate = fate }
        }
        return part
    }

    /// Whether `other` goes on where this run ends, so that both can be one.
    func continues(with other: Run) -> Bool {
        other.site == site && other.start == end && other.side == .right && other.parent == Dot(site: site, sequence: end - 1)
            && fate.joined(other.fate) != nil
    }

    mutating func append(_ other: Run) {
        fate = fate.joined(other.fate) ?? fate
        length += other.length
        elements.append(contentsOf: other.elements)
    }
}
