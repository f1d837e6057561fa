// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import BrumeSimulator
import NIOCore
import Synchronization
import Testing

@testable import BrumeStore

/// Every bound of the store, and what happens at it.
@Suite("Bounds of the store")
struct BoundsTests {
    private static func with(
        _ change: (inout StoreSettings) -> Void, _ body: (SQLiteStore) async throws -> Void
    ) async throws {
        try await withDirectory { directory in
            var settings = StoreSettings(version: "1.0.0")
            change(&settings)
            let store = try SQLiteStore(directory: directory, settings: settings)
            try await body(store)
            try await store.close()
        }
    }

    @Test("Pruning keeps the newest calls and lines, and never touches the queue")
    func prune() async throws {
        try await Self.with {
            $0.callsMax = 10
            $0.logLinesPerFunctionMax = 5
        } _: { store in
            for number in UInt64(1)...30 {
                store.record(try Sample.call(number))
                store.append([try Sample.line("line \(number)", at: Int64(number)), try Sample.line("x", function: "quiet", at: 1)])
                try await store.enqueue(try Sample.queued(number))
            }
            #expect(try await store.calls(CallQuery(limit: 100)).count == 30, "the bound has slack until it is enforced")
            try await store.prune()
            #expect(try await store.calls(CallQuery(limit: 100)).map(\.id.number) == Array((UInt64(21)...30).reversed()))
            #expect(try await store.logs(LogQuery(function: try Sample.function())).map(\.text) == (26...30).map { "line \($0)" })
            #expect(try await store.logs(LogQuery(function: try Sample.function("quiet"))).count == 5)
            #expect(try await store.queued().count == 30)
        }
    }

    @Test("After the clock went back hours, pruning still drops what was written first")
    func clockWentBack() async throws {
        try await Self.with {
            $0.callsMax = 10
            $0.logLinesPerFunctionMax = 5
        } _: { store in
            for number in UInt64(1)...30 {
                let time = Int64(number) - (number > 15 ? 18_000_000_000_000 : 0)
                store.record(try Sample.call(number, at: time))
                store.append([try Sample.line("line \(number)", at: time)])
            }
            try await store.prune()
            #expect(try await store.calls(CallQuery(limit: 100)).map(\.id.number) == Array((UInt64(21)...30).reversed()))
            #expect(try await store.logs(LogQuery(function: try Sample.function())).map(\.text) == (26...30).map { "line \($0)" })
        }
    }

    @Test("The bounds hold by themselves, within the slack, without anybody calling prune")
    func automatic() async throws {
        try await Self.with {
            $0.callsMax = 100
            $0.logLinesPerFunctionMax = 100
        } _: { store in
            for chunk in 0..<10 {
                for number in 0..<500 { store.record(try Sample.call(UInt64(chunk * 500 + number))) }
                store.append(try (0..<500).map { try Sample.line("\($0)", at: Int64(chunk * 500 + $0)) })
                try await store.flush()
                #expect(try await store.calls(CallQuery(limit: 10_000)).count <= 100 + 1_500)
                #expect(try await store.logs(LogQuery(function: try Sample.function(), tail: 10_000)).count <= 100 + 1_500)
            }
            #expect(try await store.calls(CallQuery(limit: 1)).first?.id.number == 4_999)
        }
    }

    @Test("Lines of all functions together are bounded too, the oldest go")
    func allLines() async throws {
        try await Self.with {
            $0.logLinesMax = 10
        } _: { store in
            for number in 0..<30 { store.append([try Sample.line("\(number)", function: "f\(number)", at: 1)]) }
            try await store.prune()
            #expect(try await store.logs(LogQuery(function: try Sample.function("f19"))).isEmpty)
            #expect(try await store.logs(LogQuery(function: try Sample.function("f20"))).count == 1)
        }
    }

    @Test("A full queue refuses one more call, and has room again when one ends or dies")
    func queue() async throws {
        try await Self.with {
            $0.queuedMax = 2
        } _: { store in
            for number in UInt64(1)...2 { try await store.enqueue(try Sample.queued(number)) }
            let error = await #expect(throws: BrumeError.self) { try await store.enqueue(try Sample.queued(3)) }
            #expect(error?.code == .unavailable)
            try await store.complete(CallID(1), delivery: nil)
            try await store.enqueue(try Sample.queued(3))
            try await store.bury(CallID(2), attempt: 1, lastFailure: "", delivery: nil)
            try await store.enqueue(try Sample.queued(4))
            await #expect(throws: BrumeError.self) { try await store.enqueue(try Sample.queued(5)) }
            #expect(try await store.redrive(nil).count == 1)
            await #expect(throws: BrumeError.self) { try await store.enqueue(try Sample.queued(5)) }
            #expect(try await store.queued().map(\.id.number) == [2, 3, 4])
        }
    }

    @Test("Dead letters are bounded, the oldest go, and waiting calls stay")
    func deadLetters() async throws {
        try await Self.with {
            $0.deadLettersMax = 3
        } _: { store in
            for number in UInt64(1)...10 { try await store.enqueue(try Sample.queued(number)) }
            for number in UInt64(2)...9 { try await store.bury(CallID(number), attempt: 1, lastFailure: "", delivery: nil) }
            try await store.prune()
            #expect(try await store.deadLetters(limit: 99).map(\.id.number) == [9, 8, 7])
            #expect(try await store.queued().map(\.id.number) == [1, 10])
        }
    }

    @Test("Undelivered results are bounded in both stores: the oldest go and are counted")
    func deliveries() async throws {
        func fill(_ store: any Store<ByteBuffer>) async throws {
            for number in UInt64(1)...8 {
                try await store.enqueue(try Sample.queued(number))
                let delivery = try Sample.delivery(number)
                if number.isMultiple(of: 2) {
                    try await store.complete(CallID(number), delivery: delivery)
                } else {
                    try await store.bury(CallID(number), attempt: 1, lastFailure: "", delivery: delivery)
                }
            }
            #expect(try await store.deliveries().map(\.call.number) == [6, 7, 8])
        }
        try await Self.with {
            $0.deliveriesMax = 3
        } _: { store in
            try await fill(store)
            #expect(store.droppedDeliveries.load(ordering: .relaxed) == 5)
        }
        let memory = MemoryStore<ByteBuffer>(deliveriesMax: 3) { "\($0.readableBytes)" }
        try await fill(memory)
        #expect(memory.droppedDeliveries == 5)
    }

    @Test("While the disk stalls, calls past the buffer are dropped and counted, and lines make room for newer ones")
    func buffer() async throws {
        try await Self.with {
            $0.bufferedCallsMax = 4
            $0.bufferedLinesMax = 16
        } _: { store in
            try store.whileWriterIsBusy {
                for number in UInt64(1)...10 { store.record(try Sample.call(number)) }
                store.append(try (1...40).map { try Sample.line("\($0)", at: Int64($0)) })
            }
            #expect(try await store.calls(CallQuery()).map(\.id.number) == [4, 3, 2, 1])
            let texts = try await store.logs(LogQuery(function: try Sample.function())).map(\.text)
            #expect(texts == (25...40).map { "\($0)" })
            #expect(store.dropped.calls == 6)
            #expect(store.dropped.lines == 24)
        }
    }

    @Test("Long lines count by their bytes")
    func bufferedBytes() async throws {
        try await Self.with {
            $0.bufferedLineBytesMax = 1_000
        } _: { store in
            try store.whileWriterIsBusy {
                store.append(try (1...4).map { try Sample.line(String(repeating: "\($0)", count: 400), at: Int64($0)) })
            }
            #expect(try await store.logs(LogQuery(function: try Sample.function())).map { $0.text.prefix(1) } == ["3", "4"])
            #expect(store.dropped.lines == 2)
        }
    }
}
