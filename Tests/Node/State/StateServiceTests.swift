// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel
import BrumeState
import BrumeStore
import Foundation
import NIOCore
import Synchronization
import Testing

@testable import BrumeNode

/// A node's state over restarts, with and without company.
@Suite("A node's state")
struct StateServiceTests {
    @Test("After a clean end everything is there, and the incarnation goes on")
    func cleanRestart() async throws {
        try await withPlace { place in
            let first = try await Keeping.open(place)
            for number in 0..<300 { try first.set("key-\(number)", "value-\(number)") }
            for _ in 0..<50 { try first.increment("hits") }
            let (digest, incarnation) = (first.digest, first.incarnation)
            await first.stop()
            let second = try await Keeping.open(place)
            #expect(second.digest == digest)
            #expect(second.incarnation == incarnation)
            #expect(try second.get("key-299") == "value-299")
            // The numbers of the incarnation go on where they were: what it adds now counts beside what it added before.
            #expect(try second.increment("hits") == 51)
            await second.stop()
            let third = try await Keeping.open(place)
            #expect(try third.get("hits") == "51")
            await third.stop()
        }
    }

    @Test("What is asked of a node's state after its end keeps no loop busy")
    func afterEnd() async throws {
        try await withPlace { place in
            let service = try await Keeping.open(place)
            try service.set("key", "before")
            await service.stop()
            try service.set("key", "after")
            for _ in 0..<10 { try await service.world.loop.submit {}.get() }
            #expect(service.core.locked { _, shell in shell.coming == .none })
        }
    }

    @Test("However many write, flushes keep their distance, and the last write travels without another one")
    func flushesKeepDistance() async throws {
        try await withPlace { place in
            let service = try await Keeping.open(place)
            let begin = ContinuousClock.now
            let before = service.report().flushes
            for number in 0..<20_000 { try service.set("hot", "\(number)") }
            let flushes = service.report().flushes - before
            let took = ContinuousClock.now - begin
            #expect(flushes <= Int(took / service.settings.flushSpacing) + 2, "\(flushes) flushes in \(took)")
            try await service.settle(.durable)
            #expect(try service.get("hot") == "19999")
            await service.stop()
        }
    }

    @Test("After a crash everything that was settled as durable is there, under a new incarnation")
    func crash() async throws {
        try await withPlace { place in
            let first = try await Keeping.open(place, settings(.sync))
            for number in 0..<100 { try first.increment("hits", by: Int64(number)) }
            try first.set("greeting", "hello")
            try await first.settle(.durable)
            try Keeping.image(of: place, at: place + "/crash")
            let second = try await Keeping.open(place + "/crash", settings(.sync))
            #expect(try second.get("greeting") == "hello")
            #expect(try second.get("hits") == "4950")
            #expect(second.incarnation != first.incarnation)
            #expect(try second.increment("hits") == 4951)
            await first.stop()
            await second.stop()
        }
    }

    private func settings(_ durability: StateDurability) -> StateServiceSettings { Keeping.settings(durability) }

    @Test("A namespace in memory alone leaves no trace on disk, and no incarnation goes on where there is one")
    func memoryOnly() async throws {
        try await withPlace { place in
            let first = try await Keeping.open(place, settings(.none))
            try first.set("secret", "never written")
            try await first.settle(.accepted)
            let incarnation = first.incarnation
            await first.stop()
            let bytes = try Data(contentsOf: URL(filePath: place + "/state.sqlite"))
            #expect(bytes.range(of: Data("never written".utf8)) == nil)
            let second = try await Keeping.open(place, settings(.none))
            #expect(try second.get("secret") == nil)
            #expect(second.incarnation != incarnation)
            await second.stop()
        }
    }

    @Test("A snapshot takes the log's place, while writes go on, and holds everything")
    func snapshots() async throws {
        try await withPlace { place in
            let service = try await Keeping.open(place)
            for number in 0..<2_000 { try service.set("key-\(number)", String(repeating: "x", count: 50)) }
            try await service.settle(.durable)
            let before = service.log.figures.recordBytes
            #expect(before > 100_000)
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await service.makeSnapshot() }
                group.addTask { for _ in 0..<500 { _ = try? service.increment("hits") } }
            }
            try await service.settle(.durable)
            #expect(service.log.figures.recordBytes < before / 4)
            #expect(service.log.figures.partBytes > 100_000)
            let digest = service.digest
            try Keeping.image(of: place, at: place + "/crash")
            let restored = try await Keeping.open(place + "/crash")
            #expect(restored.digest == digest)
            #expect(try restored.get("hits") == "500")
            #expect(try restored.get("key-1999")?.count == 50)
            await restored.stop()
            // A second snapshot writes only what changed.
            #expect(service.report().snapshotParts >= 128)
            await service.makeSnapshot()
            try service.set("key-1", "small")
            try await service.settle(.durable)
            await service.makeSnapshot()
            #expect(service.report().snapshotParts == 2, "the range of the key, and how far everything came")
            await service.stop()
        }
    }

    @Test("A snapshot is made by itself when the log has grown")
    func automaticSnapshot() async throws {
        try await withPlace { place in
            var settings = Keeping.settings()
            settings.recordBytesMax = 50_000
            settings.snapshotInterval = .milliseconds(20)
            let service = try await Keeping.open(place, settings)
            let running = Task { try await service.run() }
            for number in 0..<1_000 { try service.set("key-\(number)", String(repeating: "y", count: 100)) }
            try await service.settle(.durable)
            let isDone = await eventually { service.log.figures.partBytes > 50_000 && service.log.figures.recordBytes < 50_000 }
            #expect(isDone)
            running.cancel()
            try await running.value
            let next = try await Keeping.open(place)
            #expect(try next.get("key-999")?.count == 100)
            await next.stop()
        }
    }

    /// Looks again and again: for what nobody tells of.
    private func eventually(_ condition: () -> Bool) async -> Bool {
        let deadline = ContinuousClock.now + .seconds(20)
        while !condition(), ContinuousClock.now < deadline { try? await Task.sleep(for: .milliseconds(5)) }
        return condition()
    }

    @Test("Whoever waits for a full disk hears of it at once; the write stays, and is on disk when there is room")
    func fullDisk() async throws {
        try await withPlace { place in
            var log = StateLogSettings()
            log.retryDelay = .milliseconds(20)
            let service = try await Keeping.open(place, settings(.sync), log: log)
            try service.set("before", "1")
            try await service.settle()
            try (service.log as? SQLiteStateLog)?.limitPages(true)
            try service.set("large", String(repeating: "z", count: 200_000))
            let error = await #expect(throws: StateError.self) { try await service.settle() }
            #expect(error?.kind == .unavailable && error?.message.contains("is full; free some space") == true)
            #expect(try service.get("large")?.count == 200_000)
            try (service.log as? SQLiteStateLog)?.limitPages(false)
            #expect(await eventually { service.log.figures.trouble == nil })
            try service.set("after", "2")
            try await service.settle()
            try Keeping.image(of: place, at: place + "/crash")
            let restored = try await Keeping.open(place + "/crash")
            #expect(try restored.get("large")?.count == 200_000)
            #expect(try restored.get("after") == "2")
            await restored.stop()
            await service.stop()
        }
    }

    @Test("Damage in the log costs what it hit: the rest is served, and a peer that has it sends it again")
    func damage() async throws {
        try await withPlace { place in
            let (one, two) = (place + "/1", place + "/2")
            for path in [one, two] { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
            let network = MemoryNetwork()
            let (first, second) = (try await Keeping.open(one, node: 1), try await Keeping.open(two, node: 2))
            network.join([(try Keeping.node(1), first), (try Keeping.node(2), second)])
            for number in 0..<400 { try first.set("key-\(number)", "value-\(number)") }
            try await first.settle(.replicas(2))
            await first.makeSnapshot()
            let digest = first.digest
            await first.stop()
            let path = one + "/state.sqlite"
            var file = try Data(contentsOf: URL(filePath: path))
            for page in stride(from: 12, to: min(40, file.count / 4_096), by: 3) {
                for index in 0..<4_096 { file[page * 4_096 + index] = UInt8(truncatingIfNeeded: index &* 7) }
            }
            try file.write(to: URL(filePath: path))
            let again = try await Keeping.open(one, node: 1)
            #expect(again.report().damagedPieces > 0)
            let left = again.report().replica.objects
            #expect(left < 400)
            #expect(again.digest != digest)
            let fresh = MemoryNetwork()
            fresh.join([(try Keeping.node(1), again), (try Keeping.node(2), second)])
            let isWhole = await waitUntil(again) { again.digest == digest }
            #expect(
                isWhole, "\(left) of 400 were left, \(again.report().replica.objects) are there now \(again.report()) \(second.report())")
            await again.stop()
            await second.stop()
        }
    }
}
