// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import DequeModule

/// An object that may remember removed parts.
struct Litter {
    let object: StateObject
    /// What was seen of it up to a moment: once that moment is forgettable, everybody has seen as much.
    var seen: (context: CausalContext, until: HybridTime)?
}

// What is removed from lists, texts and remove-wins sets leaves something behind until everybody knows. Forgetting it is silent: it changes
// nothing that a reader sees, and every member does it by itself.

extension Replica {
    /// Objects that one turn looks at.
    private static let litterMax = 256
    /// Bytes of objects that one turn walks through, and one object more: some milliseconds.
    private static let litterBytesMax = 8 << 20

    /// Forgets removed parts of objects that everybody knows to be removed; a bounded number of objects.
    mutating func collectRests() {
        var left = Self.litterMax
        var bytes = 0
        for space in spaces where !space.litter.isEmpty {
            // Each is looked at once: what is not ripe goes to the end.
            for _ in 0..<space.litter.count {
                guard left > 0, bytes < Self.litterBytesMax, let next = space.litter.popFirst() else { return }
                left -= 1
                guard !next.object.flags.contains(.dropped) else { continue }
                if let kept = tidy(next, in: space, &bytes) {
                    space.litter.append(kept)
                } else {
                    next.object.flags.remove(.littered)
                }
            }
        }
    }

    /// Looks at one object; answers what is to be looked at later, nil when nothing is.
    private mutating func tidy(_ litter: Litter, in space: Space, _ bytes: inout Int) -> Litter? {
        let object = litter.object
        if let seen = litter.seen {
            guard seen.until <= forgettable else { return litter }
            bytes += Int(object.accounted)
            let count = object.forgetRests(seenByAll: seen.context)
            if count > 0 {
                counts.collectedRests += count
                settle(object, in: space)
                account(object, in: space)
            }
            // What changed since may have left more.
            if object.updated <= seen.until { return nil }
        }
        if object.flags.contains(.dirty) { return Litter(object: object) }
        bytes += Int(object.accounted)
        guard object.restCount > 0, let context = object.seen else { return nil }
        return Litter(object: object, seen: (context, object.updated))
    }
}
