// SPDX-License-Identifier: Apache-2.0

extension RunTree {
    /// A block as a run.
    func run(_ id: UInt32) -> Run<Element> {
        let block = blocks[Int(id)]
        var run = Run<Element>(
            site: stores[Int(block.site)].site, start: block.start, length: Int(block.length), parent: parentDot(id), side: block.side,
            fate: fate(id), elements: [])
        if block.isLive {
            run.elements.reserveCapacity(run.length)
            stores[Int(block.site)].forEachSlice(block.range) { run.elements.append(contentsOf: $0) }
        }
        return run
    }

    /// Calls with all elements as runs as long as can be, each after the one at which it hangs.
    func forEachRun(_ body: (Run<Element>) -> Void) {
        var waiting: [UInt32] = []
        push(blocks[Int(Block.root)].firstRight, to: &waiting)
        while let id = waiting.popLast() {
            var run = run(id)
            var last = id
            while true {
                push(blocks[Int(last)].firstLeft, to: &waiting)
                guard let next = continuation(of: last, joining: run, others: &waiting) else { break }
                run.append(self.run(next))
                last = next
            }
            body(run)
        }
    }

    /// The block that goes on where `id` ends and may be one run with it; the other right children are put into `others`.
    private func continuation(of id: UInt32, joining run: Run<Element>, others: inout [UInt32]) -> UInt32? {
        let block = blocks[Int(id)]
        var found: UInt32?
        var child = block.firstRight
        while child != Block.none {
            let next = blocks[Int(child)]
            if next.site == block.site, next.start == block.end, run.fate.joined(fate(child)) != nil,
                run.length + Int(next.length) <= Block.lengthMax
            {
                found = child
            } else {
                others.append(child)
            }
            child = next.nextSibling
        }
        return found
    }

    private func push(_ first: UInt32, to list: inout [UInt32]) {
        var child = first
        while child != Block.none {
            list.append(child)
            child = blocks[Int(child)].nextSibling
        }
    }

    /// The removed elements from the one of `id` at which something hangs on `side` up to the first visible one, at most `max` blocks:
    /// what a receiver that does not have them needs to place it.
    func placeholders(from id: UInt32, _ side: Side, max: Int) -> [Run<Element>] {
        var chain: [Run<Element>] = []
        var id = id
        var side = side
        while id != Block.root, !blocks[Int(id)].isLive, chain.count < max {
            let run = run(id)
            // The elements of a block hang at one another, so that its last one needs all, and its first one none.
            chain.append(side == .right ? run : run.part(run.start..<run.start + 1))
            side = blocks[Int(id)].side
            id = blocks[Int(id)].parent
        }
        return chain
    }
}
