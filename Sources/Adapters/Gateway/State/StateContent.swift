// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeState

/// What an object holds, or an operation answers, on its way to JSON: taken under the lock, written outside of it.
enum StateContent: Sendable {
    case none
    case truth(Bool)
    case integer(Int64)
    case number(Double)
    case bytes(Bytes)
    case list([Bytes], next: UInt64?)
    case fields([(field: Bytes, value: Bytes)], next: UInt64?)
    case scored([ScoredMember], next: UInt64?)
    case tree(StateTree)
    /// How long a list or a text is after an edit, and what names the elements that were put in; of a text only the first is told.
    case edited(count: Int, first: Dot?, inserted: Int)

    /// Where the next page begins; nil where this is all.
    var next: UInt64? {
        switch self {
        case .list(_, let next), .fields(_, let next), .scored(_, let next): next
        case .none, .truth, .integer, .number, .bytes, .tree, .edited: nil
        }
    }

    /// Writes, beside the result of an operation, the IDs of what it put into a list or a text.
    func writeIDs(into writer: inout StateJSONWriter) {
        guard case .edited(_, let first?, let count) = self else { return }
        writer.key("ids")
        writer.list { writer in for id in Dot.elementIDs(from: first, count: count) { writer.value(id) } }
    }

    func write(into writer: inout StateJSONWriter) {
        switch self {
        case .none: writer.null()
        case .truth(let truth): writer.value(truth)
        case .integer(let number): writer.value(number)
        case .number(let number): writer.value(number)
        case .bytes(let bytes): writer.value(bytes)
        case .tree(let tree): tree.write(into: &writer)
        case .edited(let count, _, _): writer.value(count)
        case .list(let items, _): writer.list { writer in for item in items { writer.value(item) } }
        case .fields(let fields, _):
            writer.object { writer in
                for (field, value) in fields {
                    writer.member(field)
                    writer.value(value)
                }
            }
        case .scored(let members, _):
            writer.list { writer in
                for member in members {
                    writer.object { writer in
                        writer.key("member")
                        writer.value(member.member)
                        writer.key("score")
                        writer.value(member.score)
                    }
                }
            }
        }
    }

    // MARK: Pages

    /// A page of what has an order of its own.
    static func ranks(_ page: StatePage, of count: Int) -> (start: Int, end: Int, next: UInt64?) {
        let start = Int(clamping: page.cursor)
        guard start < count else { return (count, count - 1, nil) }
        let end = min(count, start + page.limit)
        return (start, end - 1, end < count ? UInt64(end) : nil)
    }

    /// A page of what has none: in the order of a hash, so that what is there all the time is met once, whatever comes and goes meanwhile.
    static func page<Element>(
        _ page: StatePage, of all: [Element], name: (Element) -> Bytes
    ) -> (elements: [Element], next: UInt64?) {
        if page.cursor == 0, all.count <= page.limit { return (all, nil) }
        let hashed = all.map { (hash: stableHash(name($0), seed: 0), element: $0) }
        let rest = hashed.filter { $0.hash >= page.cursor }.sorted { $0.hash < $1.hash }
        // Those that share the last hash go together.
        var end = min(page.limit, rest.count)
        while end > 0, end < rest.count, rest[end].hash == rest[end - 1].hash { end += 1 }
        return (rest[..<end].map(\.element), end < rest.count ? rest[end].hash : nil)
    }
}

extension StateContent {
    /// A page of an object's content.
    init(
        of key: ObjectKey, _ kind: ObjectKind, _ page: StatePage, in replica: borrowing Replica, _ now: StateTime
    ) throws(StateError) {
        switch kind {
        case .string: self = try replica.get(key, now).map { .bytes($0) } ?? .none
        case .hash:
            let (fields, next) = Self.page(page, of: try replica.hashAll(key, now)) { $0.field }
            self = .fields(fields, next: next)
        case .set: self = Self.list(page, try replica.setMembers(key, now))
        case .removeWinsSet: self = Self.list(page, try replica.removeWinsMembers(key, now))
        case .growSet: self = Self.list(page, try replica.growMembers(key, now))
        case .scoredSet:
            let (start, end, next) = Self.ranks(page, of: try replica.scoreCount(key, now))
            self = .scored(
                start > end ? [] : try replica.scoreRange(key, .ranks(start, end), reversed: false, offset: 0, count: nil, now), next: next)
        case .list:
            let (start, end, next) = Self.ranks(page, of: try replica.listLength(key, now))
            self = .list(start > end ? [] : try replica.listRange(key, start: start, end: end, now), next: next)
        case .hyperLogLog: self = .integer(Int64(try replica.countEstimate([key], now)))
        case .counter: self = .integer(try replica.counterValue(key, now))
        case .boundedCounter: self = .integer(try replica.boundedValue(key, now))
        case .register: self = try replica.registerValue(key, now).map { .bytes($0) } ?? .none
        case .multiRegister: self = .list(try replica.multiValues(key, now), next: nil)
        case .enableWinsFlag, .disableWinsFlag: self = .truth(try replica.flagValue(key, now))
        case .text: self = .bytes(Bytes(try replica.textValue(key, now)))
        case .document: self = .tree(try StateTree(of: key, at: [], in: replica, now))
        }
    }

    private static func list(_ page: StatePage, _ members: [Bytes]) -> StateContent {
        let (elements, next) = Self.page(page, of: members) { $0 }
        return .list(elements, next: next)
    }
}

/// A nested map.
indirect enum StateTree: Sendable {
    case leaf(Bytes)
    case branch([(key: Bytes, value: StateTree)])

    init(of key: ObjectKey, at path: [Bytes], in replica: borrowing Replica, _ now: StateTime) throws(StateError) {
        if !path.isEmpty, let value = try replica.documentValue(key, at: path, now) {
            self = .leaf(value)
            return
        }
        var members: [(key: Bytes, value: StateTree)] = []
        for name in try replica.documentKeys(key, at: path, now) ?? [] {
            members.append((name, try StateTree(of: key, at: path + [name], in: replica, now)))
        }
        self = .branch(members)
    }

    func write(into writer: inout StateJSONWriter) {
        switch self {
        case .leaf(let value): writer.value(value)
        case .branch(let members):
            writer.object { writer in
                for member in members {
                    writer.member(member.key)
                    member.value.write(into: &writer)
                }
            }
        }
    }
}
