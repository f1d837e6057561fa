// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel
import BrumeState
import FoundationEssentials
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

/// What a request to state asks for beside its operation: where, and how consistent.
struct StateRequest: Sendable {
    /// How far a call reaches.
    enum Consistency: Sendable, Hashable {
        case local, durable, exclusive
        case quorum(Int)
    }

    /// Longest wait for other nodes or the disk.
    static let patience = Duration.seconds(10)

    let space: SpaceName
    let consistency: Consistency
    /// What the session has seen; nil where the call belongs to none.
    let session: SessionToken?
    /// Whether the reply tells what the session has seen by then.
    let hasSession: Bool
    let ifMatch: String?
    let ifNoneMatch: String?

    /// - Throws: `BrumeError` (`invalid`).
    init(_ request: Request, _ context: GatewayContext) throws {
        let namespace = try Self.decoded(context.parameters.require("name"))
        var database = 0
        if let text = request.field("X-State-Database") {
            guard let number = Int(text) else {
                throw BrumeError(.invalid, "The field X-State-Database is '\(text.prefix(32))'; write a number.")
            }
            database = number
        }
        do throws(StateError) {
            space = try SpaceName(namespace, database: database)
            session = try request.field("X-State-Session").map { text throws(StateError) in try SessionToken(text: text) }
        } catch {
            // A token that cannot be read is the caller's mistake, not damage in the node.
            throw error.kind == .corrupt ? BrumeError(.invalid, error.message) : error.asBrumeError
        }
        consistency = try Self.consistency(request.field("X-State-Consistency"))
        hasSession = session != nil || request.field("X-State-Consistency") == "session"
        ifMatch = request.headers[.ifMatch]
        ifNoneMatch = request.headers[.ifNoneMatch]
    }

    private static func consistency(_ text: String?) throws(BrumeError) -> Consistency {
        switch text {
        case nil, "local", "session": return .local
        case "durable": return .durable
        case "exclusive": return .exclusive
        case let text?:
            if text.hasPrefix("quorum("), text.hasSuffix(")"), let count = Int(text.dropFirst(7).dropLast()), count >= 1 {
                return .quorum(count)
            }
            throw BrumeError(
                .invalid,
                "The field X-State-Consistency is '\(text.prefix(32))'; write local, session, durable, quorum(N) or exclusive.")
        }
    }

    /// A segment of a path without its percent signs.
    static func decoded(_ segment: String) throws(BrumeError) -> String {
        var bytes: [UInt8] = []
        var rest = Array(segment.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            let digits = rest.prefix(2).compactMap { Character(Unicode.Scalar($0)).hexDigitValue }
            guard digits.count == 2 else { throw unreadable }
            bytes.append(UInt8(digits[0] << 4 | digits[1]))
            rest = rest.dropFirst(2)
        }
        guard let text = String(validating: bytes, as: UTF8.self), !text.isEmpty else { throw unreadable }
        return text
    }

    private static var unreadable: BrumeError {
        BrumeError(.invalid, "The path cannot be read; write it in UTF-8 and escape what is special with percent signs.")
    }

    /// How far a write must have come before it is answered.
    func settlement(_ standard: Settlement) -> Settlement {
        switch consistency {
        case .local, .exclusive: standard
        case .durable: .durable
        case .quorum(let count): .replicas(count)
        }
    }

    /// What a call needs before it may look at a key.
    func needs(_ key: ObjectKey) -> [StateNeed] {
        var needs: [StateNeed] = [.present([key])]
        if let session { needs.append(.session(session)) }
        switch consistency {
        case .local, .durable: break
        case .exclusive: needs.append(.exclusive(key))
        case .quorum(let count): needs.append(.quorum([key], count))
        }
        return needs
    }
}

extension Request {
    /// A header field by name, or nil where it is missing or empty.
    func field(_ name: String) -> String? {
        guard let name = HTTPField.Name(name), let value = headers[name], !value.isEmpty else { return nil }
        return value
    }
}

extension StateAccess {
    /// Waits for what a call needs.
    ///
    /// - Throws: `BrumeError`.
    func ready(_ need: StateNeed) async throws(BrumeError) {
        let error = await withCheckedContinuation { continuation in
            whenReady(need, within: StateRequest.patience) { continuation.resume(returning: $0) }
        }
        if let error { throw error.asBrumeError }
    }

    /// Waits until a write has come as far as the call asks.
    ///
    /// - Throws: `BrumeError`.
    func settled(_ mark: WriteMark, _ level: Settlement) async throws(BrumeError) {
        if level == .accepted { return }
        let error = await withCheckedContinuation { continuation in
            whenSettled(mark, level, within: StateRequest.patience) { continuation.resume(returning: $0) }
        }
        if let error { throw error.asBrumeError }
    }
}
