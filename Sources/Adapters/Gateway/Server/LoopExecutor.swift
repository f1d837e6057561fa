// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Runs a call's task on its connection's own event loop, so that a reply is written without changing threads once more.
final class LoopExecutor: TaskExecutor {
    private let loop: any EventLoop

    init(_ loop: any EventLoop) { self.loop = loop }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        loop.execute { unsafe job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
