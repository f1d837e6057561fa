// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import CBrumeLinux
import Glibc

/// Waits for kernel files that tell of changes, in the thread that asks.
///
/// They tell by POLLPRI, which event loops for sockets do not listen to.
final class KernelEvents: Sendable {
    /// Tells of ``wake()``; nobody else may use it.
    static let woken = UInt64.max

    /// Told of at a time; the rest waits.
    private static let tokensMax = 64

    private let poller: CInt
    private let wakeUp: CInt

    init() throws(BrumeError) {
        var wakeUp: CInt = -1
        poller = unsafe brume_poller_open(&wakeUp)
        self.wakeUp = wakeUp
        guard poller >= 0 else {
            throw BrumeError(.failed, "Kernel files cannot be waited for: \(HostFiles.reason(-poller)). Allow this user more open files.")
        }
    }

    deinit { for file in [poller, wakeUp] where file >= 0 { _ = close(file) } }

    /// Has the file tell `token` each time that it changes, until it is closed. It may tell once more than it should.
    ///
    /// - Returns: false where the file tells nothing, as ordinary ones do.
    func add(_ file: CInt, _ token: UInt64) -> Bool { brume_poller_add(poller, file, token) == 0 }

    /// Ends a waiting, or the next one.
    func wake() { brume_poller_wake(wakeUp) }

    /// Waits until something is told.
    ///
    /// - Parameter nanoseconds: at most so long; nil: for ever.
    /// - Returns: what was told; ``woken`` among it.
    func wait(atMost nanoseconds: Int64?) -> [UInt64] {
        unsafe [UInt64](unsafeUninitializedCapacity: Self.tokensMax) { buffer, count in
            let got = unsafe brume_poller_wait(poller, nanoseconds ?? -1, buffer.baseAddress, CInt(Self.tokensMax))
            count = Int(max(0, got))
        }
    }
}
