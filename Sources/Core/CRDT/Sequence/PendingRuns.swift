// SPDX-License-Identifier: Apache-2.0

/// Runs outside of a tree: what a delta carries, and in a list what waits for the element at which it hangs.
///
/// Sorted by dot, without overlap. Runs that go on in one another are joined, so that the deltas of somebody who types are one run.
struct PendingRuns<Element: ListElement>: Sendable, Equatable {
    private(set) var runs: [Run<Element>] = []

    init() {}

    init(_ run: Run<Element>) { runs = [run] }

    /// Of runs without overlap, in any order.
    init(sorting list: [Run<Element>]) {
        for run in list.sorted(by: { ($0.site, $0.start) < ($1.site, $1.start) }) { insert(run) }
    }

    var isEmpty: Bool { runs.isEmpty }

    /// Adds a run of which nothing is here yet.
    mutating func insert(_ run: Run<Element>) {
        let index = runs.firstEnding(behind: run.start, of: run.site)
        if index > 0, runs[index - 1].continues(with: run) {
            runs[index - 1].append(run)
            joinNext(index - 1)
        } else {
            runs.insert(run, at: index)
            joinNext(index)
        }
    }

    private mutating func joinNext(_ index: Int) {
        guard index + 1 < runs.count, runs[index].continues(with: runs[index + 1]) else { return }
        runs[index].append(runs[index + 1])
        runs.remove(at: index + 1)
    }

    /// Drops the content of those dots of the range that are here and live.
    mutating func remove(_ site: SiteID, _ range: Range<UInt64>, _ fate: Fate) {
        var index = runs.firstEnding(behind: range.lowerBound, of: site)
        while index < runs.count, runs[index].site == site, runs[index].start < range.upperBound {
            let run = runs[index]
            guard run.fate.isLive else {
                index += 1
                continue
            }
            let cut = max(run.start, range.lowerBound)..<min(run.end, range.upperBound)
            var parts: [Run<Element>] = []
            if run.start < cut.lowerBound { parts.append(run.part(run.start..<cut.lowerBound)) }
            parts.append(run.part(cut, fate: fate))
            if cut.upperBound < run.end { parts.append(run.part(cut.upperBound..<run.end)) }
            runs.replaceSubrange(index...index, with: parts)
            let first = max(0, index - 1)
            index += parts.count
            var joint = min(index, runs.count - 1)
            while joint > first {
                let before = runs.count
                joinNext(joint - 1)
                if runs.count < before { index -= 1 }
                joint -= 1
            }
        }
    }

    /// Takes out the run that begins at a dot.
    mutating func take(_ site: SiteID, _ start: UInt64) -> Run<Element>? {
        let index = runs.firstEnding(behind: start, of: site)
        guard index < runs.count, runs[index].site == site, runs[index].start == start else { return nil }
        return runs.remove(at: index)
    }
}

/// Which runs wait for which element: what to look for when an element gets its place. Sorted.
struct Waiters: Sendable {
    private struct Entry {
        var parent: Dot
        var child: Dot
    }

    private var entries: [Entry] = []

    private func firstIndex(from parent: Dot) -> Int { entries.partitioningIndex { $0.parent >= parent } }

    mutating func insert(_ child: Dot, waitingFor parent: Dot) {
        entries.insert(Entry(parent: parent, child: child), at: firstIndex(from: parent))
    }

    /// Takes out all that wait for an element of the range.
    mutating func take(_ site: SiteID, _ range: Range<UInt64>) -> [Dot] {
        let first = firstIndex(from: Dot(site: site, sequence: range.lowerBound))
        var end = first
        while end < entries.count, entries[end].parent.site == site, entries[end].parent.sequence < range.upperBound { end += 1 }
        guard end > first else { return [] }
        defer { entries.removeSubrange(first..<end) }
        return entries[first..<end].map(\.child)
    }
}
