// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Logging
import NIOCore

/// Results of asynchronous calls on their way to their callers' URLs: an outbox.
///
/// The store takes a result in the transaction that ends its call, and forgets it once the URL has answered with 2xx. A node that is killed
/// in between posts it again when it is back. So a result arrives **at least once**: a receiver tells repetitions by `X-Call-Id`.
/// It is given up after ``NodeSettings/callbackAttempts``, with a line in the function's log.
extension NodeService {
    /// What the caller's URL must get, where the call has ended for good and its caller gave one.
    func delivery(after settlement: Settlement) -> StoredDelivery<ByteBuffer>? {
        if case .retry = settlement.kind { return nil }
        guard let entry = settlement.entry, case .asynchronous(let url?) = entry.kind else { return nil }
        let result = entry.result ?? AttemptResult(failure: CallFailure(.stopped, "The function was removed before the call could run."))
        var headers = result.headers
        headers.append(HeaderField("X-Call-Id", entry.label))
        headers.append(HeaderField("X-Duration-Seconds", "\(result.timing.running.inSeconds)"))
        headers.append(HeaderField("X-Function-Status", "\(result.status)"))
        headers.append(HeaderField("X-Function-Name", entry.function.description))
        return StoredDelivery(
            call: settlement.call, function: entry.function, url: url, headers: headers, body: result.body, accepted: clock.now)
    }

    /// Hands a stored result to the loop that posts.
    func post(_ delivery: StoredDelivery<ByteBuffer>) {
        guard case .dropped(let oldest) = callbacks.yield(delivery) else { return }
        logger.warning(
            "too many callbacks wait; the oldest waits for the next start", metadata: ["call": "\(oldest.call)", "url": "\(oldest.url)"])
    }

    /// Posts again what nobody had taken when the node ended.
    func restoreDeliveries() async throws {
        let deliveries = try await store.deliveries()
        if !deliveries.isEmpty { logger.info("undelivered results restored", metadata: ["results": "\(deliveries.count)"]) }
        for delivery in deliveries { post(delivery) }
    }

    /// Posts what comes, so many at once as the settings allow.
    func runCallbacks() async {
        await withTaskGroup(of: Void.self) { group in
            var underWay = 0
            for await delivery in callbackDeliveries {
                if underWay == settings.callbacksUnderWayMax {
                    await group.next()
                    underWay -= 1
                }
                underWay += 1
                group.addTask { await self.deliver(delivery) }
            }
        }
    }

    /// Posts a result, with doubling pauses between attempts, until it is taken or given up.
    private func deliver(_ delivery: StoredDelivery<ByteBuffer>) async {
        guard CallbackDelivery.isWeb(delivery.url) else {
            await giveUp(delivery, attempts: delivery.failedAttempts, why: "only http:// and https:// addresses get results")
            return
        }
        var failed = delivery.failedAttempts
        while !Task.isCancelled {
            do {
                try await world.deliver(CallbackDelivery(url: delivery.url, headers: delivery.headers, body: delivery.body))
                await forget(delivery)
                return
            } catch {
                // A node that stops keeps what it could not post: its next start does.
                if Task.isCancelled { return }
                failed += 1
                guard failed < settings.callbackAttempts else {
                    await giveUp(delivery, attempts: failed, why: "\(error)")
                    return
                }
                await keepFailure(of: delivery, attempts: failed)
            }
            try? await Task.sleep(for: settings.callbackPause * (1 << (failed - 1)))
        }
    }

    private func giveUp(_ delivery: StoredDelivery<ByteBuffer>, attempts: Int, why: String) async {
        logger.warning(
            "callback not delivered",
            metadata: ["call": "\(delivery.call)", "url": "\(delivery.url)", "attempts": "\(attempts)", "error": "\(why)"])
        let label = delivery.headers.last { $0.name == "X-Call-Id" }?.value ?? "\(delivery.call)"
        keep(
            LogLine(
                function: delivery.function, instance: settings.name, time: clock.now, stream: .platform,
                text: "The result of the call \(label) was dropped after \(attempts) attempts to post it to \(delivery.url): \(why)"))
        await forget(delivery)
    }

    private func forget(_ delivery: StoredDelivery<ByteBuffer>) async {
        do {
            try await store.delivered(delivery.call, accepted: delivery.accepted)
        } catch {
            logger.error(
                "callback not removed from the store; it is posted again at the next start",
                metadata: ["call": "\(delivery.call)", "error": "\(error)"])
        }
    }

    private func keepFailure(of delivery: StoredDelivery<ByteBuffer>, attempts: Int) async {
        do {
            try await store.deliveryFailed(delivery.call, accepted: delivery.accepted, failedAttempts: attempts)
        } catch {
            logger.error("failed callback not counted in the store", metadata: ["call": "\(delivery.call)", "error": "\(error)"])
        }
    }
}
