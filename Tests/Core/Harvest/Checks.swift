// SPDX-License-Identifier: Apache-2.0

import Testing

/// `#expect` for conditions that change a value: the macro cannot evaluate those in place.
func check(_ holds: Bool, _ note: String = "", sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(holds, Comment(rawValue: note), sourceLocation: sourceLocation)
}

/// `#require` for the same.
func must<Value>(_ value: Value?, sourceLocation: SourceLocation = #_sourceLocation) throws -> Value {
    try #require(value, sourceLocation: sourceLocation)
}
