// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import BrumeStore
import NIOCore
import Testing

/// What a failing disk or a failing neighbour does to the others.
@Suite("Failures of the store")
struct FailureTests {
    private static func with(_ body: (SQLiteStore) async throws -> Void) async throws {
        try await withDirectory { directory in
            let store = try SQLiteStore(directory: directory, settings: StoreSettings(version: "1.0.0"))
            try await body(store)
            try await store.close()
        }
    }

    @Test("A full disk refuses in one sentence, loses nothing, and history is written when there is room again")
    func fullDisk() async throws {
        try await Self.with { store in
            try await store.enqueue(try Sample.queued(1))
            try store.fillDisk(true)
            let large = [UInt8](repeating: 1, count: 100_000)
            for number in UInt64(2)...9 { store.record(try Sample.call(number, label: String(repeating: "x", count: 10_000))) }
            let error = await #expect(throws: BrumeError.self) { try await store.enqueue(try Sample.queued(2, body: large)) }
            #expect(error?.code == .unavailable)
            #expect(error?.message.contains("is full; free some space") == true)
            let flushing = await #expect(throws: BrumeError.self) { try await store.flush() }
            #expect(flushing?.code == .unavailable)

            try store.fillDisk(false)
            try await store.enqueue(try Sample.queued(3, body: large))
            #expect(try await store.queued().map(\.id.number) == [1, 3])
            #expect(try await store.calls(CallQuery()).map(\.id.number) == Array((UInt64(2)...9).reversed()))
            #expect(store.dropped.calls == 0)
        }
    }

    @Test("A failed enqueue gives its place in the queue back")
    func placeIsGivenBack() async throws {
        try await withDirectory { directory in
            var settings = StoreSettings(version: "1.0.0")
            settings.queuedMax = 2
            let store = try SQLiteStore(directory: directory, settings: settings)
            try await store.enqueue(try Sample.queued(1))
            for _ in 0..<5 {
                let error = await #expect(throws: BrumeError.self) { try await store.enqueue(try Sample.queued(1)) }
                #expect(error?.code == .exists)
            }
            try await store.enqueue(try Sample.queued(2))
            try await store.close()
        }
    }

    @Test("One failing operation fails alone, whoever shares its sync")
    func neighbours() async throws {
        try await Self.with { store in
            try store.refuseFunction("bad")
            let failures = try await withThrowingTaskGroup(of: Bool.self) { group in
                for number in 0..<64 {
                    group.addTask {
                        let isBad = number.isMultiple(of: 8)
                        do {
                            try await store.putFunction(try Sample.stored(isBad ? "bad\(number)" : "good\(number)"))
                            try await store.enqueue(try Sample.queued(UInt64(number)))
                            return false
                        } catch {
                            #expect(isBad, "\(error)")
                            return true
                        }
                    }
                }
                return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            #expect(failures == 0, "the trigger names one function")
            await #expect(throws: BrumeError.self) { try await store.putFunction(try Sample.stored("bad")) }
            let mixed = await withTaskGroup(of: Bool.self) { group in
                for number in 100..<164 {
                    group.addTask {
                        if number.isMultiple(of: 8) { return (try? await store.putFunction(try Sample.stored("bad"))) == nil }
                        return (try? await store.enqueue(try Sample.queued(UInt64(number)))) != nil
                    }
                }
                return await group.allSatisfy { $0 }
            }
            #expect(mixed)
            #expect(try await store.functions().count == 64)
            #expect(try await store.queued().count == 64 + 56)
        }
    }

    @Test("A secret's value is in no error")
    func secretsStayOut() async throws {
        try await Self.with { store in
            try store.fillDisk(true)
            let value = Array(String(repeating: "hunter2", count: 20_000).utf8)
            let error = await #expect(throws: BrumeError.self) {
                try await store.putSecret(Secret(name: "db", namespace: "n", value: value))
            }
            let text = error.map { "\($0) \(String(reflecting: $0))" } ?? ""
            #expect(!text.isEmpty)
            #expect(!text.contains("hunter2"))
            #expect(!text.contains("104, 117"))
            try store.fillDisk(false)
        }
    }

    @Test("Readers do not wait for a writer, and do not see what it has not finished")
    func readersDoNotWait() async throws {
        try await Self.with { store in
            try await store.putFunction(try Sample.stored("f"))
            try await store.enqueue(try Sample.queued(1))
            try await store.whileTransactionIsOpen {
                let functions = try await store.functions()
                let queued = try await store.queued()
                let calls = try await store.calls(CallQuery())
                #expect(functions.count == 1)
                #expect(queued.count == 1)
                #expect(calls.isEmpty)
            }
            #expect(try await store.functions().count == 1)
        }
    }

    @Test("A path where nothing can be made is refused in one sentence")
    func impossiblePath() {
        let error = #expect(throws: BrumeError.self) {
            try SQLiteStore(directory: "/proc/brume/data", settings: StoreSettings(version: "1.0.0"))
        }
        #expect(error?.code == .permission)
        #expect(error?.message.contains("/proc/brume/data cannot be made") == true)
    }
}
