// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Synchronization
import Testing

@testable import BrumeLink

@Suite("Frames over real sockets and TLS", .timeLimit(.minutes(1)))
struct LinkFrameTests {
    @Test("Two members connect, and frames of all kinds and sizes arrive whole and in order")
    func frames() async throws {
        let founder = try TestNode.founder()
        let other = try TestNode.member(of: try #require(founder.authority))
        try await running([founder, other]) {
            try await founder.connect(to: other)
            await founder.sawUp(other)
            await other.sawUp(founder)
            let sizes = [0, 1, 100, 65_536, 70_000, 1 << 20, PeerLinkLimits.frameBytesMax, 5]
            for kind in LinkKind.allCases {
                for (index, size) in sizes.enumerated() {
                    let frame = [UInt8](repeating: UInt8(index) &+ kind.rawValue &* 16, count: size)
                    #expect(founder.link.send(frame, kind: kind, to: other.id) == .queued)
                    #expect(other.link.send(frame, kind: kind, to: founder.id) == .queued)
                    // The queues hold a few of the longest; the next is sent when this one has come.
                    for node in [founder, other] {
                        await node.events.wait("frame \(index) of \(kind)") { events in
                            events.count { if case .received(_, kind, _) = $0 { true } else { false } } == index + 1
                        }
                    }
                }
                for node in [founder, other] {
                    #expect(node.frames(kind).map(\.count) == sizes)
                    let firsts = node.frames(kind).map { $0.first ?? 255 }
                    #expect(firsts.dropFirst() == sizes.indices.dropFirst().map { UInt8($0) &+ kind.rawValue &* 16 }[...])
                }
            }
            #expect(founder.link.send([1], kind: .call, to: founder.id) == .unknown)
            #expect(
                founder.link.send([UInt8](repeating: 0, count: PeerLinkLimits.frameBytesMax + 1), kind: .bulk, to: other.id) == .tooLarge)
        }
        #expect(founder.downs(other).count == 1)
        #expect(other.downs(founder).count == 1)
    }

    @Test("A frame costs the sockets one TLS record of a few bytes more than itself, and no task a turn on either side")
    func records() async throws {
        let founder = try TestNode.founder()
        let other = try TestNode.member(of: try #require(founder.authority))
        try await running([founder, other]) {
            try await founder.connect(to: other)
            await founder.sawUp(other)
            await other.sawUp(founder)
            let before = founder.link.statistics.socketBytesSent
            let nodes = [founder, other]
            let jobs = nodes.map { $0.link.executor.jobs.load(ordering: .relaxed) }
            let count = 100
            for index in 1...count {
                #expect(founder.link.send([UInt8](repeating: 1, count: 100), kind: .state, to: other.id) == .queued)
                await other.events.wait("frame \(index)") { events in
                    events.count { if case .received = $0 { true } else { false } } == index
                }
            }
            let each = (founder.link.statistics.socketBytesSent - before) / count - 100
            // 22 of TLS, 14 of HTTP/2 and gRPC, and the packet's own.
            #expect(each < 60, "\(each) bytes around a frame")
            for (node, before) in zip(nodes, jobs) {
                let after = node.link.executor.jobs.load(ordering: .relaxed)
                // Signs of life between the nodes are tasks' work.
                #expect(after - before < count / 2, "\(after - before) jobs for \(count) frames")
            }
        }
    }
}
