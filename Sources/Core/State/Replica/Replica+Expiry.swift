// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel
import HeapModule

/// Objects by the moment of their expiry.
struct ExpiryQueue {
    private struct Entry: Comparable {
        let moment: Int64
        let number: UInt64
        let object: StateObject

        static func < (left: Entry, right: Entry) -> Bool { (left.moment, left.number) < (right.moment, right.number) }
        static func == (left: Entry, right: Entry) -> Bool { left.number == right.number }
    }

    private var heap = Heap<Entry>()
    private var number: UInt64 = 0

    /// Milliseconds since 1970 of the first expiry.
    var first: Int64? { heap.min?.moment }
    var count: Int { heap.count }

    mutating func add(_ object: StateObject, at moment: Int64) {
        number += 1
        heap.insert(Entry(moment: moment, number: number, object: object))
    }

    mutating func pop(through moment: Int64) -> StateObject? {
        guard let first = heap.min, first.moment <= moment else { return nil }
        return heap.popMin()?.object
    }
}

extension Replica {
    /// Notes when to look at an object again.
    mutating func schedule(_ object: StateObject) {
        guard let expiry = object.expiry else { return }
        let (moment, overflow) = expiry.addingReportingOverflow(Int64(settings.expiryGrace.wholeNanoseconds / 1_000_000))
        expiries.add(object, at: overflow ? .max : moment)
    }

    mutating func rescheduleExpiries() {
        expiries = ExpiryQueue()
        for space in spaces {
            space.table.forEach { object in
                if object.side?.expiry != nil { schedule(object) }
            }
        }
    }

    /// Removes objects whose time is over. Every node does so by itself; nothing is sent, since everybody knows the moment.
    mutating func expire(_ now: StateTime) {
        let moment = milliseconds(now)
        var left = settings.sweepMax
        while left > 0, let object = expiries.pop(through: moment) {
            left -= 1
            guard !object.flags.contains(.dropped), let expiry = object.expiry, object.hasContent else { continue }
            let (due, overflow) = expiry.addingReportingOverflow(Int64(settings.expiryGrace.wholeNanoseconds / 1_000_000))
            guard !overflow, due <= moment else { continue }
            expireSilently(object, at: expiry, now)
        }
    }

    private mutating func expireSilently(_ object: StateObject, at moment: Int64, _ now: StateTime) {
        // The stamp follows from what everybody knows, so that all nodes come to the same state without a word.
        let time = HybridTime(milliseconds: UInt64(max(0, moment)))
        let stamp = Stamp(time: time, site: SiteID(rawValue: 0)).after(object.overwritten)
        let hadDelta = object.hasDelta
        if object.expiresByEpoch {
            // The next epoch where there was one: a moment by a wrong clock must not come after a later owner's epoch.
            let before = object.epoch
            object.makeSide().epoch = before == .zero ? stamp : Stamp(time: before.time.next, site: before.site)
            object.resetContent()
        } else {
            object.removeContent(stamp)
        }
        object.side?.expiry = nil
        if !hadDelta { object.forgetDelta() }
        object.updated = max(object.updated, clock.now(wall: now.wallMilliseconds))
        let space = spaces[Int(object.space)]
        settle(object, in: space)
        account(object, in: space)
        counts.expired += 1
        if isWatched { noteChange(object, isLocal: false) }
    }

    /// Forgets what ceased to exist and is known everywhere to have.
    mutating func collectShells() {
        var left = settings.sweepMax
        for space in spaces where !space.shells.isEmpty {
            var kept: [StateObject] = []
            let looked = min(left, space.shells.count)
            for object in space.shells[..<looked] {
                object.flags.remove(.shell)
                if object.hasContent || object.flags.contains(.dropped) { continue }
                if !collectIfStable(object) {
                    object.flags.insert(.shell)
                    kept.append(object)
                }
            }
            if kept.count < looked || looked < space.shells.count {
                // What was looked at goes to the end, so that every shell has its turn.
                space.shells = Array(space.shells[looked...]) + kept
            }
            left -= looked
            if left == 0 { return }
        }
    }
}
