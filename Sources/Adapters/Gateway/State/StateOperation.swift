// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel
import BrumeState

/// What a request does to an object.
enum StateOperation: Sendable {
    /// Makes the object this, whatever it was.
    case replace(ObjectKind, StateOperand)
    case increment(kind: ObjectKind?, by: StateOperand)
    case add(kind: ObjectKind?, StateOperand)
    case remove(StateOperand)
    /// Fields of a hash, the value of a register or a flag.
    case set(kind: ObjectKind?, StateOperand)
    /// Elements of a list, or characters of a text, at an index or beside an element.
    case splice(kind: ObjectKind?, StateEdit)
    case expire(milliseconds: Int64)
    case persist
    case delete

    /// Words of `op`.
    static let words = ["add", "cut", "delete", "expire", "incr", "insert", "persist", "remove", "replace", "set"]

    /// Reads the fields `op`, `kind` and what the operation needs.
    ///
    /// - Throws: `BrumeError` (`invalid`).
    init(_ fields: JSONFields) throws(BrumeError) {
        var kind: ObjectKind?
        if let word = try fields.string("kind") {
            kind = ObjectKind(word: word)
            if kind == nil { throw Self.unknown(kind: word) }
        }
        switch try fields.string("op") {
        case "replace":
            if let place = try Self.place(fields, isInsertion: false) {
                let edit = StateEdit(place: place, count: try fields.integer("count") ?? 1, content: try Self.items(fields))
                self = .splice(kind: kind, edit)
            } else {
                self = .replace(kind ?? .string, try Self.operand(fields, "value"))
            }
        case "incr":
            self = .increment(kind: kind, by: try fields["by"].map { value throws(BrumeError) in try StateOperand(value) } ?? .integer(1))
        case "add": self = .add(kind: kind, try Self.operand(fields, "members"))
        case "remove": self = .remove(try Self.operand(fields, "members"))
        case "set":
            self = .set(kind: kind, try Self.operand(fields, fields["fields"] == nil ? "value" : "fields"))
        case "insert":
            let place = try Self.place(fields, isInsertion: true) ?? .index(-1)
            self = .splice(kind: kind, StateEdit(place: place, count: 0, content: try Self.items(fields)))
        case "cut":
            let place = try Self.place(fields, isInsertion: false) ?? .index(0)
            self = .splice(kind: kind, StateEdit(place: place, count: try fields.integer("count") ?? 1, content: nil))
        case "expire":
            guard let value = fields["seconds"], case .number(let text) = value, let seconds = Double(text), (0..<1e10).contains(seconds)
            else {
                throw BrumeError(.invalid, "The operation 'expire' needs the field 'seconds', 0 or more.")
            }
            self = .expire(milliseconds: Int64(seconds * 1_000))
        case "persist": self = .persist
        case "delete": self = .delete
        case let word:
            throw BrumeError(
                .invalid, "The field 'op' is '\((word ?? "").prefix(32))'; write one of \(Self.words.joined(separator: ", ")).")
        }
    }

    private static func operand(_ fields: JSONFields, _ name: String) throws(BrumeError) -> StateOperand {
        guard let value = fields[name] else { throw BrumeError(.invalid, "The operation needs the field '\(name)'.") }
        return try StateOperand(value)
    }

    private static func items(_ fields: JSONFields) throws(BrumeError) -> StateOperand {
        try operand(fields, fields["items"] == nil ? "value" : "items")
    }

    static func unknown(kind: String) -> BrumeError {
        let words = ObjectKind.allCases.map(\.word).sorted().joined(separator: ", ")
        return BrumeError(.invalid, "The kind '\(kind.prefix(32))' is not known; write one of \(words).")
    }

    /// What must be here before the operation can run; rights that a bounded counter lacks are asked of other nodes.
    var need: (@Sendable (ObjectKey) -> StateNeed?)? {
        guard case .increment(.boundedCounter, .integer(let amount)) = self, (1 - Int64.max...(-1)).contains(amount) else { return nil }
        return { .rights($0, amount: -amount) }
    }

    // MARK: Performing

    /// - Throws: `StateError`; what was changed before stays changed.
    func perform(on key: ObjectKey, in replica: inout Replica, _ now: StateTime) throws(StateError) -> StateContent {
        switch self {
        case .replace(let kind, let value):
            try Self.replace(key, kind, value, in: &replica, now)
            return .none
        case .increment(let kind, let amount): return try Self.increment(key, kind, amount, in: &replica, now)
        case .add(let kind, let members): return try Self.add(key, kind, members, in: &replica, now)
        case .remove(let members): return try Self.remove(key, members, in: &replica, now)
        case .set(let kind, let value): return try Self.set(key, kind, value, in: &replica, now)
        case .splice(let kind, let edit): return try Self.splice(key, kind, edit, in: &replica, now)
        case .expire(let milliseconds):
            let moment = Int64(clamping: now.wallMilliseconds).addingReportingOverflow(milliseconds)
            return .truth(try replica.expire(key, at: moment.overflow ? .max : moment.partialValue, .always, now))
        case .persist: return .truth(replica.persist(key, now))
        case .delete: return .truth(replica.delete([key], now) > 0)
        }
    }

    private static func increment(
        _ key: ObjectKey, _ kind: ObjectKind?, _ amount: StateOperand, in replica: inout Replica, _ now: StateTime
    ) throws(StateError) -> StateContent {
        switch kind ?? replica.kind(of: key, now) ?? .string {
        case .counter: return .integer(try replica.counterAdd(key, try amount.whole(), now))
        case .boundedCounter: return .integer(try replica.boundedAdd(key, try amount.whole(), now))
        default:
            if case .integer(let whole) = amount { return .integer(try replica.increment(key, by: whole, now)) }
            return .bytes(try replica.increment(key, by: try amount.real(), now))
        }
    }

    private static func add(
        _ key: ObjectKey, _ kind: ObjectKind?, _ members: StateOperand, in replica: inout Replica, _ now: StateTime
    ) throws(StateError) -> StateContent {
        switch kind ?? replica.kind(of: key, now) ?? .set {
        case .scoredSet: return .integer(Int64(try replica.scoreAdd(key, try members.scoredMembers(), ScoreOptions(), now).added))
        case .list: return .integer(Int64(try replica.listPush(key, try members.elements(), atHead: false, onlyIfExists: false, now)))
        case .hyperLogLog: return .truth(try replica.countAdd(key, try members.elements(), now))
        case .removeWinsSet: return .integer(Int64(try replica.removeWinsAdd(key, try members.elements(), now)))
        case .growSet: return .integer(Int64(try replica.growAdd(key, try members.elements(), now)))
        default: return .integer(Int64(try replica.setAdd(key, try members.elements(), now)))
        }
    }

    private static func remove(
        _ key: ObjectKey, _ members: StateOperand, in replica: inout Replica, _ now: StateTime
    ) throws(StateError) -> StateContent {
        let elements = try members.elements()
        switch replica.kind(of: key, now) {
        case .hash: return .integer(Int64(try replica.hashRemove(key, elements, now)))
        case .scoredSet: return .integer(Int64(try replica.scoreRemove(key, elements, now)))
        case .removeWinsSet: return .integer(Int64(try replica.removeWinsRemove(key, elements, now)))
        case .list:
            var count = 0
            for element in elements { count += try replica.listRemove(key, count: 0, element, now) }
            return .integer(Int64(count))
        default: return .integer(Int64(try replica.setRemove(key, elements, now)))
        }
    }

    private static func set(
        _ key: ObjectKey, _ kind: ObjectKind?, _ value: StateOperand, in replica: inout Replica, _ now: StateTime
    ) throws(StateError) -> StateContent {
        var standard = ObjectKind.string
        if case .fields = value { standard = .hash }
        let kind = kind ?? replica.kind(of: key, now) ?? standard
        switch kind {
        case .hash: return .integer(Int64(try replica.hashSet(key, try value.pairs(), now)))
        case .register: try replica.registerSet(key, try value.element(), now)
        case .multiRegister: try replica.multiSet(key, try value.element(), now)
        case .enableWinsFlag, .disableWinsFlag: try replica.flagSet(key, try value.condition(), kind, now)
        case .string: try replica.set(key, try value.element(), now)
        case .document: try setDocument(key, value, at: [], in: &replica, now)
        default: throw StateError(.invalid, "A \(kind.word) has no single value to set; replace it, or add and remove.")
        }
        return .none
    }

    private static func replace(
        _ key: ObjectKey, _ kind: ObjectKind, _ value: StateOperand, in replica: inout Replica, _ now: StateTime
    ) throws(StateError) {
        if kind == .string { return try replica.set(key, try value.element(), now) }
        if kind == .register, replica.kind(of: key, now) == .register { return try replica.registerSet(key, try value.element(), now) }
        _ = replica.delete([key], now)
        switch kind {
        case .string: break
        case .hash: _ = try replica.hashSet(key, try value.pairs(), now)
        case .scoredSet: _ = try replica.scoreAdd(key, try value.scoredMembers(), ScoreOptions(), now)
        case .set, .list, .hyperLogLog, .removeWinsSet, .growSet: _ = try add(key, kind, value, in: &replica, now)
        case .counter: _ = try replica.counterAdd(key, try value.whole(), now)
        case .boundedCounter: _ = try replica.boundedAdd(key, try value.whole(), now)
        case .register: try replica.registerSet(key, try value.element(), now)
        case .multiRegister: for element in try value.elements() { try replica.multiSet(key, element, now) }
        case .enableWinsFlag, .disableWinsFlag: try replica.flagSet(key, try value.condition(), kind, now)
        case .text: try replica.textInsert(key, try value.element().text, at: 0, now)
        case .document: try setDocument(key, value, at: [], in: &replica, now)
        }
    }

    /// Sets every leaf of a tree of objects.
    private static func setDocument(
        _ key: ObjectKey, _ value: StateOperand, at path: [Bytes], in replica: inout Replica, _ now: StateTime
    ) throws(StateError) {
        guard case .fields(let fields) = value else {
            guard !path.isEmpty else { throw StateError(.invalid, "A document is an object in braces.") }
            return try replica.documentSet(key, try value.element(), at: path, now)
        }
        for (field, value) in fields { try setDocument(key, value, at: path + [field], in: &replica, now) }
    }
}
