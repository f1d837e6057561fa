// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel
import BrumeState
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

/// One object: read, replaced, changed, removed.
extension StateRoutes {
    /// What came of a write under a condition.
    private enum Written<Value: Sendable>: Sendable {
        case done(Value, StateReceipt)
        /// The object is not what the request says it must be.
        case refused(version: UInt64?)
    }

    func read(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let name = try Self.name(context)
        let asked = try StateRequest(request, context)
        if request.headers[.accept]?.contains("text/event-stream") == true {
            return try StateChanges(access: try state()).stream(request, asked.space, name: name)
        }
        if let place = try Self.place(request) { return try await readElement(asked, name, place) }
        let page = StatePage(
            cursor: try Self.cursor(request), limit: try request.queryNumber("limit", in: 1...Self.limitMax) ?? Self.limitDefault)
        let wantsIDs = try request.queryTruth("ids") ?? false
        let key = try await prepare(asked, name)
        let found = try locked { replica, now throws(StateError) -> StateReading<StateContent>? in
            guard let entry = StateEntry(key, in: replica, now) else { return nil }
            let content = try StateContent(of: key, entry.kind, page, in: replica, now)
            let ids = wantsIDs ? try StateElement.ids(of: key, entry.kind, page, in: replica, now) : nil
            return StateReading(entry: entry, content: content, ids: ids, receipt: StateReceipt(asked, key, &replica, now))
        }
        guard let found else { throw Self.missing(name, asked.space) }
        var headers = found.receipt.headers
        headers[.cacheControl] = "no-cache"
        if let tag = headers[.eTag], asked.ifNoneMatch?.contains(tag) == true { return Response(status: .notModified, headers: headers) }
        if request.headers[.accept]?.contains("application/octet-stream") == true, case .bytes(let bytes) = found.content {
            headers[.contentType] = "application/octet-stream"
            return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes.array)))
        }
        var writer = StateJSONWriter()
        writer.object { writer in
            found.entry.write(into: &writer)
            writer.key("value")
            found.content.write(into: &writer)
            if let ids = found.ids {
                writer.key("ids")
                writer.list { writer in for id in ids { writer.value(id) } }
            }
            if let next = found.content.next {
                writer.key("next")
                writer.value(String(next))
            }
        }
        return Self.json(writer, headers)
    }

    /// Makes an object what the body says, whatever it was.
    func write(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let name = try Self.name(context)
        let asked = try StateRequest(request, context)
        let isRaw = request.headers[.contentType]?.hasPrefix("application/octet-stream") == true
        let body = try await request.wholeBody(limit: Self.bodyBytesMax)
        let wanted = isRaw ? StateOperation.replace(.string, .bytes(Bytes(copying: body.readableBytesView))) : try Self.replacement(body)
        let deadline = try Self.deadline(request)
        let key = try await prepare(asked, name)
        let written = try locked { replica, now throws(StateError) -> Written<Bool> in
            let version = replica.version(of: key, now)
            guard asked.allows(version) else { return .refused(version: version) }
            try replica.atomically { replica throws(StateError) in
                _ = try wanted.perform(on: key, in: &replica, now)
                if let deadline { _ = try replica.expire(key, at: deadline.moment(now), .always, now) }
            }
            return .done(version == nil, StateReceipt(asked, key, &replica, now))
        }
        return try await reply(written, asked) { isNew, receipt in
            Response(status: isNew ? .created : .noContent, headers: receipt.headers)
        }
    }

    /// Performs one operation on an object.
    func change(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let name = try Self.name(context)
        let asked = try StateRequest(request, context)
        let fields = try JSONFields(parsing: try await request.wholeBody(limit: Self.bodyBytesMax))
        let operation = try StateOperation(fields)
        let key = try await prepare(asked, name, also: operation.need)
        let written = try locked { replica, now throws(StateError) -> Written<StateContent> in
            let version = replica.version(of: key, now)
            guard asked.allows(version) else { return .refused(version: version) }
            let result = try operation.perform(on: key, in: &replica, now)
            return .done(result, StateReceipt(asked, key, &replica, now))
        }
        return try await reply(written, asked) { result, receipt in
            var writer = StateJSONWriter()
            writer.object { writer in
                writer.key("result")
                result.write(into: &writer)
                result.writeIDs(into: &writer)
                if let version = receipt.version {
                    writer.key("version")
                    writer.value(Self.tag(version))
                }
            }
            return Self.json(writer, receipt.headers)
        }
    }

    func remove(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let name = try Self.name(context)
        let asked = try StateRequest(request, context)
        let key = try await prepare(asked, name)
        let written = try locked { replica, now throws(StateError) -> Written<Bool> in
            let version = replica.version(of: key, now)
            guard asked.allows(version) else { return .refused(version: version) }
            return .done(replica.delete([key], now) > 0, StateReceipt(asked, key, &replica, now))
        }
        return try await reply(written, asked) { wasThere, receipt in
            guard wasThere else { throw Self.missing(name, asked.space) }
            return Response(status: .noContent, headers: receipt.headers)
        }
    }

    /// Performs several operations on objects of one namespace, which become visible together everywhere.
    func batch(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let asked = try StateRequest(request, context)
        let fields = try JSONFields(parsing: try await request.wholeBody(limit: Self.bodyBytesMax))
        let operations = try fields.objects("operations").map { fields throws(BrumeError) in
            guard let name = try fields.string("name"), !name.isEmpty else {
                throw BrumeError(.invalid, "Each operation of a batch needs the field 'name'.")
            }
            return (name: Bytes(name), operation: try StateOperation(fields))
        }
        guard !operations.isEmpty else { throw BrumeError(.invalid, "The field 'operations' is empty; give at least one operation.") }
        let first = try await prepare(asked, operations[0].name)
        for (name, operation) in operations { _ = try await prepare(asked, name, also: operation.need) }
        let written = try locked { replica, now throws(StateError) -> Written<[StateContent]> in
            let results = try replica.atomically { replica throws(StateError) in
                var results: [StateContent] = []
                for (name, operation) in operations {
                    results.append(try operation.perform(on: ObjectKey(first.space, name), in: &replica, now))
                }
                return results
            }
            return .done(results, StateReceipt(asked, first, &replica, now))
        }
        return try await reply(written, asked) { results, receipt in
            var writer = StateJSONWriter()
            writer.object { writer in
                writer.key("results")
                writer.list { writer in for result in results { result.write(into: &writer) } }
            }
            var headers = receipt.headers
            headers[.eTag] = nil
            return Self.json(writer, headers)
        }
    }

    // MARK: Steps

    /// Finds the key, and waits until what the call asks for is here.
    func prepare(
        _ asked: StateRequest, _ name: Bytes, also need: (@Sendable (ObjectKey) -> StateNeed?)? = nil
    ) async throws -> ObjectKey {
        let key = try locked { replica, _ throws(StateError) in ObjectKey(try replica.space(asked.space), name) }
        let access = try state()
        for need in asked.needs(key) { try await access.ready(need) }
        if let need = need?(key) { try await access.ready(need) }
        return key
    }

    func locked<Value>(_ body: (inout Replica, StateTime) throws(StateError) -> Value) throws(BrumeError) -> Value {
        let access = try state()
        do throws(StateError) {
            return try access.withReplica(body)
        } catch {
            throw error.asBrumeError
        }
    }

    /// Waits until the write has come as far as was asked, then answers.
    private func reply<Value>(
        _ written: Written<Value>, _ asked: StateRequest, _ answer: (Value, StateReceipt) throws -> Response
    ) async throws -> Response {
        switch written {
        case .refused(let version):
            var headers = HTTPFields()
            if let version { headers[.eTag] = Self.tag(version) }
            return Reply.text(
                .preconditionFailed, "The object is not what If-Match or If-None-Match says; read it again.", headers: headers)
        case .done(let value, let receipt):
            try await state().settled(receipt.mark, asked.settlement(receipt.standard))
            return try answer(value, receipt)
        }
    }

    private static func name(_ context: GatewayContext) throws -> Bytes {
        Bytes(try StateRequest.decoded(context.parameters.require("id")))
    }

    static func missing(_ name: Bytes, _ space: SpaceName) -> BrumeError {
        BrumeError(.notFound, "There is no object '\(name.text.prefix(64))' in the namespace '\(space)'.")
    }

    private static func replacement(_ body: ByteBuffer) throws(BrumeError) -> StateOperation {
        let fields = try JSONFields(parsing: body)
        let word = try fields.string("kind") ?? "string"
        guard let kind = ObjectKind(word: word) else { throw StateOperation.unknown(kind: word) }
        guard let value = fields["value"] else {
            throw BrumeError(.invalid, "The request has no field 'value'; give what the object shall be.")
        }
        return .replace(kind, try StateOperand(value))
    }

    private static func deadline(_ request: Request) throws(BrumeError) -> StateDeadline? {
        if let text = request.field("X-State-Expires-In") {
            guard let seconds = Double(text), seconds > 0, seconds < 1e10 else {
                throw BrumeError(.invalid, "The field X-State-Expires-In is '\(text.prefix(32))'; write seconds above 0.")
            }
            return .after(milliseconds: Int64(seconds * 1_000))
        }
        guard let text = request.field("X-State-Expires") else { return nil }
        return .at(milliseconds: try Timestamp.read(text).milliseconds)
    }
}

/// When an object ceases to exist.
enum StateDeadline: Sendable {
    case after(milliseconds: Int64)
    case at(milliseconds: Int64)

    func moment(_ now: StateTime) -> Int64 {
        switch self {
        case .after(let milliseconds): Int64(clamping: now.wallMilliseconds) + milliseconds
        case .at(let milliseconds): milliseconds
        }
    }
}

/// Which elements of a large object are wanted.
struct StatePage: Sendable {
    let cursor: UInt64
    let limit: Int
}

/// What a request reads of an object.
struct StateReading<Content: Sendable>: Sendable {
    let entry: StateEntry
    let content: Content
    /// What names the elements of a list, where they were asked for.
    var ids: [String]?
    let receipt: StateReceipt
}

/// What a reply says about an object beside its content.
struct StateReceipt: Sendable {
    let version: UInt64?
    let mark: WriteMark
    /// How far a write must come in this namespace unless the call says more.
    let standard: Settlement
    private let token: SessionToken?

    init(_ asked: StateRequest, _ key: ObjectKey, _ replica: inout Replica, _ now: StateTime) {
        version = replica.version(of: key, now)
        mark = replica.mark
        standard = replica.settlement(of: key.space)
        guard asked.hasSession else {
            token = nil
            return
        }
        var token = replica.token()
        if let session = asked.session { token.merge(session) }
        self.token = token
    }

    var headers: HTTPFields {
        var headers = HTTPFields()
        if let version { headers[.eTag] = StateRoutes.tag(version) }
        if let token, let name = HTTPField.Name("X-State-Session") { headers[name] = token.text }
        return headers
    }
}

extension StateRequest {
    /// Whether an object of the version may be changed.
    func allows(_ version: UInt64?) -> Bool {
        let tag = version.map { StateRoutes.tag($0) }
        if let ifMatch {
            guard let tag, ifMatch == "*" || ifMatch.contains(tag) else { return false }
        }
        if let ifNoneMatch, let tag {
            guard ifNoneMatch != "*", !ifNoneMatch.contains(tag) else { return false }
        }
        return true
    }
}
