// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Crypto
import Synchronization
import Testing

@testable import BrumeLink

@Suite("Emulated networks", .timeLimit(.minutes(1)))
struct EmulationTests {
    /// Two nodes in memory, each behind an emulated line.
    private struct Pair {
        let names: [NodeID]
        let links: [EmulatedLink]
        let events: [Recorder<LinkEvent>]

        init(seed: UInt64 = 1, noticeAfter: Duration = .milliseconds(50)) {
            let network = MemoryNetwork()
            names = (0..<2).map { _ in NodeID(publicKey: Curve25519.Signing.PrivateKey().publicKey) }.sorted()
            events = [Recorder(), Recorder()]
            links = zip(names, events).map { [names] name, recorder in
                let emulated = EmulatedLink(seed: seed, noticeAfter: noticeAfter) { recorder.add($0) }
                emulated.attach(network.link(of: name) { emulated.pass($0) })
                _ = names
                return emulated
            }
            links[0].connect(to: names[1], at: "")
        }

        func send(_ number: Int, count: Int = 2, kind: LinkKind = .state) -> LinkSend {
            var frame = [UInt8](repeating: 0, count: count)
            frame[0] = UInt8(truncatingIfNeeded: number)
            frame[1] = UInt8(truncatingIfNeeded: number >> 8)
            return links[0].send(frame, kind: kind, to: names[1])
        }

        static func numbers(_ events: [LinkEvent]) -> [Int] {
            events.compactMap { if case .received(let frame, _, _) = $0 { Int(frame[0]) | Int(frame[1]) << 8 } else { nil } }
        }

        func received(_ count: Int) async -> [Int] {
            await events[1].wait("\(count) frames") { Self.numbers($0).count >= count }
            return Self.numbers(events[1].all)
        }
    }

    @Test("Without conditions everything passes at once and in order")
    func clear() {
        let pair = Pair()
        #expect(pair.events.map(\.all) == [[.up(pair.names[1])], [.up(pair.names[0])]])
        for number in 0..<100 { #expect(pair.send(number) == .queued) }
        #expect(Pair.numbers(pair.events[1].all) == Array(0..<100))
        #expect(pair.links[0].send([], kind: .call, to: pair.names[0]) == .unknown)
    }

    @Test("Delay and jitter hold frames back without changing their order")
    func delay() async {
        let pair = Pair()
        pair.links[0].set(NetworkConditions(delay: .milliseconds(30), jitter: .milliseconds(20)), to: pair.names[1])
        let begun = ContinuousClock.now
        for number in 0..<200 { #expect(pair.send(number) == .queued) }
        #expect(await pair.received(200) == Array(0..<200))
        let took = ContinuousClock.now - begun
        #expect(took >= .milliseconds(30))
        #expect(took < .seconds(5))
    }

    @Test("A frame that comes to its time while the line is looked at is not forgotten")
    func alarms() async {
        for seed in 0..<200 as Range<UInt64> {
            let pair = Pair(seed: seed)
            pair.links[0].set(NetworkConditions(delay: .microseconds(20), jitter: .microseconds(200)), to: pair.names[1])
            for number in 0..<50 { #expect(pair.send(number) == .queued) }
            #expect(await pair.received(50).count == 50, "seed \(seed)")
        }
    }

    @Test("A narrow line takes its time, fills its queue and tells when there is room")
    func bandwidth() async {
        let pair = Pair()
        pair.links[0].set(NetworkConditions(bytesPerSecond: 1_000_000), to: pair.names[1])
        let begun = ContinuousClock.now
        var queued = 0
        while pair.send(queued, count: 100_000, kind: .market) == .queued { queued += 1 }
        #expect(queued == 10, "the queue of this kind holds a mebibyte")
        #expect(await pair.received(10) == Array(0..<10))
        #expect(ContinuousClock.now - begun >= .milliseconds(990))
        await pair.events[0].wait("room") { [names = pair.names] in $0.contains(.writable(names[1], .market)) }
    }

    @Test("Loss takes about its part, the same part for the same seed")
    func loss() {
        let runs = ([5, 5, 6] as [UInt64]).map { seed in
            let pair = Pair(seed: seed)
            pair.links[0].set(NetworkConditions(loss: 0.3), to: pair.names[1])
            for number in 0..<2_000 { _ = pair.send(number) }
            return pair
        }
        for pair in runs { #expect((500...700).contains(pair.links[0].lost)) }
        #expect(runs[0].links[0].lost == runs[1].links[0].lost)
        #expect(runs[0].links[0].lost != runs[2].links[0].lost)
    }

    @Test("A cut loses everything both ways, is noticed like a dead line, and heals")
    func cut() async {
        let pair = Pair()
        for (link, peer) in [(pair.links[0], pair.names[1]), (pair.links[1], pair.names[0])] {
            link.set(NetworkConditions(isCut: true), to: peer)
        }
        #expect(pair.send(1) == .queued)
        for (recorder, peer) in [(pair.events[0], pair.names[1]), (pair.events[1], pair.names[0])] {
            await recorder.wait("down") { $0.contains(.down(peer, reason: "The peer no longer answers.")) }
        }
        #expect(pair.send(2) == .unknown)
        pair.links[0].setAll(NetworkConditions())
        pair.links[1].setAll(NetworkConditions())
        for (recorder, peer) in [(pair.events[0], pair.names[1]), (pair.events[1], pair.names[0])] {
            await recorder.wait("up again") { $0.count { $0 == .up(peer) } == 2 }
        }
        #expect(pair.send(3) == .queued)
        #expect(await pair.received(1) == [3])
    }

    @Test("A cut of one direction's line that heals soon is not told at all")
    func blink() async {
        let pair = Pair(noticeAfter: .seconds(20))
        pair.links[0].set(NetworkConditions(isCut: true), to: pair.names[1])
        #expect(pair.send(1) == .queued)
        pair.links[0].set(NetworkConditions(), to: pair.names[1])
        #expect(pair.send(2) == .queued)
        #expect(await pair.received(1) == [2])
        #expect(pair.events[0].all == [.up(pair.names[1])])
    }

    @Test("It works over real links too")
    func real() async throws {
        let events = Recorder<LinkEvent>()
        let emulated = EmulatedLink(seed: 1) { events.add($0) }
        let founder = try TestNode.founder { emulated.pass($0) }
        emulated.attach(founder.link)
        let member = try TestNode.member(of: try #require(founder.authority))
        try await running([founder, member]) {
            emulated.setAll(NetworkConditions(delay: .milliseconds(5), jitter: .milliseconds(5), loss: 0.1))
            emulated.connect(to: member.id, at: try await member.address)
            await events.wait("up") { $0.contains(.up(member.id)) }
            for number in 0..<500 { #expect(emulated.send([UInt8(truncatingIfNeeded: number)], kind: .state, to: member.id) == .queued) }
            let expected = 500 - emulated.lost
            #expect((400...480).contains(expected))
            await member.events.wait("the rest") { events in
                events.count { if case .received = $0 { true } else { false } } == expected
            }
        }
    }

    @Test("In memory, a receiver that is at work lets frames wait, refuses more, and tells when there is room")
    func memory() {
        let names = (0..<2).map { _ in NodeID(publicKey: Curve25519.Signing.PrivateKey().publicKey) }
        let network = MemoryNetwork(waitingMax: 4)
        let first = Recorder<LinkEvent>()
        let second = Recorder<LinkEvent>()
        let results = Mutex<[LinkSend]>([])
        let links = Mutex<[MemoryLink]>([])
        let left = network.link(of: names[0]) { first.add($0) }
        let right = network.link(of: names[1]) { event in
            second.add(event)
            // The sender goes on while the receiver works on the first frame.
            if event == .received([0], kind: .call, from: names[0]) {
                let sender = links.withLock { $0[0] }
                for number in 1...6 {
                    let result = sender.send([UInt8(number)], kind: .call, to: names[1])
                    results.withLock { $0.append(result) }
                }
            }
        }
        links.withLock { $0 = [left, right] }
        left.connect(to: names[1], at: "")
        right.connect(to: names[0], at: "")
        #expect(left.send([0], kind: .call, to: names[1]) == .queued)
        #expect(results.withLock { $0 } == [.queued, .queued, .queued, .queued, .full, .full])
        #expect(second.all == [.up(names[0])] + (0..<5).map { .received([UInt8($0)], kind: .call, from: names[0]) })
        #expect(first.all == [.up(names[1]), .writable(names[1], .call)])
        network.remove(names[1])
        #expect(first.all.last == .down(names[1], reason: "The peer's end of the connection vanished."))
        #expect(left.send([9], kind: .call, to: names[1]) == .unknown)
    }
}
