// SPDX-License-Identifier: Apache-2.0

/// Why an operation was refused. The object is unchanged then.
public struct CRDTError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: String, Sendable {
        /// The result would not fit the number's type.
        case overflow
        /// The value is no integer that could be counted on.
        case notInteger
        /// The score would be no number.
        case notNumber
        /// This site holds too few rights for the decrement.
        case insufficientRights
        /// The path has too many keys.
        case tooDeep
        /// The amount must be positive.
        case invalidAmount
    }

    public let code: Code
    public let message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { message }
}
