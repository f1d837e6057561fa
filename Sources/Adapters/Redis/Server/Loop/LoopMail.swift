// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import CBrumeLinux
import Glibc
import Synchronization

/// What other threads hand to the server's loop, taken in one go however many post it, and the descriptor that wakes the loop for it.
final class LoopMail: Sendable {
    enum Letter: Sendable {
        case event(ServerEvent)
        case work(@Sendable (ServerLoop) -> Void)
    }

    private struct State {
        var letters: [Letter] = []
        /// Whether the loop waits, or is about to, and must be woken.
        var isAsleep = false
        var isClosed = false
    }

    /// Ready to be read when the loop is to wake. Closed with the last who could post, so that its number is nobody else's before.
    let descriptor: Int32
    // Bounded by the sessions, which wait for one thing each, and by the shell's batches of changes.
    private let state = Mutex(State())

    /// - Throws: `BrumeError` (`failed`) where the process has no descriptor left.
    init() throws(BrumeError) {
        descriptor = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        guard descriptor >= 0 else {
            throw BrumeError(.failed, "No eventfd can be made (errno \(errno)); raise the limit of open files.")
        }
    }

    deinit { _ = Glibc.close(descriptor) }

    /// Hands something to the loop, from any thread; false where the loop has ended.
    @discardableResult
    func post(_ letter: Letter) -> Bool {
        let (isTaken, wakes) = state.withLock { state in
            guard !state.isClosed else { return (false, false) }
            state.letters.append(letter)
            defer { state.isAsleep = false }
            return (true, state.isAsleep)
        }
        if wakes {
            var one: UInt64 = 1
            _ = unsafe Glibc.write(descriptor, &one, MemoryLayout<UInt64>.size)
        }
        return isTaken
    }

    /// Takes what there is; where there is nothing, whoever posts from now on wakes the loop.
    func takeOrSleep() -> [Letter] {
        state.withLock { state in
            guard !state.letters.isEmpty else {
                state.isAsleep = true
                return []
            }
            defer { state.letters = [] }
            return state.letters
        }
    }

    /// Takes note of having been woken.
    func wake() {
        var count: UInt64 = 0
        _ = unsafe Glibc.read(descriptor, &count, MemoryLayout<UInt64>.size)
    }

    /// Takes what there is, and nothing afterwards.
    func close() -> [Letter] {
        state.withLock { state in
            state.isClosed = true
            defer { state.letters = [] }
            return state.letters
        }
    }
}
