// SPDX-License-Identifier: Apache-2.0

@testable import BrumeCRDT

/// A history of text edits, made with our own text and list, together with what those showed.
struct TextHistory {
    private struct Insert {
        var dots: Set<Dot>
        var left: Dot?
        var right: Dot?
        var past: CausalContext
    }

    private(set) var history: Oracle.History
    private(set) var shown: [String] = []
    private var replicas: [ListHistory.Replica]
    private var lists: [ReplicatedList<Bytes>]
    private var inserts: [Insert] = []
    private var draw: Draw
    private var letter = 0

    /// `isCrowded`: everybody writes near the beginning, where inserts meet.
    init(seed: UInt64, isCrowded: Bool) {
        draw = Draw(seed: seed)
        history = Oracle.History(replicas: 3)
        replicas = (0..<3).map { ListHistory.Replica(site: SiteID(rawValue: UInt64($0 + 1))) }
        lists = [ReplicatedList<Bytes>](repeating: ReplicatedList(), count: 3)
        insert(String(repeating: "0123456789", count: isCrowded ? 1 : 8), at: 0, by: 0)
        sync(to: 1, from: 0)
        sync(to: 2, from: 0)
        for _ in 0..<60 {
            if draw.chance(2, in: 5) {
                sync(to: draw.below(3), from: draw.below(3))
            } else {
                edit(draw.below(3), below: isCrowded ? 4 : .max)
            }
        }
        // Everybody learns from everybody.
        for (to, from) in [(0, 1), (0, 2), (1, 0), (2, 0)] { sync(to: to, from: from) }
    }

    /// What our text, and likewise our list, shows at the end on each replica.
    var end: [String] { replicas.map(\.text.string) }
    var listEnd: [String] { lists.map { $0.elements.map(\.text).joined() } }

    private mutating func edit(_ replica: Int, below limit: Int) {
        let count = replicas[replica].text.count
        if count > 2, draw.chance(1, in: 3) {
            let position = draw.below(count - 1)
            remove(position, 1 + draw.below(min(4, count - position)), by: replica)
        } else {
            letter += 1
            let first = UInt8(letter % 26) + (letter % 2 == 0 ? 65 : 97)
            insert(
                String(repeating: Character(Unicode.Scalar(first)), count: 1 + draw.below(4)), at: draw.below(min(count, limit) + 1),
                by: replica)
        }
    }

    private mutating func insert(_ text: String, at position: Int, by replica: Int) {
        let site = replicas[replica].site
        let count = replicas[replica].text.count
        let left = position > 0 ? replicas[replica].text.dot(at: position - 1) : nil
        let right = position < count ? replicas[replica].text.dot(at: position) : nil
        let past = replicas[replica].text.context
        _ = replicas[replica].text.insert(text, at: position, by: site)
        _ = replicas[replica].model.insert(text, at: position, by: site)
        _ = lists[replica].insert(text.map { Bytes(String($0)) }, at: position, by: site)
        let dots = Set((position..<position + text.count).map { replicas[replica].text.dot(at: $0) })
        inserts.append(Insert(dots: dots, left: left, right: right, past: past))
        history.steps.append(.insert(replica, position, text))
    }

    private mutating func remove(_ position: Int, _ length: Int, by replica: Int) {
        let site = replicas[replica].site
        let range = position..<position + length
        _ = replicas[replica].text.remove(range, by: site)
        _ = replicas[replica].model.remove(range, by: site)
        _ = lists[replica].remove(range, by: site)
        history.steps.append(.remove(replica, position, length))
    }

    private mutating func sync(to: Int, from: Int) {
        replicas[to].text.merge(replicas[from].text.delta(since: replicas[to].text.known))
        replicas[to].model.merge(replicas[from].model)
        lists[to].merge(lists[from])
        shown.append(replicas[to].text.string)
        history.steps.append(.sync(to: to, from: from))
    }

    /// Whether two inserts met: one put something between the two neighbours of the other, and neither knew of the other. Only there do
    /// systems order differently.
    var hasMeeting: Bool {
        var positions: [Dot: Int] = [:]
        for (index, node) in replicas[0].model.order.enumerated() { positions[node.dot] = index }
        for one in inserts {
            let from = one.left.flatMap { positions[$0] } ?? -1
            let to = one.right.flatMap { positions[$0] } ?? .max
            for other in inserts where other.dots.isDisjoint(with: one.dots) {
                let isConcurrent =
                    !other.dots.contains(where: one.past.contains) && !one.dots.contains(where: other.past.contains)
                if isConcurrent, other.dots.contains(where: { from < positions[$0] ?? -1 && positions[$0] ?? -1 < to }) { return true }
            }
        }
        return false
    }
}

/// A history of a map in which nobody writes a key whose latest write he does not know: then there is no conflict to resolve, and
/// last-writer-wins maps, observed-remove maps and sets all must show the same.
struct MapHistory {
    private(set) var history = Oracle.History(replicas: 3)
    private(set) var maps: [[String: String]] = []
    private(set) var sets: [[String]] = []
    private var replicas = [Causal<FieldMap>](repeating: Causal(), count: 3)
    private var members = [Causal<AddWinsSet>](repeating: Causal(), count: 3)

    init(seed: UInt64) {
        var draw = Draw(seed: seed)
        let keys = (0..<8).map { "key\($0)" }
        var latest = [Int](repeating: -1, count: keys.count)
        var known = [[Int]](repeating: latest, count: 3)
        for step in 0..<80 {
            let replica = draw.below(3)
            let key = draw.below(keys.count)
            let name = Bytes(keys[key])
            let site = SiteID(rawValue: UInt64(replica + 1))
            if draw.chance(1, in: 3) {
                let from = draw.below(3)
                for key in keys.indices { known[replica][key] = max(known[replica][key], known[from][key]) }
                sync(to: replica, from: from, keys)
            } else if known[replica][key] == latest[key] {
                if members[replica].contains(name), draw.chance(1, in: 2) {
                    _ = replicas[replica].remove(name)
                    _ = members[replica].remove(name)
                    history.steps.append(.delete(replica, keys[key]))
                } else {
                    let time = HybridTime(milliseconds: UInt64(step + 1))
                    _ = replicas[replica].set(name, to: Bytes("value\(step)"), at: time, by: site)
                    _ = members[replica].add(name, by: site)
                    history.steps.append(.set(replica, keys[key], "value\(step)"))
                }
                latest[key] = step
                known[replica][key] = step
            }
        }
    }

    private mutating func sync(to: Int, from: Int, _ keys: [String]) {
        replicas[to].merge(replicas[from])
        members[to].merge(members[from])
        history.steps.append(.sync(to: to, from: from))
        var map: [String: String] = [:]
        for key in keys {
            if let value = replicas[to].field(Bytes(key)) { map[key] = value.text }
        }
        maps.append(map)
        sets.append(keys.filter { members[to].contains(Bytes($0)) })
    }
}

/// A history of a counter: additions commute, so that every system must show the same sum at every step.
struct CounterHistory {
    private(set) var history = Oracle.History(replicas: 3)
    private(set) var shown: [Int] = []

    init(seed: UInt64) throws {
        var draw = Draw(seed: seed)
        var replicas = [PNCounter](repeating: PNCounter(), count: 3)
        for _ in 0..<80 {
            let replica = draw.below(3)
            if draw.chance(1, in: 3) {
                let from = draw.below(3)
                replicas[replica].merge(replicas[from])
                shown.append(Int(try replicas[replica].value()))
                history.steps.append(.sync(to: replica, from: from))
            } else {
                let amount = draw.below(2_001) - 1_000
                guard amount != 0 else { continue }
                _ = try replicas[replica].add(Int64(amount), by: SiteID(rawValue: UInt64(replica + 1))) as PNCounter
                history.steps.append(.add(replica, amount))
            }
        }
    }
}
