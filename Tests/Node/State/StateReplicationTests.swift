// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel
import BrumeState
import BrumeStore
import Foundation
import Synchronization
import Testing

@testable import BrumeNode

/// The shell between replica and link.
@Suite("State between nodes")
struct StateReplicationTests {
    private func withNodes(_ count: Int, _ body: ([StateService], MemoryNetwork) async throws -> Void) async throws {
        try await withPlace { place in
            let network = MemoryNetwork()
            var services: [(NodeID, StateService)] = []
            for number in 1...count {
                let directory = place + "/\(number)"
                try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
                services.append((try Keeping.node(number), try await Keeping.open(directory, node: number)))
            }
            network.join(services)
            try await body(services.map(\.1), network)
            for (_, service) in services { await service.stop() }
        }
    }

    @Test("What is written on one node is seen on all, and concurrent increments all count")
    func converges() async throws {
        try await withNodes(5) { nodes, _ in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for node in nodes {
                    group.addTask { for _ in 0..<200 { try node.increment("hits") } }
                }
                try await group.waitForAll()
            }
            for node in nodes {
                let isThere = await waitUntil(node) { (try? node.get("hits")) == "1000" }
                #expect(isThere)
            }
            #expect(Set(nodes.map(\.digest)).count == 1)
        }
    }

    @Test("A quorum of nodes has a write on disk when it settles, and a quorum that cannot be is refused in words")
    func quorum() async throws {
        try await withNodes(3) { nodes, _ in
            try nodes[0].set("greeting", "hello")
            try await nodes[0].settle(.replicas(3))
            #expect(try nodes[1].get("greeting") == "hello" && nodes[2].get("greeting") == "hello")
            try nodes[0].set("greeting", "again")
            let error = await #expect(throws: StateError.self) { try await nodes[0].settle(.replicas(4)) }
            #expect(error?.kind == .unavailable)
        }
    }

    @Test("A node that ended well and comes back takes part in quorums again, under the incarnation that it had")
    func comesBack() async throws {
        try await withPlace { place in
            for name in ["/1", "/2"] { try FileManager.default.createDirectory(atPath: place + name, withIntermediateDirectories: true) }
            let two = try await Keeping.open(place + "/2", node: 2)
            var incarnations: [SiteID] = []
            for round in 0..<3 {
                let one = try await Keeping.open(place + "/1", node: 1)
                incarnations.append(one.incarnation)
                MemoryNetwork().join([(try Keeping.node(1), one), (try Keeping.node(2), two)])
                try one.increment("hits")
                try await one.settle(.replicas(2))
                #expect(try two.get("hits") == "\(round + 1)")
                try two.increment("hits", by: 0)
                await one.stop()
                two.take(.down(try Keeping.node(1), reason: "it ended"))
            }
            #expect(Set(incarnations).count == 1)
            await two.stop()
        }
    }

    @Test("A session reads its own writes on another node")
    func session() async throws {
        try await withNodes(2) { nodes, _ in
            for round in 0..<20 {
                try nodes[round % 2].set("key", "\(round)")
                let token = nodes[round % 2].withReplica { replica, _ in replica.token() }
                let other = nodes[1 - round % 2]
                let error = await withCheckedContinuation { continuation in
                    other.whenReady(.session(token), within: .seconds(10)) { continuation.resume(returning: $0) }
                }
                #expect(error == nil)
                #expect(try other.get("key") == "\(round)")
            }
        }
    }

    @Test("A link whose queue is full loses nothing: what it refused goes when there is room")
    func backpressure() async throws {
        try await withNodes(2) { nodes, network in
            network.limit(1)
            for number in 0..<300 {
                try nodes[0].set("key-\(number)", String(repeating: "x", count: 2_000))
                if number % 10 == 0 { try await nodes[0].settle(.durable) }
            }
            let digest = nodes[0].digest
            let isThere = await waitUntil(nodes[1]) { nodes[1].digest == digest }
            #expect(isThere)
        }
    }

    @Test("Subscribers hear of changes here and elsewhere, and of nothing after they left")
    func subscriptions() async throws {
        try await withNodes(2) { nodes, _ in
            let heard = Mutex<[String]>([])
            let key = try nodes[1].key("watched")
            let subscription = nodes[1].subscribe({ $0.key == key }) { changes in
                heard.withLock { heard in for change in changes { heard.append(change.isLocal ? "here" : "elsewhere") } }
            }
            try nodes[1].set("watched", "1")
            try nodes[1].set("other", "1")
            try await nodes[1].settle(.replicas(2))
            try nodes[0].set("watched", "2")
            try await nodes[0].settle(.replicas(2))
            let isHeard = await waitUntil(nodes[1]) { heard.withLock { $0 } == ["here", "elsewhere"] }
            #expect(isHeard, "\(heard.withLock { $0 })")
            nodes[1].unsubscribe(subscription)
            try nodes[1].set("watched", "3")
            try await nodes[1].settle(.replicas(2))
            #expect(heard.withLock { $0.count } == 2)
        }
    }

    @Test("A copied data directory makes two nodes of one identity; each goes on under its own, and nothing is lost")
    func copiedDirectory() async throws {
        try await withPlace { place in
            try FileManager.default.createDirectory(atPath: place + "/a", withIntermediateDirectories: true)
            let origin = try await Keeping.open(place + "/a", node: 1)
            try origin.increment("hits", by: 10)
            let incarnation = origin.incarnation
            await origin.stop()
            try Keeping.image(of: place + "/a", at: place + "/b")
            let one = try await Keeping.open(place + "/a", node: 1)
            let two = try await Keeping.open(place + "/b", node: 2)
            #expect(one.incarnation == incarnation && two.incarnation == incarnation)
            let tasks = [one, two].map { service in Task { try await service.run() } }
            let network = MemoryNetwork()
            network.join([(try Keeping.node(1), one), (try Keeping.node(2), two)])
            let areApart = await waitUntil(one) {
                // Something must be said for the others to hear who speaks.
                _ = try? one.increment("noise")
                _ = try? two.increment("noise")
                return one.incarnation != two.incarnation
            }
            #expect(areApart)
            try one.set("after-one", "1")
            try two.set("after-two", "2")
            for service in [one, two] {
                // Whoever waits while its node begins anew is told to ask again.
                while await (try? service.settle(.replicas(2))) == nil { try service.set("again", "1") }
            }
            let areAlike = await waitUntil(one) { one.digest == two.digest }
            #expect(areAlike)
            #expect(try one.get("after-two") == "2" && two.get("after-one") == "1")
            for task in tasks { task.cancel() }
            for task in tasks { try await task.value }
            for (path, service) in [(place + "/a", one), (place + "/b", two)] {
                let log = try SQLiteStateLog(directory: path)
                let opening = try await log.load { _ in true }
                #expect(opening.incarnation == service.incarnation.rawValue, "the new incarnation must be on disk")
                try await log.end(clean: false)
            }
        }
    }
}
