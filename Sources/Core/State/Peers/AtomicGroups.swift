// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT

/// Which objects were changed together, until everybody has those changes: an answer that holds one of them must hold all.
struct AtomicGroups {
    private var groups: [(time: HybridTime, objects: [StateObject])] = []
    /// The groups of an object, by its address in the table: key space, hash and kind.
    private var index: [Address: [Int]] = [:]
    private var removed = 0

    private struct Address: Hashable {
        let space: Int32
        let hash: UInt64
        let kind: ObjectKind

        init(_ object: StateObject) {
            space = object.space
            hash = object.hash
            kind = object.kind
        }
    }

    /// Groups that are remembered; the oldest are forgotten first. Their changes have come everywhere long before, unless a node was
    /// away for long, which then may see some objects of a comparison before others.
    static let groupsMax = 65_536

    var isEmpty: Bool { index.isEmpty }

    mutating func add(_ objects: [StateObject], at time: HybridTime) {
        guard objects.count > 1, !isKnown(objects, time) else { return }
        for object in objects { index[Address(object), default: []].append(removed + groups.count) }
        groups.append((time, objects))
        if groups.count > Self.groupsMax { removeFirst(groups.count - Self.groupsMax) }
    }

    /// Whether the group is here already: it may come by several ways.
    private func isKnown(_ objects: [StateObject], _ time: HybridTime) -> Bool {
        guard let first = objects.first else { return true }
        return (index[Address(first)] ?? []).contains { number in
            let group = groups[number - removed]
            return group.time == time && group.objects.count >= objects.count
        }
    }

    /// The groups to which any of the objects belongs; all groups if none are given.
    func all(with objects: [StateObject]? = nil) -> [(time: HybridTime, objects: [StateObject])] {
        guard let objects else { return groups }
        let numbers = Set(objects.flatMap { index[Address($0)] ?? [] })
        return numbers.sorted().map { groups[$0 - removed] }
    }

    /// Forgets the groups whose changes have come everywhere.
    mutating func collect(through stable: HybridTime) {
        let count = groups.firstIndex { $0.time > stable } ?? groups.count
        if count > 0 { removeFirst(count) }
    }

    private mutating func removeFirst(_ count: Int) {
        for (offset, group) in groups[..<count].enumerated() {
            for object in group.objects {
                let address = Address(object)
                index[address]?.removeAll { $0 == removed + offset }
                if index[address]?.isEmpty ?? false { index[address] = nil }
            }
        }
        groups.removeFirst(count)
        removed += count
    }

    /// Whether the object must be seen together with others.
    func holds(_ object: StateObject) -> Bool { !index.isEmpty && index[Address(object)] != nil }

    /// The objects and all that must be seen together with them.
    func closed(_ objects: [StateObject]) -> [StateObject] {
        var seen = Set(objects.map(Address.init))
        var closed = objects
        var next = 0
        while next < closed.count {
            for number in index[Address(closed[next])] ?? [] {
                for mate in groups[number - removed].objects where seen.insert(Address(mate)).inserted { closed.append(mate) }
            }
            next += 1
        }
        return closed
    }
}
