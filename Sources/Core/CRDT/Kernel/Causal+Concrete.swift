// SPDX-License-Identifier: Apache-2.0

// The whole operations of the most used causal types, compiled for these types: called from another module, the generic ones look up
// at run time what is known here.

extension Causal where Store == AddWinsSet {
    public func encodeConcrete(into writer: inout ByteWriter) { encode(into: &writer) }
    public mutating func mergeConcrete(from reader: inout ByteReader) throws(DecodingFailure) { merge(try Causal(from: &reader)) }
    public var concreteDigest: UInt64 { digest }
    public var concreteMemoryBytes: Int { memoryBytes }
}

extension Causal where Store == FieldMap {
    /// Whether there is a field.
    public var hasFields: Bool { !store.table.isEmpty }
    public func encodeConcrete(into writer: inout ByteWriter) { encode(into: &writer) }
    public mutating func mergeConcrete(from reader: inout ByteReader) throws(DecodingFailure) { merge(try Causal(from: &reader)) }
    public var concreteDigest: UInt64 { digest }
    public var concreteMemoryBytes: Int { memoryBytes }
}

extension Causal where Store == ScoredSet {
    public func encodeConcrete(into writer: inout ByteWriter) { encode(into: &writer) }
    public mutating func mergeConcrete(from reader: inout ByteReader) throws(DecodingFailure) { merge(try Causal(from: &reader)) }
    public var concreteDigest: UInt64 { digest }
    public var concreteMemoryBytes: Int { memoryBytes }
}
