// SPDX-License-Identifier: Apache-2.0

public import BrumeCRDT

/// When a write may happen.
public enum WriteCondition: Sendable, Hashable {
    case always
    /// Only where nothing is (`NX`).
    case ifAbsent
    /// Only where something is (`XX`).
    case ifPresent
}

/// How `SET` sets.
public struct SetOptions: Sendable, Hashable {
    public var condition = WriteCondition.always
    /// When it shall be gone, in milliseconds since 1970.
    public var expiry: Int64?
    /// Whether a moment of expiry that was set before stays (`KEEPTTL`).
    public var keepsExpiry = false
    /// Whether the previous value is wanted (`GET`), which makes an object of another kind an error.
    public var wantsPrevious = false

    public init() {}
}

/// What came of a `SET`.
public struct SetOutcome: Sendable, Hashable {
    public var isWritten: Bool
    /// The value before, where it was wanted.
    public var previous: Bytes?
}

extension Replica {
    @inline(__always)
    private func readingString(_ key: ObjectKey, _ now: StateTime) throws(StateError) -> StringObject? {
        guard let object = try reading(key, .string, now) else { return nil }
        return unsafe unsafeDowncast(object, to: StringObject.self)
    }

    @inline(__always)
    mutating func writing(string key: ObjectKey, _ now: StateTime) throws(StateError) -> StringObject {
        let space = spaces[key.space.index]
        let hash = space.hash(key.name)
        if let object = space.table.find(hash, key.name), object.kind == .string, object.side == nil,
            object.flags.isDisjoint(with: [.sibling, .shell, .unnumbered]), space.namespace.hasRoom
        {
            return unsafe unsafeDowncast(object, to: StringObject.self)
        }
        let object = try writingSlowly(key, space, hash, .string, now)
        return unsafe unsafeDowncast(object, to: StringObject.self)
    }

    /// The string under a key; nil if there is none. O(1).
    public func get(_ key: ObjectKey, _ now: StateTime) throws(StateError) -> Bytes? { try readingString(key, now)?.content.value }

    /// Sets a string, whatever was under the key; ends an expiry. The last of concurrent writers wins. O(1).
    public mutating func set(_ key: ObjectKey, _ value: Bytes, _ now: StateTime) throws(StateError) {
        if value.count > 256 { try checkSize(value.count, "value") }
        let object: StringObject
        do throws(StateError) {
            object = try writing(string: key, now)
        } catch {
            guard error.kind == .wrongType, let other = visible(key, now) else { throw error }
            remove(other, now)
            object = try writing(string: key, now)
        }
        let stamp = stamp(now)
        // An expiry of before is void by the later stamp.
        object.set(value, at: stamp)
        changed(object, stamp.time, now)
    }

    /// Sets a string as the options say.
    ///
    /// - Throws: `StateError`: `wrongType` where the previous value is wanted and is no string; `tooLarge`; `quota`.
    public mutating func set(
        _ key: ObjectKey, _ value: Bytes, _ options: SetOptions, _ now: StateTime
    ) throws(StateError) -> SetOutcome {
        var previous: Bytes?
        if options.wantsPrevious { previous = try get(key, now) }
        let before = visible(key, now)
        switch options.condition {
        case .always: break
        case .ifAbsent: if before != nil { return SetOutcome(isWritten: false, previous: previous) }
        case .ifPresent: if before == nil { return SetOutcome(isWritten: false, previous: previous) }
        }
        let kept = options.keepsExpiry ? before?.expiry : nil
        try set(key, value, now)
        if let deadline = options.expiry ?? kept { _ = try expire(key, at: deadline, .always, now) }
        return SetOutcome(isWritten: true, previous: previous)
    }

    /// Adds to the number under a key, from 0 where there is none, and answers the sum. Concurrent additions all count. O(1).
    ///
    /// - Throws: `StateError`: `notInteger`, `overflow`, `wrongType`, `quota`; nothing is changed then.
    public mutating func increment(_ key: ObjectKey, by amount: Int64, _ now: StateTime) throws(StateError) -> Int64 {
        let object = try writing(string: key, now)
        do throws(CRDTError) {
            let sum = try object.add(amount, by: site)
            changed(object, clock.now(wall: now.wallMilliseconds), now)
            return sum
        } catch {
            throw StateError(error)
        }
    }

    /// Adds to the number under a key, which may have a fraction, and answers its text. Of concurrent additions the last one wins.
    ///
    /// - Throws: `StateError`: `notNumber`, `wrongType`, `quota`; nothing is changed then.
    public mutating func increment(_ key: ObjectKey, by amount: Double, _ now: StateTime) throws(StateError) -> Bytes {
        let before = try get(key, now)
        guard let number = before.map({ $0.double }) ?? 0 else { throw .notNumber }
        guard let text = Bytes.sum(number, amount) else { throw .notFinite }
        try replace(key, text, now)
        return text
    }

    /// Sets a string and keeps its expiry.
    private mutating func replace(_ key: ObjectKey, _ value: Bytes, _ now: StateTime) throws(StateError) {
        try checkSize(value.count, "value")
        let object = try writing(string: key, now)
        let expiry = object.expiry
        let stamp = stamp(now)
        object.set(value, at: stamp)
        changed(object, stamp.time, now)
        if let expiry { setExpiry(object, expiry, now) }
    }

    /// Puts bytes behind a string and answers its length. Of concurrent writers the last one wins. O(length).
    public mutating func append(_ key: ObjectKey, _ bytes: Bytes, _ now: StateTime) throws(StateError) -> Int {
        guard let before = try get(key, now) else {
            try replace(key, bytes, now)
            return bytes.count
        }
        if bytes.isEmpty { return before.count }
        try checkSize(before.count + bytes.count, "value")
        try replace(key, Bytes(before.array + bytes.array), now)
        return before.count + bytes.count
    }

    /// The length of a string; 0 where there is none.
    public func length(of key: ObjectKey, _ now: StateTime) throws(StateError) -> Int { try get(key, now)?.count ?? 0 }

    /// The bytes from `start` to `end`, both included; negative ones count from the end (`GETRANGE`).
    public func range(of key: ObjectKey, start: Int, end: Int, _ now: StateTime) throws(StateError) -> Bytes {
        guard let value = try get(key, now) else { return Bytes() }
        let range = InclusiveRange.positions(start, end, count: value.count)
        return range.count == value.count ? value : Bytes(value.array[range])
    }

    /// Overwrites bytes from an offset on, with zeros before it where the string is shorter, and answers its length (`SETRANGE`).
    ///
    /// - Throws: `StateError`: `outOfRange` for a negative offset; `tooLarge`, `wrongType`, `quota`.
    public mutating func overwrite(
        _ key: ObjectKey, at offset: Int, with bytes: Bytes, _ now: StateTime
    ) throws(StateError) -> Int {
        guard offset >= 0 else { throw StateError(.outOfRange, "The offset is out of range; it counts from 0.") }
        var value = try get(key, now)?.array ?? []
        guard !bytes.isEmpty else { return value.count }
        try checkSize(offset.addingReportingOverflow(bytes.count).overflow ? .max : offset + bytes.count, "value")
        if value.count < offset + bytes.count {
            value += [UInt8](repeating: 0, count: offset + bytes.count - value.count)
        }
        value.replaceSubrange(offset..<(offset + bytes.count), with: bytes.array)
        try replace(key, Bytes(value), now)
        return value.count
    }

    /// Takes a string away and answers it (`GETDEL`).
    public mutating func take(_ key: ObjectKey, _ now: StateTime) throws(StateError) -> Bytes? {
        guard let value = try get(key, now) else { return nil }
        _ = delete([key], now)
        return value
    }
}
