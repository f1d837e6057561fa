// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import NIOCore
import Testing

/// What every store must do, checked on the real one and on the simulator's.
@Suite("Store conformance")
struct StoreConformance {
    @Test("Epochs count up from 1", arguments: StoreKind.allCases)
    func epochs(kind: StoreKind) async throws {
        try await kind.with { store in
            let epochs = [try await store.beginEpoch(), try await store.beginEpoch(), try await store.beginEpoch()]
            #expect(epochs == [1, 2, 3])
        }
    }

    @Test("A function comes back as it was put, the last one put wins, and the list is in order", arguments: StoreKind.allCases)
    func functions(kind: StoreKind) async throws {
        try await kind.with { store in
            #expect(try await store.functions().isEmpty)
            let second = try Sample.stored("two", package: .bundle(digest: "d"), pinned: 3)
            let first = try Sample.stored("one", package: .image(reference: "oci:/x:latest"))
            try await store.putFunction(second)
            try await store.putFunction(try Sample.stored("one", revision: 1))
            try await store.putFunction(first)
            #expect(try await store.functions() == [first, second])
            try await store.removeFunction(first.spec.id)
            try await store.removeFunction(first.spec.id)
            #expect(try await store.functions() == [second])
        }
    }

    static let contracts: [Contract] = [
        .fork(command: ["sh", "-c", "cat"]), .http(command: [], port: 8080), .handler(language: .python, file: "handler.py"),
        .handler(language: .node, file: "src/handler.js"), .lambda(executable: "bootstrap"),
    ]

    @Test("Every contract survives the store", arguments: StoreKind.allCases, contracts)
    func contract(kind: StoreKind, contract: Contract) async throws {
        try await kind.with { store in
            var function = try Sample.stored("f")
            function.spec.contract = contract
            try await store.putFunction(function)
            #expect(try await store.functions() == [function])
        }
    }

    @Test("The same package is kept once, and is pruned only when no function names it and it is old enough", arguments: StoreKind.allCases)
    func code(kind: StoreKind) async throws {
        try await kind.with { store in
            let used = try await store.putCode(ByteBuffer(string: "used"))
            let unused = try await store.putCode(ByteBuffer(string: "unused"))
            #expect(try await store.putCode(ByteBuffer(string: "used")) == used)
            #expect(used != unused)
            #expect(try await store.codePath(digest: used) != nil)
            #expect(try await store.codePath(digest: "0" + used.dropFirst()) == nil)
            try await store.putFunction(try Sample.stored("f", package: .bundle(digest: used)))
            #expect(try await store.pruneCode(olderThan: .seconds(3600)) == 0)
            #expect(try await store.pruneCode(olderThan: .zero) == 1)
            #expect(try await store.codePath(digest: unused) == nil)
            #expect(try await store.codePath(digest: used) != nil)
        }
    }

    @Test("Secrets belong to their namespace and keep every byte", arguments: StoreKind.allCases)
    func secrets(kind: StoreKind) async throws {
        try await kind.with { store in
            let bytes = Array(UInt8.min...UInt8.max)
            let second = Secret(name: "b", namespace: "one", value: bytes)
            let first = Secret(name: "a", namespace: "one", value: [])
            let other = Secret(name: "a", namespace: "two", value: [1])
            try await store.putSecret(Secret(name: "b", namespace: "one", value: [9]))
            for secret in [second, first, other] { try await store.putSecret(secret) }
            #expect(try await store.secrets(namespace: "one") == [first, second])
            #expect(try await store.secrets(namespace: "two") == [other])
            #expect(try await store.removeSecret(name: "a", namespace: "one"))
            #expect(try await store.removeSecret(name: "a", namespace: "one") == false)
            #expect(try await store.secrets(namespace: "one") == [second])
            #expect(try await store.secrets(namespace: "two") == [other])
        }
    }

    @Test("Namespaces are listed by name with their labels", arguments: StoreKind.allCases)
    func namespaces(kind: StoreKind) async throws {
        try await kind.with { store in
            let second = StoredNamespace(name: "b", labels: ["x": "y"], annotations: ["openfaas": "1"])
            try await store.putNamespace(StoredNamespace(name: "b"))
            try await store.putNamespace(second)
            try await store.putNamespace(StoredNamespace(name: "a"))
            #expect(try await store.namespaces() == [StoredNamespace(name: "a"), second])
            #expect(try await store.removeNamespace("a"))
            #expect(try await store.removeNamespace("a") == false)
            #expect(try await store.namespaces() == [second])
        }
    }

    @Test("A recorded call is found at once, whole, and a later word on the same attempt replaces it", arguments: StoreKind.allCases)
    func records(kind: StoreKind) async throws {
        try await kind.with { store in
            store.record(try Sample.call(7, outcome: .running))
            let ended = try Sample.call(7, outcome: .failed)
            store.record(ended)
            #expect(try await store.calls(CallQuery()) == [ended])
            let again = try Sample.call(7, outcome: .succeeded, attempt: 2)
            let extreme = try Sample.call(.max, at: 3)
            store.record(again)
            store.record(extreme)
            #expect(try await store.calls(CallQuery()) == [extreme, again, ended])
            // The order is that of writing: a clock that went back hides nothing, and an older call that ends again is news.
            store.record(ended)
            #expect(try await store.calls(CallQuery()) == [ended, extreme, again])
        }
    }

    @Test("Calls are found by function, label, outcome and time, newest first", arguments: StoreKind.allCases)
    func callQueries(kind: StoreKind) async throws {
        try await kind.with { store in
            for number in UInt64(1)...40 {
                store.record(
                    try Sample.call(
                        number, function: number.isMultiple(of: 2) ? "even" : "odd", at: Int64(number) * 10,
                        outcome: number.isMultiple(of: 4) ? .failed : .succeeded))
            }
            func numbers(_ query: CallQuery) async throws -> [UInt64] { try await store.calls(query).map(\.id.number) }
            #expect(try await numbers(CallQuery(limit: 3)) == [40, 39, 38])
            #expect(try await numbers(CallQuery(limit: 0)).isEmpty)
            #expect(try await numbers(CallQuery(function: try Sample.function("odd"), limit: 2)) == [39, 37])
            #expect(try await numbers(CallQuery(label: "label-12")) == [12])
            #expect(try await numbers(CallQuery(outcome: .failed, since: Instant(nanoseconds: 330))) == [40, 36])
            #expect(try await numbers(CallQuery(since: Instant(nanoseconds: 400))) == [40])
            #expect(
                try await numbers(
                    CallQuery(
                        function: try Sample.function("even"), label: "label-8", outcome: .failed, since: Instant(nanoseconds: 80), limit: 9
                    ))
                    == [8])
            #expect(try await numbers(CallQuery(function: try Sample.function("odd"), outcome: .failed)).isEmpty)
        }
    }

    @Test("Log lines come in the order of writing, by function, instance, since and tail", arguments: StoreKind.allCases)
    func logs(kind: StoreKind) async throws {
        try await kind.with { store in
            let early = try Sample.line("early", at: 5)
            let same = try Sample.line("same time, written later", at: 5)
            let late = try Sample.line("late ü\u{0}", at: 9, instance: "r2")
            let other = try Sample.line("other", function: "other", at: 6)
            store.append([late, early])
            store.append([other, same])
            func lines(_ query: LogQuery) async throws -> [LogLine] { try await store.logs(query) }
            let hello = try Sample.function()
            #expect(try await lines(LogQuery(function: hello)) == [late, early, same])
            #expect(try await lines(LogQuery(function: hello, tail: 2)) == [early, same])
            #expect(try await lines(LogQuery(function: hello, tail: 0)).isEmpty)
            #expect(try await lines(LogQuery(function: hello, instance: "r2")) == [late])
            #expect(try await lines(LogQuery(function: hello, since: Instant(nanoseconds: 6), tail: 9)) == [late])
            #expect(try await lines(LogQuery(function: try Sample.function("other"))) == [other])
            #expect(try await lines(LogQuery(function: try Sample.function("none"))).isEmpty)
        }
    }

    @Test("A queued call comes back whole, in order of acceptance, and an id is taken once", arguments: StoreKind.allCases)
    func queue(kind: StoreKind) async throws {
        try await kind.with { store in
            let calls = try [9, 3, .max].map { try Sample.queued($0) } + [Sample.queued(4, body: [])]
            for call in calls { try await store.enqueue(call) }
            #expect(try await store.queued().map(QueuedFacts.init) == calls.map(QueuedFacts.init))
            #expect(try await store.queued(CallID(3)).map(QueuedFacts.init) == QueuedFacts(calls[1]))
            #expect(try await store.queued(CallID(5)) == nil)
            let error = await #expect(throws: BrumeError.self) { try await store.enqueue(try Sample.queued(3)) }
            #expect(error?.code == .exists)
        }
    }

    @Test("A completed call never comes back, and its id may be used anew at the end of the queue", arguments: StoreKind.allCases)
    func complete(kind: StoreKind) async throws {
        try await kind.with { store in
            for number in UInt64(1)...3 { try await store.enqueue(try Sample.queued(number)) }
            try await store.complete(CallID(1), delivery: nil)
            try await store.complete(CallID(1), delivery: nil)
            #expect(try await store.queued(CallID(1)) == nil)
            let error = await #expect(throws: BrumeError.self) {
                try await store.reschedule(CallID(1), attempt: 1, notBefore: .zero, lastFailure: "")
            }
            #expect(error?.code == .notFound)
            try await store.enqueue(try Sample.queued(1))
            #expect(try await store.queued().map(\.id.number) == [2, 3, 1])
        }
    }

    @Test("A delivery is kept with its call's end, whole and in order, until it is taken", arguments: StoreKind.allCases)
    func deliveries(kind: StoreKind) async throws {
        try await kind.with { store in
            for number in [UInt64.max, 2, 3, 4] { try await store.enqueue(try Sample.queued(number)) }
            let first = try Sample.delivery(3)
            let second = try Sample.delivery(.max, body: [])
            try await store.complete(CallID(3), delivery: first)
            try await store.bury(CallID(.max), attempt: 3, lastFailure: "no", delivery: second)
            try await store.complete(CallID(4), delivery: nil)
            // Calls that are not queued end no second time, and leave nothing to deliver.
            try await store.complete(CallID(4), delivery: try Sample.delivery(4))
            try await store.complete(CallID(3), delivery: try Sample.delivery(3, at: 99))
            #expect(try await store.deliveries().map(DeliveryFacts.init) == [first, second].map(DeliveryFacts.init))
            #expect(try await store.queued().map(\.id.number) == [2])

            try await store.deliveryFailed(CallID(.max), accepted: second.accepted, failedAttempts: 2)
            try await store.delivered(CallID(3), accepted: first.accepted)
            try await store.delivered(CallID(3), accepted: first.accepted)
            var failed = second
            failed.failedAttempts = 2
            #expect(try await store.deliveries().map(DeliveryFacts.init) == [DeliveryFacts(failed)])
        }
    }

    @Test("A redriven call's new result takes the old one's place, and word of the old one leaves it alone", arguments: StoreKind.allCases)
    func redrivenDelivery(kind: StoreKind) async throws {
        try await kind.with { store in
            for number in UInt64(1)...2 {
                try await store.enqueue(try Sample.queued(number))
                try await store.bury(CallID(number), attempt: 3, lastFailure: "no", delivery: try Sample.delivery(number, at: 10))
            }
            #expect(try await store.redrive([CallID(1)]).count == 1)
            let new = try Sample.delivery(1, at: 20)
            try await store.complete(CallID(1), delivery: new)
            try await store.delivered(CallID(1), accepted: Instant(nanoseconds: 10))
            try await store.deliveryFailed(CallID(1), accepted: Instant(nanoseconds: 10), failedAttempts: 3)
            let kept = try await store.deliveries()
            #expect(kept.map(\.call.number) == [2, 1], "the new result is the last in order")
            #expect(kept.last.map(DeliveryFacts.init) == DeliveryFacts(new))
        }
    }

    @Test("A call with a streamed body is not queued", arguments: StoreKind.allCases)
    func streamedBody(kind: StoreKind) async throws {
        try await kind.with { store in
            var call = try Sample.queued(1)
            call.request.body = .stream(AsyncThrowingStream<ByteBuffer, any Error> { $0.finish() })
            let streamed = call
            let error = await #expect(throws: BrumeError.self) { try await store.enqueue(streamed) }
            #expect(error?.code == .invalid)
            #expect(try await store.queued().isEmpty)
        }
    }

    @Test("A rescheduled call keeps its place, its attempts and its time", arguments: StoreKind.allCases)
    func reschedule(kind: StoreKind) async throws {
        try await kind.with { store in
            for number in UInt64(1)...2 { try await store.enqueue(try Sample.queued(number)) }
            try await store.reschedule(CallID(1), attempt: 4, notBefore: Instant(nanoseconds: 77), lastFailure: "no")
            let queued = try await store.queued()
            #expect(queued.map(\.id.number) == [1, 2])
            #expect(queued.first?.attempts == 4)
            #expect(queued.first?.notBefore == Instant(nanoseconds: 77))
        }
    }

    @Test("Dead letters leave the queue, are listed newest first, and are redriven with fresh attempts", arguments: StoreKind.allCases)
    func deadLetters(kind: StoreKind) async throws {
        try await kind.with { store in
            for number in UInt64(1)...5 {
                try await store.enqueue(try Sample.queued(number))
                try await store.reschedule(CallID(number), attempt: 2, notBefore: Instant(nanoseconds: 9), lastFailure: "first")
            }
            for number in UInt64(1)...4 {
                try await store.bury(CallID(number), attempt: 3, lastFailure: "last \(number)", delivery: nil)
            }
            let error = await #expect(throws: BrumeError.self) {
                try await store.bury(CallID(1), attempt: 1, lastFailure: "", delivery: try Sample.delivery(1))
            }
            #expect(try await store.deliveries().isEmpty, "a burial that is refused leaves nothing to deliver")
            #expect(error?.code == .notFound)
            #expect(try await store.queued().map(\.id.number) == [5])
            #expect(try await store.queued(CallID(2)) == nil)
            let letters = try await store.deadLetters(limit: 2)
            #expect(letters.map(\.id.number) == [4, 3])
            #expect(
                letters.first
                    == DeadLetter(
                        id: CallID(4), label: "label-4", function: try Sample.function(), accepted: Instant(nanoseconds: 4), attempts: 3,
                        lastFailure: "last 4"))
            // A dead letter is not completed by mistake.
            try await store.complete(CallID(4), delivery: nil)
            #expect(try await store.deadLetters(limit: 9).count == 4)

            let revived = try await store.redrive([CallID(3), CallID(1), CallID(5), CallID(99)])
            let fresh = try [UInt64(1), 3].map { QueuedFacts(try Sample.queued($0)) }
            #expect(revived.map(QueuedFacts.init) == fresh)
            #expect(try await store.queued().map(\.id.number) == [1, 3, 5])
            #expect(try await store.discardDeadLetters([CallID(2), CallID(5)]) == 1)
            #expect(try await store.redrive(nil).map(\.id.number) == [4])
            #expect(try await store.discardDeadLetters(nil) == 0)
            #expect(try await store.queued().map(\.id.number) == [1, 3, 4, 5])
        }
    }

    @Test("Many tasks may use the store at once", arguments: StoreKind.allCases)
    func concurrency(kind: StoreKind) async throws {
        try await kind.with { store in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for worker in UInt64(0)..<16 {
                    group.addTask {
                        for step in UInt64(0)..<20 {
                            let number = worker * 100 + step
                            try await store.enqueue(try Sample.queued(number))
                            store.record(try Sample.call(number))
                            if step.isMultiple(of: 2) { try await store.complete(CallID(number), delivery: nil) }
                            _ = try await store.calls(CallQuery(limit: 1))
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await store.queued().count == 160)
            #expect(Set(try await store.queued().map(\.id.number)).count == 160)
            #expect(try await store.calls(CallQuery(limit: 1_000)).count == 320)
        }
    }
}
