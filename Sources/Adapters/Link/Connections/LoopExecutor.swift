// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Runs tasks on an event loop: what its sockets read is taken in there, and what is to be written is written there, without a change of
/// threads, each of which costs more than a packet.
final class LoopExecutor: TaskExecutor {
    private let loop: any EventLoop

    init(_ loop: any EventLoop) { self.loop = loop }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        loop.execute { unsafe job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
