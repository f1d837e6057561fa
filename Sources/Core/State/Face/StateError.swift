// SPDX-License-Identifier: Apache-2.0

public import BrumeModel

/// Why an operation on state was refused: small enough to be thrown on a hot path, with words that say what to do.
public struct StateError: Error, Hashable, Sendable {
    /// The classes that faces switch over; each has one reply in each protocol.
    public enum Kind: UInt8, Sendable, Hashable {
        /// The key holds an object of another kind.
        case wrongType
        /// The value, or the argument, is no 64-bit integer.
        case notInteger
        /// The value, or the argument, is no finite number.
        case notNumber
        /// The result would leave the range of the type.
        case overflow
        /// An index or an offset lies outside the object.
        case outOfRange
        /// The key does not exist and the operation needs it.
        case notFound
        /// An argument has no meaning (an empty name, a count below zero).
        case invalid
        /// A key, a value, an element or a batch is longer than a limit.
        case tooLarge
        /// The namespace holds as much as it may.
        case quota
        /// A bounded counter's rights on this node do not suffice.
        case rights
        /// What the call asked to wait for did not come in time, or cannot come in this partition.
        case unavailable
        /// Another node owns the object, or has owned it since.
        case fenced
        /// The namespace is unknown to this node.
        case unknownNamespace
        /// The bytes of a dump, a token or a record are not what they should be.
        case corrupt
    }

    public var kind: Kind
    /// One or two sentences for a person.
    public var message: String

    public init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }
}

extension StateError: CustomStringConvertible {
    public var description: String { message }
}

extension StateError {
    /// The same in the words of the model, for callers that know nothing of state.
    public var asBrumeError: BrumeError {
        let code: BrumeError.Code =
            switch kind {
            case .wrongType, .fenced: .conflict
            case .notInteger, .notNumber, .overflow, .outOfRange, .invalid: .invalid
            case .notFound, .unknownNamespace: .notFound
            case .tooLarge, .quota: .tooLarge
            case .rights, .unavailable: .unavailable
            case .corrupt: .corrupt
            }
        return BrumeError(code, message)
    }

    static func wrongType(_ found: ObjectKind, _ wanted: ObjectKind) -> StateError {
        StateError(.wrongType, "The key holds a \(found.name), and this operation needs a \(wanted.name); delete the key or use another.")
    }
}
