// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT

/// Objects that were forgotten while answers were on their way, which may still hold them as they were.
///
/// Batches need no such thing: each is merged once, in its origin's order. An answer is made at one moment and may arrive much later.
struct Forgotten {
    private struct Place: Hashable {
        let space: Int32
        let hash: UInt64
        let kind: ObjectKind
    }

    private var ends: [Place: HybridTime] = [:]
    /// Answers of before this moment are not trusted with anything: more was forgotten than is remembered here.
    private var horizon = HybridTime.zero

    /// Ends that are remembered: 3 MB. More can only come together while whole key spaces are deleted.
    static let countMax = 65_536

    mutating func note(_ object: StateObject, at time: HybridTime) {
        if ends.count >= Self.countMax {
            horizon = time
            ends = [:]
        }
        ends[Place(space: object.space, hash: object.hash, kind: object.kind)] = time
    }

    /// Whether an answer of a moment may tell of an object as it was before it was forgotten.
    func hasEnded(_ space: Space, _ hash: UInt64, _ kind: ObjectKind, after time: HybridTime) -> Bool {
        if time < horizon { return true }
        guard !ends.isEmpty, let end = ends[Place(space: Int32(space.id.index), hash: hash, kind: kind)] else { return false }
        return time < end
    }

    /// No answer is on its way.
    mutating func clear() {
        ends = [:]
        horizon = .zero
    }
}

extension Replica {
    /// Whether answers may be on their way that bring objects.
    var hasQuestions: Bool { !pulls.active.isEmpty || !leases.claims.isEmpty || waits.hasQuestions }
}
