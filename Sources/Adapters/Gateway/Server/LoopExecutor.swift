// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Synchronization

/// Runs a call's task on its connection's own event loop, so that a reply is written without changing threads once more.
final class LoopExecutor: TaskExecutor {
    let loop: any EventLoop

    init(_ loop: any EventLoop) { self.loop = loop }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        loop.execute { unsafe job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}

/// One executor for each event loop, kept as long as the gateway: a task may outlive its connection by a moment.
final class LoopExecutors: Sendable {
    /// There are as many as event loops, one for each core.
    private let executors = Mutex<[ObjectIdentifier: LoopExecutor]>([:])

    func executor(of loop: any EventLoop) -> LoopExecutor {
        executors.withLock { executors in
            let key = ObjectIdentifier(loop)
            if let known = executors[key] { return known }
            let made = LoopExecutor(loop)
            executors[key] = made
            return made
        }
    }
}
