// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel
import BrumeState
import HTTPTypes
import Hummingbird
import HummingbirdCore

/// Edits in the middle of lists and texts: where, and what comes of them.
extension StateOperation {
    /// Reads where an edit happens: an index in `at`, or the ID of an element in `element`, `before` or `after`. Nil where nothing is said.
    ///
    /// - Throws: `BrumeError` (`invalid`).
    static func place(_ fields: JSONFields, isInsertion: Bool) throws(BrumeError) -> SequencePlace? {
        var places: [SequencePlace] = []
        if let index = try fields.integer("at") { places.append(.index(index)) }
        if let id = try fields.string("before") { places.append(.before(try Dot(elementID: id))) }
        if let id = try fields.string("after") { places.append(.after(try Dot(elementID: id))) }
        if let id = try fields.string("element") {
            guard !isInsertion else {
                throw BrumeError(.invalid, "An insertion happens 'before' or 'after' an element; give its ID in one of these fields.")
            }
            places.append(.element(try Dot(elementID: id)))
        }
        guard places.count <= 1 else {
            throw BrumeError(.invalid, "The place of an edit is said twice; give one of 'at', 'element', 'before' and 'after'.")
        }
        return places.first
    }

    /// Takes elements out at a place, puts others there, or both.
    static func splice(
        _ key: ObjectKey, _ kind: ObjectKind?, _ edit: StateEdit, in replica: inout Replica, _ now: StateTime
    ) throws(StateError) -> StateContent {
        switch kind ?? replica.kind(of: key, now) ?? .list {
        case .text:
            // Several items are one piece of text: who edits by a command line need not know which kind he edits.
            let text = try edit.content?.elements().map(\.text).joined() ?? ""
            let result = try replica.textSplice(key, at: edit.place, removing: edit.count, inserting: text, now)
            guard edit.content != nil else { return .integer(Int64(result.removed.unicodeScalars.count)) }
            return .edited(count: result.count, first: result.first, inserted: 1)
        default:
            let elements = try edit.content?.elements() ?? []
            let result = try replica.listSplice(key, at: edit.place, removing: edit.count, inserting: elements, now)
            guard edit.content != nil else { return .list(result.removed, next: nil) }
            return .edited(count: result.count, first: result.first, inserted: elements.count)
        }
    }
}

/// What an edit takes out and puts in.
struct StateEdit: Sendable {
    let place: SequencePlace
    /// How many elements or characters it takes out.
    let count: Int
    /// What it puts in; nil where it only takes out.
    let content: StateOperand?
}

/// An element of a list, or a character of a text, asked for by its place.
struct StateElement: Sendable {
    let index: Int
    let dot: Dot
    let value: Bytes

    init(
        of key: ObjectKey, _ kind: ObjectKind, at place: SequencePlace, in replica: borrowing Replica, _ now: StateTime
    ) throws(StateError) {
        switch kind {
        case .text:
            let found = try replica.textPlace(key, place, now)
            (index, dot, value) = (found.index, found.dot, Bytes(found.element))
        default: (index, dot, value) = try replica.listPlace(key, place, now)
        }
    }

    /// What names the elements of a page of a list.
    static func ids(
        of key: ObjectKey, _ kind: ObjectKind, _ page: StatePage, in replica: borrowing Replica, _ now: StateTime
    ) throws(StateError) -> [String] {
        guard kind == .list else {
            throw StateError(.invalid, "A \(kind.word) has no list of element IDs; leave 'ids' out. Of a text, ask for one place: 'at'.")
        }
        let (start, end, _) = StateContent.ranks(page, of: try replica.listLength(key, now))
        return start > end ? [] : try replica.listDots(key, start: start, end: end, now).map(\.elementID)
    }

    /// Writes the members of its JSON object.
    func write(into writer: inout StateJSONWriter) {
        writer.key("at")
        writer.value(index)
        writer.key("id")
        writer.value(dot.elementID)
        writer.key("value")
        writer.value(value)
    }
}

extension StateRoutes {
    /// Which one element a reading asks for; nil where it asks for the object.
    ///
    /// - Throws: `BrumeError` (`invalid`).
    static func place(_ request: Request) throws(BrumeError) -> SequencePlace? {
        if let id = request.query("element") { return .element(try Dot(elementID: id)) }
        guard request.query("at") != nil else { return nil }
        return try request.queryNumber("at", in: Int.min...Int.max).map { .index($0) }
    }

    /// One element of a list, or one character of a text: where it is now, and what names it.
    func readElement(_ asked: StateRequest, _ name: Bytes, _ place: SequencePlace) async throws -> Response {
        let key = try await prepare(asked, name)
        let found = try locked { replica, now throws(StateError) -> StateReading<StateElement>? in
            guard let entry = StateEntry(key, in: replica, now) else { return nil }
            let element = try StateElement(of: key, entry.kind, at: place, in: replica, now)
            return StateReading(entry: entry, content: element, receipt: StateReceipt(asked, key, &replica, now))
        }
        guard let found else { throw Self.missing(name, asked.space) }
        var headers = found.receipt.headers
        headers[.cacheControl] = "no-cache"
        if let tag = headers[.eTag], asked.ifNoneMatch?.contains(tag) == true { return Response(status: .notModified, headers: headers) }
        var writer = StateJSONWriter()
        writer.object { writer in
            found.entry.write(into: &writer)
            found.content.write(into: &writer)
        }
        return Self.json(writer, headers)
    }
}

extension Dot {
    /// The name of an element in requests and replies: it stays with the element wherever others' edits move it.
    var elementID: String { "\(String(site.rawValue, radix: 16))-\(String(sequence, radix: 16))" }

    /// - Throws: `BrumeError` (`invalid`).
    init(elementID text: String) throws(BrumeError) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, let site = UInt64(parts[0], radix: 16), let sequence = UInt64(parts[1], radix: 16), sequence > 0 else {
            throw BrumeError(.invalid, "'\(text.prefix(48))' is no ID of an element; take one from a reading with ids=true or at=INDEX.")
        }
        self.init(site: SiteID(rawValue: site), sequence: sequence)
    }

    /// The IDs of elements that were inserted in one go, at most as many as a page of a reading has.
    static func elementIDs(from first: Dot, count: Int) -> [String] {
        (0..<UInt64(min(count, StateRoutes.limitMax))).map { Dot(site: first.site, sequence: first.sequence + $0).elementID }
    }
}
