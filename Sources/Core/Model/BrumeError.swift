// SPDX-License-Identifier: Apache-2.0

/// What every target throws to its callers: what went wrong, what to do about it, and why.
///
/// A normal outcome is never an error: a refused call is a ``CallReply``, a full queue an engine output.
public struct BrumeError: Error, Sendable {
    /// The classes that callers switch over; each has one HTTP status and one exit code at the rim.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        private enum Value { case invalid, notFound, exists, conflict, tooLarge, unavailable, unsupported, permission, corrupt, failed }
        private let value: Value

        /// The request itself is wrong; the same words will fail again.
        public static let invalid = Code(value: .invalid)
        /// The thing named does not exist.
        public static let notFound = Code(value: .notFound)
        /// The thing to be made is there already.
        public static let exists = Code(value: .exists)
        /// The state of the thing forbids the operation now (a secret in use, a port taken, a directory locked).
        public static let conflict = Code(value: .conflict)
        /// More bytes or items than a named limit allows.
        public static let tooLarge = Code(value: .tooLarge)
        /// A part that should answer does not; trying later may help.
        public static let unavailable = Code(value: .unavailable)
        /// This node cannot do it (missing tool, missing kernel feature).
        public static let unsupported = Code(value: .unsupported)
        /// The operating system refused.
        public static let permission = Code(value: .permission)
        /// Stored data cannot be read.
        public static let corrupt = Code(value: .corrupt)
        /// Anything else that went wrong underneath.
        public static let failed = Code(value: .failed)

        public var description: String { "\(value)" }

        /// One word for programs: `too-large`.
        public var word: String {
            String(description.flatMap { $0.isUppercase ? "-" + $0.lowercased() : String($0) })
        }
    }

    /// The place in the sources that raised the error.
    public struct Location: Sendable {
        public let file: String
        public let line: Int
    }

    public var code: Code
    /// One or two sentences for a person: what went wrong and what to do.
    public var message: String
    /// The error underneath, if there is one.
    public var cause: (any Error)?
    public var location: Location

    public init(
        _ code: Code, _ message: String, cause: (any Error)? = nil, file: String = #fileID, line: Int = #line
    ) {
        self.code = code
        self.message = message
        self.cause = cause
        self.location = Location(file: file, line: line)
    }
}

extension BrumeError: CustomStringConvertible {
    public var description: String {
        if let cause { "\(message) (\(cause))" } else { message }
    }
}
