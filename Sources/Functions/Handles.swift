// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import NIOCore

/// Whatever can perform a command on state.
public protocol Objects: Sendable {
    func perform(_ command: [any StateWord]) async throws(StateFailure) -> Reply
}

extension Objects {
    // Making a handle asks nothing of the node.
    public func counter(_ name: String) -> Counter { Counter(name: name, state: self) }
    public func set<Element>(_ name: String, of: Element.Type = String.self) -> ObjectSet<Element> { ObjectSet(name: name, state: self) }
    public func map(_ name: String) -> ObjectMap { ObjectMap(name: name, state: self) }
    public func register<Value>(_ name: String, of: Value.Type) -> Register<Value> { Register(name: name, state: self) }
    public func list<Element>(_ name: String, of: Element.Type = String.self) -> ObjectList<Element> { ObjectList(name: name, state: self) }
    public func scores(_ name: String) -> Scores { Scores(name: name, state: self) }
    public func distinct(_ name: String) -> Distinct { Distinct(name: name, state: self) }
}

/// What a set or a list holds: anything that has a text form without loss.
public typealias StateElement = LosslessStringConvertible & Sendable

extension Reply {
    /// - Throws: `StateFailure` (`VALUE`) if the object holds something else.
    func element<Element: StateElement>(of name: String) throws(StateFailure) -> Element {
        guard let text, let element = Element(text) else {
            throw StateFailure(code: "VALUE", "An element of '\(name)' is no \(Element.self): '\((text ?? "").prefix(40))'.")
        }
        return element
    }

    func elements<Element: StateElement>(of name: String) throws(StateFailure) -> [Element] {
        var result: [Element] = []
        result.reserveCapacity(elements.count)
        for reply in elements { result.append(try reply.element(of: name)) }
        return result
    }
}

/// A whole number. Additions on different nodes all count; ``set(_:)`` begins anew.
public struct Counter: Sendable {
    public let name: String
    let state: any Objects

    /// - Returns: the new value on this node.
    @discardableResult
    public func add(_ amount: Int = 1) async throws(StateFailure) -> Int {
        Int(try await state.perform(["INCRBY", name, amount]).integer ?? 0)
    }

    public func set(_ value: Int) async throws(StateFailure) { _ = try await state.perform(["SET", name, value]) }

    public func value() async throws(StateFailure) -> Int {
        let reply = try await state.perform(["GET", name])
        if reply == .nothing { return 0 }
        guard let value = reply.integer else { throw StateFailure(code: "VALUE", "'\(name)' is no whole number.") }
        return Int(value)
    }
}

/// Distinct elements. Where one node adds what another removes at the same time, it stays.
public struct ObjectSet<Element: StateElement>: Sendable {
    public let name: String
    let state: any Objects

    /// - Returns: whether it is new on this node.
    @discardableResult
    public func insert(_ element: Element) async throws(StateFailure) -> Bool {
        try await state.perform(["SADD", name, element.description]).integer == 1
    }

    /// - Returns: whether it was there.
    @discardableResult
    public func remove(_ element: Element) async throws(StateFailure) -> Bool {
        try await state.perform(["SREM", name, element.description]).integer == 1
    }

    public func contains(_ element: Element) async throws(StateFailure) -> Bool {
        try await state.perform(["SISMEMBER", name, element.description]).integer == 1
    }

    public func count() async throws(StateFailure) -> Int { Int(try await state.perform(["SCARD", name]).integer ?? 0) }

    /// All elements, in no order.
    public func elements() async throws(StateFailure) -> [Element] { try await state.perform(["SMEMBERS", name]).elements(of: name) }
}

/// Texts by field. Fields are independent; of two writes to one field at the same time the later one wins, additions all count.
public struct ObjectMap: Sendable {
    public let name: String
    let state: any Objects

    public func set(_ field: String, to value: String) async throws(StateFailure) {
        _ = try await state.perform(["HSET", name, field, value])
    }

    public func value(of field: String) async throws(StateFailure) -> String? { try await state.perform(["HGET", name, field]).text }

    /// - Returns: the new value on this node.
    @discardableResult
    public func add(_ amount: Int, to field: String) async throws(StateFailure) -> Int {
        Int(try await state.perform(["HINCRBY", name, field, amount]).integer ?? 0)
    }

    /// - Returns: whether it was there.
    @discardableResult
    public func remove(_ field: String) async throws(StateFailure) -> Bool { try await state.perform(["HDEL", name, field]).integer == 1 }

    public func count() async throws(StateFailure) -> Int { Int(try await state.perform(["HLEN", name]).integer ?? 0) }

    public func all() async throws(StateFailure) -> [String: String] {
        let words = try await state.perform(["HGETALL", name]).elements
        var result: [String: String] = [:]
        for index in stride(from: 0, to: words.count - 1, by: 2) { result[words[index].text ?? ""] = words[index + 1].text ?? "" }
        return result
    }
}

/// Anything `Codable`, kept as JSON. Of two writes at the same time the later one wins.
public struct Register<Value: Codable & Sendable>: Sendable {
    public let name: String
    let state: any Objects

    public func set(_ value: Value) async throws {
        _ = try await state.perform(["SET", name, ByteBuffer(bytes: try JSONEncoder().encode(value))])
    }

    /// - Throws: `StateFailure` (`VALUE`) if the object holds something else.
    public func value() async throws(StateFailure) -> Value? {
        guard case .bytes(let bytes) = try await state.perform(["GET", name]) else { return nil }
        do {
            return try JSONDecoder().decode(Value.self, from: Data(bytes.readableBytesView))
        } catch {
            throw StateFailure(code: "VALUE", "'\(name)' holds no \(Value.self): \(error).")
        }
    }
}

/// A sequence. What nodes insert at one place at the same time all stays, never interleaved.
public struct ObjectList<Element: StateElement>: Sendable {
    public let name: String
    let state: any Objects

    /// - Returns: the new length on this node.
    @discardableResult
    public func append(_ elements: Element...) async throws(StateFailure) -> Int {
        Int(try await state.perform(["RPUSH", name] + elements.map(\.description)).integer ?? 0)
    }

    public func popFirst() async throws(StateFailure) -> Element? {
        let reply = try await state.perform(["LPOP", name])
        return reply == .nothing ? nil : try reply.element(of: name)
    }

    public func popLast() async throws(StateFailure) -> Element? {
        let reply = try await state.perform(["RPOP", name])
        return reply == .nothing ? nil : try reply.element(of: name)
    }

    public func count() async throws(StateFailure) -> Int { Int(try await state.perform(["LLEN", name]).integer ?? 0) }

    public func elements(_ range: Range<Int>? = nil) async throws(StateFailure) -> [Element] {
        if let range, range.isEmpty { return [] }
        return try await state.perform(["LRANGE", name, range?.lowerBound ?? 0, range.map { $0.upperBound - 1 } ?? -1]).elements(of: name)
    }
}

/// Texts ranked by a number. Increments on different nodes all count.
public struct Scores: Sendable {
    public let name: String
    let state: any Objects

    public func set(_ element: String, to score: Double) async throws(StateFailure) {
        _ = try await state.perform(["ZADD", name, score, element])
    }

    /// - Returns: the new score on this node.
    @discardableResult
    public func add(_ amount: Double, to element: String) async throws(StateFailure) -> Double {
        try await state.perform(["ZINCRBY", name, amount, element]).text.flatMap { Double($0) } ?? 0
    }

    public func score(of element: String) async throws(StateFailure) -> Double? {
        try await state.perform(["ZSCORE", name, element]).text.flatMap { Double($0) }
    }

    /// The highest scores first.
    public func top(_ count: Int) async throws(StateFailure) -> [(element: String, score: Double)] {
        guard count > 0 else { return [] }
        let words = try await state.perform(["ZREVRANGE", name, 0, count - 1, "WITHSCORES"]).elements
        return stride(from: 0, to: words.count - 1, by: 2).map { index in
            (words[index].text ?? "", words[index + 1].text.flatMap { Double($0) } ?? 0)
        }
    }

    @discardableResult
    public func remove(_ element: String) async throws(StateFailure) -> Bool {
        try await state.perform(["ZREM", name, element]).integer == 1
    }

    public func count() async throws(StateFailure) -> Int { Int(try await state.perform(["ZCARD", name]).integer ?? 0) }
}

/// Counts how many different texts it was shown, to about 0.8 %, in 12 KiB at most.
public struct Distinct: Sendable {
    public let name: String
    let state: any Objects

    public func add(_ elements: String...) async throws(StateFailure) { _ = try await state.perform(["PFADD", name] + elements) }

    public func count() async throws(StateFailure) -> Int { Int(try await state.perform(["PFCOUNT", name]).integer ?? 0) }
}
