// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel
import BrumeState
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

/// Objects of state over HTTP: one resource for each, with versions as entity tags, and a stream of changes.
///
/// `:name` is the namespace, `:id` the object; both without slashes, which are written `%2F`.
struct StateRoutes: Sendable {
    /// Nil where the node keeps no state.
    let access: (any StateAccess)?
    /// What the shell round the replica counts, for `/v1/state`.
    let figures: @Sendable () -> [(name: String, value: Double)]

    /// Most objects of a listing, and elements of an object, that one request may ask for: some 100 KB of JSON, made in a millisecond.
    static let limitMax = 10_000
    static let limitDefault = 1_000
    /// Largest body of a write: an object of several of the largest values, in base64.
    static let bodyBytesMax = 32 << 20

    var routes: [Route] {
        [
            Route("/v1/state", [(.get, { _, _ in try stats() })]),
            Route("/v1/keep", [(.get, keepers)]),
            Route("/v1/keep/:name", [(.get, keeper), (.put, keep)]),
            Route("/v1/state/:name", [(.get, list), (.post, batch)]),
            Route("/v1/state/:name/:id", [(.get, read), (.put, write), (.post, change), (.delete, remove)]),
        ]
    }

    func state() throws(BrumeError) -> any StateAccess {
        guard let access else { throw BrumeError(.unsupported, "This node keeps no state; ask a node that was started with brume up.") }
        return access
    }

    // MARK: The node's

    private func stats() throws -> Response {
        let spaces = try state().withReplica { replica, _ in
            replica.allSpaces().map { (name: replica.name(of: $0), objects: replica.size(of: $0)) }
        }
        var writer = StateJSONWriter()
        writer.object { writer in
            writer.key("spaces")
            writer.list { writer in
                for space in spaces {
                    writer.object { writer in
                        writer.key("namespace")
                        writer.value(space.name.namespace)
                        writer.key("database")
                        writer.value(space.name.database)
                        writer.key("objects")
                        writer.value(space.objects)
                    }
                }
            }
            writer.key("figures")
            writer.object { writer in
                for figure in figures() {
                    writer.member(Bytes(figure.name))
                    writer.value(figure.value)
                }
            }
        }
        return Self.json(writer)
    }

    // MARK: A namespace's

    private func list(_ request: Request, _ context: GatewayContext) async throws -> Response {
        if request.headers[.accept]?.contains("text/event-stream") == true {
            return try StateChanges(access: try state()).stream(request, try StateRequest(request, context).space, name: nil)
        }
        let access = try state()
        let asked = try StateRequest(request, context)
        let limit = try request.queryNumber("limit", in: 1...Self.limitMax) ?? Self.limitDefault
        let pattern = request.query("match").map { StatePattern($0) }
        let cursor = try Self.cursor(request)
        // All of it, since nobody can say yet which objects there are.
        let all = try access.withReplica { replica, _ throws(StateError) in ObjectKey(try replica.space(asked.space), Bytes()) }
        try await access.ready(.present([all]))
        let found = try access.withReplica { replica, now throws(StateError) in
            let space = try replica.space(asked.space)
            let (next, keys) = replica.scan(space, cursor: cursor, count: limit, now)
            let entries = keys.filter { pattern?.matches($0.name) ?? true }.map { entry in
                let key = ObjectKey(space, entry.name)
                return StateEntry(
                    name: entry.name, kind: entry.kind, version: replica.version(of: key, now), expiry: replica.expiry(of: key, now))
            }
            return (next: next, entries: entries)
        }
        var writer = StateJSONWriter()
        writer.object { writer in
            writer.key("objects")
            writer.list { writer in for entry in found.entries { writer.object { entry.write(into: &$0) } } }
            if found.next > 0 {
                writer.key("next")
                writer.value(String(found.next))
            }
        }
        return Self.json(writer)
    }

    static func cursor(_ request: Request) throws(BrumeError) -> UInt64 {
        guard let text = request.query("cursor") else { return 0 }
        guard let cursor = UInt64(text) else {
            throw BrumeError(.invalid, "The parameter 'cursor' is '\(text.prefix(32))'; write what the field 'next' of the last page said.")
        }
        return cursor
    }

    // MARK: Replies

    static func json(_ writer: StateJSONWriter, _ headers: HTTPFields = [:], status: HTTPResponse.Status = .ok) -> Response {
        var headers = headers
        headers[.contentType] = "application/json"
        return Response(status: status, headers: headers, body: ResponseBody(byteBuffer: writer.buffer))
    }

    /// An object's version as an entity tag.
    static func tag(_ version: UInt64) -> String { "\"\(String(version, radix: 16))\"" }
}

/// An object in a listing.
struct StateEntry: Sendable {
    let name: Bytes
    let kind: ObjectKind
    let version: UInt64?
    let expiry: KeyExpiry

    init(name: Bytes, kind: ObjectKind, version: UInt64?, expiry: KeyExpiry) {
        (self.name, self.kind, self.version, self.expiry) = (name, kind, version, expiry)
    }

    /// Nil where there is no such object.
    init?(_ key: ObjectKey, in replica: borrowing Replica, _ now: StateTime) {
        guard let kind = replica.kind(of: key, now) else { return nil }
        self.init(name: key.name, kind: kind, version: replica.version(of: key, now), expiry: replica.expiry(of: key, now))
    }

    /// Writes the members of its JSON object.
    func write(into writer: inout StateJSONWriter) {
        writer.key("name")
        writer.value(name)
        writer.key("kind")
        writer.value(kind.word)
        if let version {
            writer.key("version")
            writer.value(StateRoutes.tag(version))
        }
        if case .at(let milliseconds) = expiry {
            writer.key("expires")
            writer.value(Timestamp.write(Instant(nanoseconds: milliseconds.multipliedReportingOverflow(by: 1_000_000).partialValue)))
        }
    }
}

extension ObjectKind {
    /// The kind in requests and replies; unlike the word of Redis' `TYPE` it is one for each kind.
    var word: String { self == .hyperLogLog ? "hyperloglog" : name }

    init?(word: String) {
        guard let kind = Self.allCases.first(where: { $0.word == word }) else { return nil }
        self = kind
    }
}

/// `*` for anything, `?` for one character, everything else for itself.
struct StatePattern: Sendable {
    private let pattern: [UInt8]

    init(_ text: String) { pattern = Array(text.utf8) }

    func matches(_ name: Bytes) -> Bool {
        let text = name.array
        var place = 0
        var index = 0
        // Where to go on if the last star has to stand for one more byte.
        var star: (pattern: Int, text: Int)?
        while index < text.count {
            if place < pattern.count, pattern[place] == UInt8(ascii: "*") {
                star = (place + 1, index)
                place += 1
            } else if place < pattern.count, pattern[place] == UInt8(ascii: "?") || pattern[place] == text[index] {
                place += 1
                index += 1
            } else if let last = star {
                star = (last.pattern, last.text + 1)
                (place, index) = (last.pattern, last.text + 1)
            } else {
                return false
            }
        }
        return pattern[place...].allSatisfy { $0 == UInt8(ascii: "*") }
    }
}
