// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The kernel's word that replicas stall for want of memory (PSI): the net below the events of single groups, and one for all of them.
///
/// One for each group would cost a kernel thread each, and tens of milliseconds at each end of a replica, because the kernel waits for its
/// readers when a trigger goes. CPU needs none: `cpu.stat` tells of throttling at the next look, and stalls for CPU that the machine does
/// not have are no lender's.
final class PressureTrigger: Sendable {
    /// So much stalling within so much time, in microseconds.
    struct Threshold: Hashable, Sendable {
        let stall: Int
        let window: Int

        /// The kernel looks ten times in a window, while anything stalls.
        var lookMilliseconds: Int { window / 10_000 }
        /// The kernel takes the last byte for the end of the text, whatever it is.
        var text: String { "some \(stall) \(window)\n" }
    }

    /// The best first. A sleep at `memory.high` takes some 10 ms at least, so that 5 ms of stalling are one; older kernels (6.1) take no
    /// window below 500 ms, in which 20 ms are what a safeguard may take. Windows of 2 s, which need no rights, are of no use here.
    static let thresholds = [Threshold(stall: 5_000, window: 50_000), Threshold(stall: 20_000, window: 500_000)]

    let threshold: Threshold
    /// Tells by POLLPRI; at most once in a window.
    let file: CInt

    /// - Parameter path: a `memory.pressure` file.
    /// - Returns: nil where the kernel counts no pressure (`psi=0`), or this process may not ask (`CAP_SYS_RESOURCE`).
    init?(_ path: String) {
        for threshold in Self.thresholds {
            let file = unsafe open(path, O_RDWR | O_CLOEXEC)
            guard file >= 0 else { return nil }
            var text = threshold.text
            let written = text.withUTF8 { unsafe write(file, $0.baseAddress, $0.count) }
            if written > 0 {
                (self.threshold, self.file) = (threshold, file)
                return
            }
            _ = close(file)
        }
        return nil
    }

    deinit { _ = close(file) }
}
