// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel
import BrumeState

extension Replica {
    func kind(_ key: ObjectKey, _ time: StateTime) -> ObjectKind? { fatalError("x") }
    func version(of key: ObjectKey, _ time: StateTime) -> UInt64 { fatalError("x") }
    func string(_ key: ObjectKey, _ time: StateTime) throws(StateError) -> Bytes? { fatalError("x") }
    mutating func setString(_ key: ObjectKey, _ value: Bytes, _ expiry: Expiry, _ time: StateTime) throws(StateError) { fatalError("x") }
    mutating func addToString(_ key: ObjectKey, _ amount: Int64, _ time: StateTime) throws(StateError) -> Int64 { fatalError("x") }
    mutating func removeObject(_ key: ObjectKey, _ time: StateTime) -> Bool { fatalError("x") }
    func deadline(_ key: ObjectKey, _ time: StateTime) -> Int64? { fatalError("x") }
    mutating func setDeadline(_ key: ObjectKey, _ deadline: Int64?, _ time: StateTime) throws(StateError) -> Bool { fatalError("x") }
    mutating func setAdd(_ key: ObjectKey, _ e: Bytes, _ time: StateTime) throws(StateError) -> Bool { fatalError("x") }
    mutating func setRemove(_ key: ObjectKey, _ e: Bytes, _ time: StateTime) throws(StateError) -> Bool { fatalError("x") }
    func setContains(_ key: ObjectKey, _ e: Bytes, _ time: StateTime) throws(StateError) -> Bool { fatalError("x") }
    func setCount(_ key: ObjectKey, _ time: StateTime) throws(StateError) -> Int { fatalError("x") }
    func setElements(_ key: ObjectKey, _ time: StateTime) throws(StateError) -> [Bytes] { fatalError("x") }
    mutating func hashSet(_ key: ObjectKey, _ f: Bytes, _ v: Bytes, _ time: StateTime) throws(StateError) -> Bool { fatalError("x") }
    mutating func hashRemove(_ key: ObjectKey, _ f: Bytes, _ time: StateTime) throws(StateError) -> Bool { fatalError("x") }
    mutating func hashAdd(_ key: ObjectKey, _ f: Bytes, _ n: Int64, _ time: StateTime) throws(StateError) -> Int64 { fatalError("x") }
    func hashGet(_ key: ObjectKey, _ f: Bytes, _ time: StateTime) throws(StateError) -> Bytes? { fatalError("x") }
    func hashCount(_ key: ObjectKey, _ time: StateTime) throws(StateError) -> Int { fatalError("x") }
    func hashEntries(_ key: ObjectKey, _ time: StateTime) throws(StateError) -> [(Bytes, Bytes)] { fatalError("x") }
    func score(_ key: ObjectKey, _ m: Bytes, _ time: StateTime) throws(StateError) -> Double? { fatalError("x") }
    mutating func scoredSet(_ key: ObjectKey, _ m: Bytes, _ s: Double, _ time: StateTime) throws(StateError) { fatalError("x") }
    mutating func scoredAdd(_ key: ObjectKey, _ m: Bytes, _ s: Double, _ time: StateTime) throws(StateError) -> Double { fatalError("x") }
    mutating func scoredRemove(_ key: ObjectKey, _ m: Bytes, _ time: StateTime) throws(StateError) -> Bool { fatalError("x") }
    func scoredCount(_ key: ObjectKey, _ time: StateTime) throws(StateError) -> Int { fatalError("x") }
    func scoredRank(_ key: ObjectKey, _ m: Bytes, _ time: StateTime) throws(StateError) -> Int? { fatalError("x") }
    func scoredEntries(_ key: ObjectKey, _ r: Range<Int>, _ time: StateTime) throws(StateError) -> [(member: Bytes, score: Double)] { fatalError("x") }
    func listCount(_ key: ObjectKey, _ time: StateTime) throws(StateError) -> Int { fatalError("x") }
    func listElements(_ key: ObjectKey, _ r: Range<Int>, _ time: StateTime) throws(StateError) -> [Bytes] { fatalError("x") }
    mutating func listInsert(_ key: ObjectKey, at: Int, _ e: [Bytes], _ time: StateTime) throws(StateError) { fatalError("x") }
    mutating func listRemove(_ key: ObjectKey, _ r: Range<Int>, _ time: StateTime) throws(StateError) { fatalError("x") }
    mutating func listReplace(_ key: ObjectKey, at: Int, _ e: Bytes, _ time: StateTime) throws(StateError) { fatalError("x") }
    mutating func sketchAdd(_ key: ObjectKey, _ e: [Bytes], _ time: StateTime) throws(StateError) -> Bool { fatalError("x") }
    func sketchCount(_ keys: [ObjectKey], _ time: StateTime) throws(StateError) -> Int { fatalError("x") }
    mutating func sketchMerge(_ key: ObjectKey, _ s: [ObjectKey], _ time: StateTime) throws(StateError) { fatalError("x") }
    func count(in space: SpaceID) -> Int { fatalError("x") }
    func existingSpace(_ name: SpaceName) -> SpaceID? { fatalError("x") }
    func bytes(inNamespaceOf space: SpaceID) -> Int { fatalError("x") }
    func memory(of key: ObjectKey, _ time: StateTime) -> Int? { fatalError("x") }
    mutating func randomKey(in space: SpaceID, _ time: StateTime) -> Bytes? { fatalError("x") }
    mutating func removeAll(in space: SpaceID, _ time: StateTime) { fatalError("x") }
    func forEachKey(in space: SpaceID, _ time: StateTime, _ body: (Bytes, ObjectKind) -> Void) { fatalError("x") }
    func scan(_ space: SpaceID, from: UInt64, count: Int, _ time: StateTime) -> (next: UInt64, keys: [(name: Bytes, kind: ObjectKind)]) { fatalError("x") }
    mutating func copyObject(_ source: ObjectKey, _ target: ObjectKey, removesSource: Bool, _ time: StateTime) throws(StateError) { fatalError("x") }
}
