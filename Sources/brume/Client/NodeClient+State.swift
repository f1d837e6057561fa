// SPDX-License-Identifier: Apache-2.0
import AsyncHTTPClient
import BrumeModel
import NIOCore
import NIOHTTP1

/// Where an object of state lives.
struct StatePlace: Sendable {
    var namespace: String
    var database: Int

    /// The path of the place, or of an object in it.
    func path(_ name: String? = nil) -> String {
        "/v1/state/\(NodeClient.escape(namespace))" + (name.map { "/\(NodeClient.escape($0))" } ?? "")
    }

    var headers: [HeaderField] { database == 0 ? [] : [HeaderField("x-state-database", "\(database)")] }
}

/// The verbs of state, one method each.
extension NodeClient {
    /// Objects of one page of a listing, and elements of one page of an object.
    static let statePage = 1_000

    func stateStats() async throws -> StateStatsReport { try await fetch(StateStatsReport.self, "/v1/state") }

    func stateKeepers() async throws -> StateKeepListReport { try await fetch(StateKeepListReport.self, "/v1/keep") }

    func stateKeepers(of namespace: String) async throws -> StateKeepReport {
        try await fetch(StateKeepReport.self, "/v1/keep/\(Self.escape(namespace))")
    }

    /// Says who keeps a namespace, and tells what holds then.
    func keepState(_ namespace: String, _ policy: String) async throws -> StateKeepReport {
        let path = "/v1/keep/\(Self.escape(namespace))"
        let response = try await api(.PUT, path, headers: Self.jsonHeaders, body: Self.json(["keep": policy]))
        return try await decode(StateKeepReport.self, response, path)
    }

    func stateObjects(_ place: StatePlace, matching pattern: String?, from cursor: String?) async throws -> StatePageReport {
        let response = try await api(
            .GET, place.path(), query: [("match", pattern), ("cursor", cursor), ("limit", "\(Self.statePage)")], headers: place.headers)
        return try await decode(StatePageReport.self, response, place.path())
    }

    /// One page of an object.
    func stateObject(
        _ place: StatePlace, _ name: String, from cursor: String? = nil, query: [(name: String, value: String?)] = [],
        headers: [HeaderField] = []
    ) async throws -> StateObjectReport {
        let path = place.path(name)
        let response = try await api(
            .GET, path, query: [("cursor", cursor), ("limit", "\(Self.statePage)")] + query, headers: place.headers + headers)
        return try await decode(StateObjectReport.self, response, path)
    }

    /// A whole object, page by page, or the one element of it that the query asks for.
    func wholeStateObject(
        _ place: StatePlace, _ name: String, query: [(name: String, value: String?)] = [], headers: [HeaderField] = []
    ) async throws -> StateObjectReport {
        var object = try await stateObject(place, name, query: query, headers: headers)
        while let cursor = object.next {
            let more = try await stateObject(place, name, from: cursor, query: query, headers: headers)
            object.next = more.next
            object.ids = object.ids.map { $0 + (more.ids ?? []) }
            switch (object.value, more.value) {
            case (.list(let items), .list(let further)): object.value = .list(items + further)
            case (.object(let fields), .object(let further)): object.value = .object(fields.merging(further) { _, new in new })
            // It became something else meanwhile; what it is now counts.
            default: object = more
            }
        }
        return object
    }

    func putState(_ place: StatePlace, _ name: String, _ document: StateObjectReport, headers: [HeaderField] = []) async throws {
        let response = try await api(
            .PUT, place.path(name), headers: place.headers + headers + Self.jsonHeaders, body: Self.json(document))
        _ = try? await response.body.collect(upTo: Self.documentBytesMax)
    }

    func changeState(
        _ place: StatePlace, _ name: String, _ operation: StateOperation, headers: [HeaderField] = []
    ) async throws -> StateResult {
        let path = place.path(name)
        let response = try await api(.POST, path, headers: place.headers + headers + Self.jsonHeaders, body: Self.json(operation))
        return try await decode(StateResult.self, response, path)
    }

    func removeState(_ place: StatePlace, _ name: String, headers: [HeaderField] = []) async throws {
        let response = try await api(.DELETE, place.path(name), headers: place.headers + headers)
        _ = try? await response.body.collect(upTo: Self.documentBytesMax)
    }

    /// Hands on each change until the connection ends.
    func watchState(_ place: StatePlace, _ name: String?, _ onEvent: (String) throws -> Void) async throws {
        let headers = place.headers + [HeaderField("accept", "text/event-stream")]
        let response = try await api(.GET, place.path(name), headers: headers, within: Self.callTimeout)
        var rest = ByteBuffer()
        for try await chunk in response.body {
            var chunk = chunk
            rest.writeBuffer(&chunk)
            while let end = rest.readableBytesView.firstIndex(of: UInt8(ascii: "\n")) {
                let line = rest.readString(length: end - rest.readerIndex) ?? ""
                rest.moveReaderIndex(forwardBy: 1)
                if line.hasPrefix("data: ") { try onEvent(String(line.dropFirst(6))) }
            }
            rest.discardReadBytes()
            guard rest.readableBytes <= Self.documentBytesMax else {
                throw CommandFailure.failed("The node sent an event of more than \(Wording.bytes(Self.documentBytesMax)).")
            }
        }
    }
}
