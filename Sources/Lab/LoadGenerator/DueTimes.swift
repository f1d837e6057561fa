// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeWorkload

/// One of several workers' part of the connections and of the arrivals.
struct Share: Sendable {
    var index: Int
    var count: Int

    /// This worker's number out of `total` things; the parts of all workers add up to it.
    func part(of total: Int) -> Int { total / count + (index < total % count ? 1 : 0) }
}

/// The arrivals that one worker must send: every n-th of the whole process, so that all workers together follow it exactly.
struct DueTimes {
    private var arrivals: Arrivals
    private var skip: Int
    private let stride: Int

    init(_ process: ArrivalProcess, seed: UInt64, share: Share) {
        arrivals = Arrivals(process, seed: seed)
        skip = share.index
        stride = share.count
    }

    /// Nanoseconds from the beginning of the run; nil after 292 years.
    mutating func next() -> UInt64? {
        for _ in 0..<skip { _ = arrivals.next() }
        skip = stride - 1
        return arrivals.next().map { UInt64($0.wholeNanoseconds) }
    }
}
