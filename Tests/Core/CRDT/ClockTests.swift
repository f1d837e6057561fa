// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import BrumeCRDT

private let hour: UInt64 = 3_600_000

@Suite("Hybrid clock")
struct ClockTests {
    @Test("times only grow, however the wall clock jumps")
    func jumps() {
        var clock = HybridClock()
        var last = HybridTime.zero
        for wall in [10 * hour, 10 * hour, 3 * hour, 3 * hour + 1, 20 * hour, 19 * hour, 0, .max, 5] as [UInt64] {
            for _ in 0..<1000 {
                let time = clock.now(wall: wall)
                #expect(time > last)
                last = time
            }
        }
    }

    @Test("more events than fit a millisecond borrow from the next one")
    func manyEvents() {
        var clock = HybridClock()
        let first = clock.now(wall: 7)
        for _ in 0..<70_000 { _ = clock.now(wall: 7) }
        #expect(first.milliseconds == 7)
        #expect(clock.last.milliseconds == 8)
        let next = clock.now(wall: 9)
        #expect(next.milliseconds == 9)
    }

    @Test("a peer a little ahead is followed, one hours ahead is not")
    func observing() {
        var clock = HybridClock()
        _ = clock.now(wall: 10 * hour)
        let near = HybridTime(milliseconds: 10 * hour + 30_000)
        let follows = clock.observe(near, wall: 10 * hour)
        #expect(follows)
        let later = clock.now(wall: 10 * hour)
        #expect(later > near)
        let before = clock.last
        let followsFar = clock.observe(HybridTime(milliseconds: 13 * hour), wall: 10 * hour)
        #expect(!followsFar)
        #expect(clock.last == before)
        clock.observe(HybridTime(milliseconds: 2 * hour), wall: 10 * hour)
        #expect(clock.last == before)
        let followsLast = clock.observe(HybridTime(rawValue: .max), wall: .max)
        #expect(!followsLast)
    }

    @Test("who overwrites what he has seen is later than it, by any clock")
    func after() {
        let seen = Stamp(time: HybridTime(milliseconds: hour), site: SiteID(rawValue: 9))
        let early = Stamp(time: HybridTime(milliseconds: 1), site: SiteID(rawValue: 1))
        #expect(early.after(seen) > seen)
        #expect(early.after(seen).site == early.site)
        #expect(seen.after(early) == seen)
        #expect(seen.after(seen) > seen)
    }

    @Test("a time past the believable is no encoding")
    func decoding() throws {
        var writer = ByteWriter()
        writer.varint(.max)
        #expect(throws: DecodingFailure.self) { try HybridTime(decoding: writer.bytes) }
        let latest = HybridTime(milliseconds: .max)
        #expect(try HybridTime(decoding: latest.encoded) == latest)
        #expect(latest.next > latest)
    }
}
