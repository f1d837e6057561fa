// SPDX-License-Identifier: Apache-2.0

import BrumeEngine
package import BrumeModel
import Logging
import NIOCore
import ServiceLifecycle
import Synchronization

/// The node's life: restore, run until told to stop, end everything.
extension NodeService {
    /// Reads back what was deployed and what was accepted, and puts it into force. Call once, before the fronts listen.
    package func restore() async throws {
        for stored in try await store.functions() {
            var problem = ""
            do {
                try await driver.prepare(stored.spec, bundle: try await bundlePath(of: stored.spec))
            } catch {
                problem = "\(error)"
                logger.error("function not ready", metadata: ["function": "\(stored.spec.id)", "error": "\(error)"])
            }
            let schedules = (try? Self.schedules(of: stored.spec)) ?? []
            install(stored, schedules, problem: problem, prewarm: false)
            world.functions.installed(stored.spec, false)
        }
        let queued = try await store.queued()
        if !queued.isEmpty { logger.info("queued calls restored", metadata: ["calls": "\(queued.count)"]) }
        for call in queued {
            // A time further ahead than the pause was written before the clock was corrected.
            let latest = clock.now + settings.engine.asynchronousPause(after: call.attempts)
            let handle = books.withLock { $0.handles[call.request.function] }
            accept(
                call.id, handle, call.request, call.callbackURL, failedAttempts: call.attempts,
                notBefore: Swift.min(call.notBefore, latest))
        }
        try await restoreDeliveries()
    }

    package func run() async throws {
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { await self.runControl() }
            group.addTask { await self.runCallbacks() }
            group.addTask { await self.runSchedules() }
            group.addTask { await self.runPruning() }
            try? await gracefulShutdown()
            await self.stop()
            group.cancelAll()
        }
    }

    /// Begins ordered work in the order of its decisions; what takes long goes on beside it.
    private func runControl() async {
        await withDiscardingTaskGroup { group in
            for await item in control {
                switch item {
                case .start(let replica, let function): await start(replica, of: function)
                case .stop(let replica, let grace): driver.stop(replica, grace: grace)
                case .wake(let at):
                    group.addTask {
                        try? await Task.sleep(for: at - self.clock.now)
                        if !Task.isCancelled { self.submit(.tick) }
                    }
                case .runQueued(let call, let replica, let deadline):
                    group.addTask { await self.runQueued(call, on: replica, deadline: deadline) }
                case .collect(let call, let response): group.addTask { await self.keepBody(call, response) }
                case .settle(let settlement): group.addTask { await self.settle(settlement) }
                }
            }
        }
    }

    private func start(_ replica: ReplicaID, of handle: FunctionHandle) async {
        guard let spec = books.withLock({ $0.functions[handle]?.stored.spec }) else {
            submit(.exited(replica, ReplicaExit(.stopped, "The function was removed before the replica started.")))
            return
        }
        do {
            var secrets: [Secret] = []
            if !spec.secrets.isEmpty {
                secrets = try await store.secrets(namespace: spec.id.namespace).filter { spec.secrets.contains($0.name) }
            }
            driver.start(replica, of: spec, secrets: secrets)
        } catch {
            submit(.exited(replica, ReplicaExit(.startFailed, "The function's secrets cannot be read: \(error)")))
        }
    }

    /// Calls cron functions at their minutes.
    ///
    /// Wall time is looked at again at least every half minute, so that a corrected clock is followed.
    private func runSchedules() async {
        var runs = ScheduleRuns(wall: world.wallClock())
        while !Task.isCancelled {
            let wall = world.wallClock()
            let schedules = books.withLock { books in
                books.functions.values.filter { !$0.schedules.isEmpty }.map { ($0.stored.spec.id, $0.schedules) }
            }
            for due in runs.due(schedules, wall: wall, now: clock.now) { await callScheduled(due) }
            let nextMinute = Duration.nanoseconds(60_000_000_000 - wall.nanoseconds % 60_000_000_000)
            try? await Task.sleep(for: Swift.min(nextMinute, .seconds(30)))
        }
    }

    private func callScheduled(_ function: FunctionID) async {
        let request = CallRequest<ByteBuffer>(
            function: function, headers: [HeaderField("X-Topic", "cron-function")], body: .whole(ByteBuffer()),
            label: "cron-\(function)-\(clock.now.milliseconds)")
        do {
            if let refusal = try await enqueue(request, callbackURL: nil) {
                logger.warning("scheduled call refused", metadata: ["function": "\(function)", "why": "\(refusal.sentence)"])
            }
        } catch {
            logger.error("scheduled call not accepted", metadata: ["function": "\(function)", "error": "\(error)"])
        }
    }

    private func runPruning() async {
        while !Task.isCancelled {
            do {
                try await store.prune()
                let removed = try await store.pruneCode(olderThan: settings.orphanedCodeAge)
                if removed > 0 { logger.info("unused packages removed", metadata: ["packages": "\(removed)"]) }
            } catch {
                logger.warning("pruning failed", metadata: ["error": "\(error)"])
            }
            try? await Task.sleep(for: settings.pruneInterval)
        }
    }

    /// Lets running calls end within the grace, then ends every replica and writes down what is left.
    private func stop() async {
        submit(.drain)
        let deadline = clock.now + settings.shutdownGrace
        while books.withLock({ $0.engine.view.runningCalls + $0.engine.view.waitingCallers }) > 0, clock.now < deadline {
            try? await Task.sleep(for: .milliseconds(20))
        }
        submit(.halt)
        logs.close()
        await driver.shutdown()
        do { try await store.flush() } catch { logger.error("last records not stored", metadata: ["error": "\(error)"]) }
        controlInput.finish()
        callbacks.finish()
    }

    package func status() async -> NodeStatus {
        let (view, functions) = books.withLock { ($0.engine.view, $0.handles.count) }
        return NodeStatus(
            node: settings.name, version: settings.version, started: startedAt, now: clock.now, capacity: view.capacity,
            reserved: view.reserved, replicas: view.replicas, startingReplicas: view.starting, runningCalls: view.runningCalls,
            queuedCalls: view.queuedCalls, functions: functions, isolation: driver.isolation, residentBytes: world.residentBytes())
    }
}
