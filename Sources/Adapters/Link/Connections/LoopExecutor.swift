// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Synchronization

/// Runs tasks on an event loop: what its sockets read is taken in there, and what is to be written is written there, without a change of
/// threads, each of which costs more than a packet.
final class LoopExecutor: TaskExecutor {
    private let loop: any EventLoop
    /// Jobs of tasks that were run so far.
    let jobs = Atomic<Int>(0)

    init(_ loop: any EventLoop) { self.loop = loop }

    func enqueue(_ job: consuming ExecutorJob) {
        jobs.add(1, ordering: .relaxed)
        let job = UnownedJob(job)
        loop.execute { unsafe job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
