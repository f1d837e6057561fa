// SPDX-License-Identifier: Apache-2.0

/// 64 dots of one site, the first of which has a number divisible by 64: the live content, and which blocks the dots belong to.
struct Chunk<Element: ListElement>: Sendable {
    /// Which dots have content here. Content of removed elements is gone, and so are their places.
    var live: UInt64 = 0
    /// At which dots blocks begin.
    var starts: UInt64 = 0
    /// The content of the live dots, in order, without gaps.
    var elements: [Element] = []
    /// The blocks that begin here, in order.
    var blocks: [UInt32] = []
    /// The block that began in an earlier chunk and may go on into this one.
    var covering = OrderIndex.none

    /// Whether the chunk says nothing that the one before it does not say as well.
    var isIdle: Bool { live == 0 && starts == 0 }

    /// Bits of `mask` below bit `offset`: where in the compact array the thing at `offset` is.
    static func rank(_ mask: UInt64, _ offset: Int) -> Int { (mask & ((1 << UInt64(offset)) - 1)).nonzeroBitCount }

    /// The last block that begins at or before `offset`, or the one that goes on from before.
    func block(at offset: Int) -> UInt32 {
        let rank = (starts & (UInt64.max >> UInt64(63 - offset))).nonzeroBitCount
        return rank > 0 ? blocks[rank - 1] : covering
    }
}

/// All placed elements of one site, by the number of their dot: finds the block and the content of a dot in O(log n).
struct SiteStore<Element: ListElement>: Sendable {
    static var width: UInt64 { 64 }

    let site: SiteID
    /// The chunks that are there, and their numbers (dot / 64), ascending.
    private var numbers: [UInt64] = []
    private var chunks: [Chunk<Element>] = []
    /// About how many chunks are idle: they go when there are many of them.
    private var idle = 0

    init(site: SiteID) { self.site = site }

    var memoryBytes: Int {
        chunks.count * (MemoryLayout<Chunk<Element>>.stride + 8) + 2 * chunks.count * Bytes.arrayHeaderBytes
    }

    /// Index of the chunk, or where it would be inserted.
    private func search(_ number: UInt64) -> Int {
        // Most work is at the end.
        if let last = numbers.last, last <= number { return last == number ? numbers.count - 1 : numbers.count }
        // Where no chunk is missing, the number tells the place.
        if let first = numbers.first, first <= number, number - first < UInt64(numbers.count), numbers[Int(number - first)] == number {
            return Int(number - first)
        }
        return numbers.partitioningIndex { $0 >= number }
    }

    private func index(of sequence: UInt64) -> Int? {
        let index = search(sequence / Self.width)
        return index < numbers.count && numbers[index] == sequence / Self.width ? index : nil
    }

    private mutating func makeIndex(of sequence: UInt64) -> Int {
        let number = sequence / Self.width
        let index = search(number)
        if index == numbers.count || numbers[index] != number {
            var chunk = Chunk<Element>()
            if index > 0 { chunk.covering = chunks[index - 1].block(at: 63) }
            numbers.insert(number, at: index)
            chunks.insert(chunk, at: index)
        }
        return index
    }

    /// Drops idle chunks once they are a quarter: long runs of removed elements then take no memory but their block.
    private mutating func noteIdle() {
        idle += 1
        guard idle > 16, idle * 4 > chunks.count else { return }
        idle = 0
        var kept = 0
        for index in chunks.indices where !chunks[index].isIdle {
            if kept < index {
                chunks.swapAt(kept, index)
                numbers[kept] = numbers[index]
            }
            kept += 1
        }
        chunks.removeLast(chunks.count - kept)
        numbers.removeLast(numbers.count - kept)
    }

    // MARK: Blocks

    /// The block that began last at or before the dot; whether it reaches the dot is for the caller to see.
    func block(at sequence: UInt64) -> UInt32 {
        let number = sequence / Self.width
        let index = search(number)
        if index < numbers.count, numbers[index] == number { return chunks[index].block(at: Int(sequence % Self.width)) }
        return index > 0 ? chunks[index - 1].block(at: 63) : OrderIndex.none
    }

    /// The first number in the range at which a block begins, or the range's end.
    func firstStart(in range: Range<UInt64>) -> UInt64 {
        var index = search(range.lowerBound / Self.width)
        while index < numbers.count, numbers[index] * Self.width < range.upperBound {
            let base = numbers[index] * Self.width
            var mask = chunks[index].starts
            if base < range.lowerBound { mask &= UInt64.max << (range.lowerBound - base) }
            if mask != 0 { return min(base + UInt64(mask.trailingZeroBitCount), range.upperBound) }
            index += 1
        }
        return range.upperBound
    }

    /// Says that the dots of the range belong to `block`, which begins at the first.
    mutating func assign(_ block: UInt32, _ range: Range<UInt64>) {
        let index = makeIndex(of: range.lowerBound)
        let offset = Int(range.lowerBound % Self.width)
        let rank = Chunk<Element>.rank(chunks[index].starts, offset)
        if chunks[index].starts & 1 << UInt64(offset) != 0 {
            chunks[index].blocks[rank] = block
        } else {
            chunks[index].starts |= 1 << UInt64(offset)
            chunks[index].blocks.insert(block, at: rank)
        }
        cover(block, behind: range.lowerBound, to: range.upperBound)
    }

    /// Says of the chunks that begin behind `sequence` and before `end` that `block` goes on into them.
    mutating func cover(_ block: UInt32, behind sequence: UInt64, to end: UInt64) {
        var index = search(sequence / Self.width + 1)
        while index < numbers.count, numbers[index] * Self.width < end {
            chunks[index].covering = block
            index += 1
        }
    }

    /// Forgets that a block begins at the dot.
    mutating func clearStart(_ sequence: UInt64) {
        guard let index = index(of: sequence) else { return }
        let bit: UInt64 = 1 << (sequence % Self.width)
        guard chunks[index].starts & bit != 0 else { return }
        chunks[index].blocks.remove(at: Chunk<Element>.rank(chunks[index].starts, Int(sequence % Self.width)))
        chunks[index].starts &= ~bit
        if chunks[index].isIdle { noteIdle() }
    }

    /// Forgets a block of removed elements altogether.
    mutating func clear(_ range: Range<UInt64>) {
        cover(OrderIndex.none, behind: range.lowerBound, to: range.upperBound)
        clearStart(range.lowerBound)
    }

    // MARK: Content

    subscript(sequence: UInt64) -> Element {
        guard let index = index(of: sequence) else { preconditionFailure("a live element has content") }
        return chunks[index].elements[Chunk<Element>.rank(chunks[index].live, Int(sequence % Self.width))]
    }

    /// Puts one element behind all others, or anywhere.
    mutating func put(_ element: Element, at sequence: UInt64) {
        let index = makeIndex(of: sequence)
        let bit: UInt64 = 1 << (sequence % Self.width)
        if chunks[index].live < bit {
            chunks[index].elements.append(element)
        } else {
            chunks[index].elements.insert(element, at: Chunk<Element>.rank(chunks[index].live, Int(sequence % Self.width)))
        }
        chunks[index].live |= bit
    }

    /// Calls with the content of the range, all of which is live, a chunk at a time.
    func forEachSlice(_ range: Range<UInt64>, _ body: (ArraySlice<Element>) -> Void) {
        var sequence = range.lowerBound
        while sequence < range.upperBound {
            guard let index = index(of: sequence) else { preconditionFailure("a live element has content") }
            let end = min((sequence / Self.width + 1) * Self.width, range.upperBound)
            let rank = Chunk<Element>.rank(chunks[index].live, Int(sequence % Self.width))
            body(chunks[index].elements[rank..<(rank + Int(end - sequence))])
            sequence = end
        }
    }

    /// Drops the content of the range, all of which is live.
    mutating func drop(_ range: Range<UInt64>) {
        var sequence = range.lowerBound
        while sequence < range.upperBound {
            guard let index = index(of: sequence) else { return }
            let end = min((sequence / Self.width + 1) * Self.width, range.upperBound)
            let offset = sequence % Self.width
            let mask = (UInt64.max >> (64 - (end - sequence))) << offset
            let rank = Chunk<Element>.rank(chunks[index].live, Int(offset))
            chunks[index].elements.removeSubrange(rank..<(rank + Int(end - sequence)))
            chunks[index].live &= ~mask
            if chunks[index].live == 0 { chunks[index].elements = [] }
            sequence = end
            if chunks[index].isIdle { noteIdle() }
        }
    }
}
