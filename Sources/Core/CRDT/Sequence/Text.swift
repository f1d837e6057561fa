// SPDX-License-Identifier: Apache-2.0

/// A text that several sites edit at once: a ``ReplicatedList`` of Unicode scalars.
///
/// Positions count scalars, as the editing traces and most editors' protocols do. Not bytes: two sites that remove parts of one character's
/// bytes would leave text that is none. Not grapheme clusters: what is one of them depends on its neighbours and on the Unicode version,
/// so that positions would differ between sites. In memory a scalar takes four bytes; on the wire it is UTF-8.
public struct Text: Lattice {
    public internal(set) var scalars = ReplicatedList<Unicode.Scalar>()

    public init() {}

    private init(_ scalars: ReplicatedList<Unicode.Scalar>) { self.scalars = scalars }

    /// The number of scalars. O(1).
    public var count: Int { scalars.count }

    public var isEmpty: Bool { scalars.isEmpty }

    public var isBottom: Bool { scalars.isBottom }

    public var context: CausalContext { scalars.context }

    /// The whole text. O(n).
    public var string: String { string(in: 0..<count) }

    /// The text at the positions, which must be there. O(log n + length).
    public func string(in range: Range<Int>) -> String {
        var view = String.UnicodeScalarView()
        scalars.forEachSlice(in: range) { view.append(contentsOf: $0) }
        return String(view)
    }

    /// Inserts a text in front of a position, which is at most ``count``. Returns the delta. O(log n + length).
    public mutating func insert(_ text: String, at position: Int, by site: SiteID) -> Text {
        Text(scalars.insert(Array(text.unicodeScalars), at: position, by: site))
    }

    /// Puts a text behind all others.
    public mutating func append(_ text: String, by site: SiteID) -> Text { insert(text, at: count, by: site) }

    /// Removes the scalars at the positions, which must be there. Returns the delta.
    public mutating func remove(_ range: Range<Int>, by site: SiteID) -> Text { Text(scalars.remove(range, by: site)) }

    /// Replaces the scalars at the positions. Returns the delta.
    public mutating func replace(_ range: Range<Int>, with text: String, by site: SiteID) -> Text {
        Text(scalars.replace(range, with: Array(text.unicodeScalars), by: site))
    }

    /// What names a position wherever it moves. O(log n).
    public func dot(at position: Int) -> Dot { scalars.dot(at: position) }

    /// Where a scalar is now. O(log n).
    public func position(of dot: Dot) -> Int? { scalars.position(of: dot) }

    public mutating func merge(_ other: Text) { scalars.merge(other.scalars) }

    /// Adds a delta to deltas collected before.
    public mutating func join(_ delta: Text) { scalars.join(delta.scalars) }

    /// What need not be sent to this text.
    public var known: CausalContext { scalars.known }

    /// A delta for somebody whose ``known`` is given. O(n).
    public func delta(since known: CausalContext) -> Text { Text(scalars.delta(since: known)) }

    /// Forgets what everybody knows to be removed; see ``ReplicatedList/collect(stable:)``.
    @discardableResult
    public mutating func collect(stable: VersionVector) -> Int { scalars.collect(stable: stable) }

    /// How many removed runs keep their places. O(n).
    public var placeholderCount: Int { scalars.placeholderCount }

    public var digest: UInt64 { scalars.digest }

    public var memoryBytes: Int { scalars.memoryBytes }

    public func encode(into writer: inout ByteWriter) { scalars.encode(into: &writer) }

    public init(from reader: inout ByteReader) throws(DecodingFailure) { scalars = try ReplicatedList(from: &reader) }
}
