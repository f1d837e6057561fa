// SPDX-License-Identifier: Apache-2.0

/// The lines of a text that comes in pieces, one after another and without keeping the text.
///
/// Lines end with `\n` or `\r\n`. One that has no end has ``TextMark/cut`` behind it. Bytes that are no UTF-8 become U+FFFD, which no
/// number and no name contains.
public struct TextLines<Pieces: Sequence<[UInt8]>>: Sequence {
    private let pieces: Pieces

    public init(_ pieces: Pieces) { self.pieces = pieces }

    public func makeIterator() -> Iterator { Iterator(pieces.makeIterator()) }

    public struct Iterator: IteratorProtocol {
        private var pieces: Pieces.Iterator
        private var piece: [UInt8] = []
        private var position = 0
        private var isOver = false

        init(_ pieces: Pieces.Iterator) { self.pieces = pieces }

        public mutating func next() -> Substring? {
            var line: [UInt8] = []
            var isEmpty = true
            var isEnded = false
            while refill() {
                isEmpty = false
                let end = piece[position...].firstIndex(of: UInt8(ascii: "\n"))
                // Of a line that is too long, enough is kept for the reader to see that.
                line += piece[position..<(end ?? piece.count)].prefix(Swift.max(0, TableText.lineBytesMax + 2 - line.count))
                position = end.map { $0 + 1 } ?? piece.count
                isEnded = end != nil
                if isEnded { break }
            }
            if isEmpty { return nil }
            guard isEnded else { return Substring(String(decoding: line, as: UTF8.self) + String(TextMark.cut)) }
            if line.last == UInt8(ascii: "\r") { line.removeLast() }
            return Substring(String(decoding: line, as: UTF8.self))
        }

        /// Gets the next piece if this one is used up; false at the end.
        private mutating func refill() -> Bool {
            while position == piece.count {
                guard !isOver, let following = pieces.next() else {
                    isOver = true
                    return false
                }
                piece = following
                position = 0
            }
            return true
        }
    }
}

extension TextLines where Pieces == CollectionOfOne<[UInt8]> {
    /// The lines of a text that is there already.
    public init(_ text: String) { self.init(CollectionOfOne(Array(text.utf8))) }
}

/// What may stand round a text besides its lines.
public enum TextMark {
    /// Behind a last line that has no end: the file may have been cut off in it. ASCII's "end of text", which stands in no table.
    public static let cut: Unicode.Scalar = "\u{3}"

    /// A byte order mark, which some programs put before the first line.
    static func withoutByteOrderMark(_ line: Substring) -> Substring {
        line.unicodeScalars.first == "\u{FEFF}" ? Substring(line.unicodeScalars.dropFirst()) : line
    }
}
