// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Synchronization

/// Wakes one waiting task, now or later; any number of calls before it looks wake it once.
final class Waker: Sendable {
    /// For the one task that waits: `for await _ in waker.calls`.
    let calls: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation
    private let alarm = Mutex<Scheduled<Void>?>(nil)

    init() {
        (calls, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    }

    func call() { continuation.yield() }

    /// Calls once after a while; an alarm that was set before is forgotten.
    func call(after wait: Duration, on loop: any EventLoop) {
        let continuation = continuation
        let next = loop.scheduleTask(in: TimeAmount(wait)) { _ = continuation.yield() }
        alarm.withLock { alarm in
            alarm?.cancel()
            alarm = next
        }
    }

    /// Ends the waiting for good.
    func finish() {
        continuation.finish()
        alarm.withLock { alarm in
            alarm?.cancel()
            alarm = nil
        }
    }
}

/// A question that is answered once.
final class Answer: Sendable {
    private let stream: AsyncStream<Bool>
    private let continuation: AsyncStream<Bool>.Continuation

    init() {
        (stream, continuation) = AsyncStream.makeStream(of: Bool.self, bufferingPolicy: .bufferingOldest(1))
    }

    /// The first answer counts.
    func give(_ answer: Bool) {
        continuation.yield(answer)
        continuation.finish()
    }

    /// Waits for the answer as long as it takes; false if the task is cancelled.
    func wait() async -> Bool {
        for await answer in stream { return answer }
        return false
    }

    /// Waits for the answer; false if there is none in time or the task is cancelled.
    @discardableResult
    func wait(atMost time: Duration, on loop: any EventLoop) async -> Bool {
        let alarm = loop.scheduleTask(in: TimeAmount(time)) { self.give(false) }
        defer { alarm.cancel() }
        return await wait()
    }
}
