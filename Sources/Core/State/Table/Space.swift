// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import DequeModule

/// A key space of a replica: its objects, their digests, and what was changed since the last flush.
final class Space {
    let id: SpaceID
    let name: SpaceName
    /// Mixed into the hash of every name, so that one name lies in different buckets of different spaces.
    let seed: UInt64
    /// What all key spaces of the namespace share.
    let namespace: Namespace
    var table = ObjectTable()
    /// Objects that exist: the size of the database.
    var count = 0
    /// Objects with changes to flush, in the order of their first change.
    var dirty: [StateObject] = []
    /// Objects whose part of the digests is out of date.
    var stale: [StateObject] = []
    /// Digests of the 128 upper ranges of buckets: wrapping sums over their objects.
    private(set) var tops = [UInt64](repeating: 0, count: Space.topCount)
    /// Ranges that changed since the last snapshot.
    var unsaved = RangeSet128()
    /// Ranges that the snapshot which is being made has still to take.
    var saving = RangeSet128()
    /// Objects without content that wait to be collected, oldest first.
    var shells: [StateObject] = []
    /// Objects that may remember removed parts, in the order in which they are looked at.
    var litter: Deque<Litter> = []
    /// Whether what stands here says who keeps which namespace.
    let holdsPolicies: Bool
    /// Whether it was changed since the last flush, and stands in the replica's list.
    var isListed = false

    static let topCount = 128
    static let leavesPerTop = ObjectTable.buckets / topCount

    init(id: SpaceID, name: SpaceName, namespace: Namespace) {
        self.id = id
        self.name = name
        self.namespace = namespace
        holdsPolicies = name == .policies
        seed = stableHash(Bytes(name.namespace), seed: UInt64(name.database))
    }

    @inline(__always) func hash(_ name: Bytes) -> UInt64 { stableHash(name, seed: seed) }

    /// The upper range that a hash lies in.
    @inline(__always) static func top(_ hash: UInt64) -> Int { Int(truncatingIfNeeded: hash >> 57) }

    /// Notes that an object's part of the digests must be computed again.
    @inline(__always) func markStale(_ object: StateObject) {
        guard !object.flags.contains(.stale) else { return }
        object.flags.insert(.stale)
        stale.append(object)
    }

    func noteLitter(_ object: StateObject) {
        object.flags.insert(.littered)
        litter.append(Litter(object: object))
    }

    /// Brings the digests of at most `limit` objects up to date.
    func refresh(limit: Int) {
        var left = limit
        while left > 0, let object = stale.popLast() {
            object.flags.remove(.stale)
            if !object.flags.contains(.dropped) { adopt(object.digest, of: object) }
            left -= 1
        }
    }

    private func adopt(_ digest: UInt64, of object: StateObject) {
        tops[Self.top(object.hash)] &+= digest &- object.contribution
        object.contribution = digest
    }

    /// The digests of the upper ranges, all up to date.
    func currentTops() -> [UInt64] {
        refresh(limit: .max)
        return tops
    }

    var root: UInt64 { currentTops().enumerated().reduce(0) { $0 &+ Mixing.hash(UInt64($1.offset), $1.element) } }

    /// The digests of the 128 buckets of an upper range.
    func leaves(of top: Int) -> [UInt64] {
        refresh(limit: .max)
        var sums = [UInt64](repeating: 0, count: Self.leavesPerTop)
        let first = top * Self.leavesPerTop
        table.forEach(in: first..<(first + Self.leavesPerTop)) { object in
            sums[ObjectTable.bucket(object.hash) - first] &+= object.contribution
            return true
        }
        return sums
    }

    // MARK: Reading a log

    /// While a log is read: up to when each range holds everything; empty otherwise.
    private var savedAt: [HybridTime] = []

    func noteSaved(_ top: Int, at time: HybridTime) {
        if savedAt.isEmpty { savedAt = [HybridTime](repeating: .zero, count: Self.topCount) }
        savedAt[top] = max(savedAt[top], time)
    }

    /// Whether the snapshot tells of a time after this one.
    func wasSaved(after time: HybridTime) -> Bool { savedAt.contains { $0 >= time } }

    func forgetSaved() { savedAt = [] }

    /// Whether a part of the snapshot holds what a record of the time says about the object.
    @inline(__always) func isSaved(_ hash: UInt64, at time: HybridTime) -> Bool {
        !savedAt.isEmpty && savedAt[Self.top(hash)] >= time
    }

    /// Takes an object out for good.
    func drop(_ object: StateObject) {
        adopt(0, of: object)
        object.flags.insert(.dropped)
        unsaved.insert(Self.top(object.hash))
        if object.flags.contains(.counted) {
            object.flags.remove(.counted)
            count -= 1
            namespace.objects -= 1
        }
        namespace.bytes -= Int(object.accounted)
        object.accounted = 0
        table.remove(object)
    }
}

/// What the key spaces of one namespace share.
final class Namespace {
    let name: String
    var settings: NamespaceSettings
    /// Objects that exist, of all databases.
    var objects = 0
    /// What its objects take, approximately and as of the last flush.
    var bytes = 0
    /// Whether this node keeps it, and why.
    var interest = LocalInterest()
    /// Whether somebody has said who keeps it; its settings say what.
    var hasPolicy = false
    /// Whether this incarnation may have written to it.
    var isWritten = false
    /// Whether it is Brume's own.
    let isOwn: Bool

    /// Whether what adds to its objects is within its quota of bytes.
    @inline(__always) var hasRoom: Bool { bytes < settings.bytesMax }

    init(name: String, settings: NamespaceSettings) {
        self.name = name
        self.settings = settings
        isOwn = name.hasPrefix(SpaceName.ownPrefix)
    }
}

/// A set of numbers below 128.
struct RangeSet128 {
    private var low: UInt64 = 0
    private var high: UInt64 = 0

    var isEmpty: Bool { low | high == 0 }

    @inline(__always) mutating func insert(_ number: Int) {
        if number < 64 { low |= 1 << UInt64(number) } else { high |= 1 << UInt64(number - 64) }
    }

    mutating func remove(_ number: Int) {
        if number < 64 { low &= ~(1 << UInt64(number)) } else { high &= ~(1 << UInt64(number - 64)) }
    }

    func contains(_ number: Int) -> Bool {
        (number < 64 ? low >> UInt64(number) : high >> UInt64(number - 64)) & 1 == 1
    }

    mutating func formUnion(_ other: RangeSet128) {
        low |= other.low
        high |= other.high
    }

    mutating func fill() {
        low = .max
        high = .max
    }
}
