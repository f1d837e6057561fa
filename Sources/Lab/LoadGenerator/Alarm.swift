// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// A timer of one event loop that can be set again and again without allocating.
final class Alarm: NIOScheduledCallbackHandler {
    private let loop: any EventLoop
    private let action: () -> Void
    private var scheduled: NIOScheduledCallback?

    /// `action` runs on `loop`, and the alarm must be used only there.
    init(on loop: any EventLoop, action: @escaping () -> Void) {
        self.loop = loop
        self.action = action
    }

    var isSet: Bool { scheduled != nil }

    /// Fires at `deadline`, and no more at the time it was set to before.
    func set(at deadline: NIODeadline) {
        scheduled?.cancel()
        do {
            scheduled = try loop.assumeIsolated().scheduleCallback(at: deadline, handler: self)
        } catch {
            preconditionFailure("a load generator's event loop was shut down during its run: \(error)")
        }
    }

    func cancel() {
        scheduled?.cancel()
        scheduled = nil
    }

    func handleScheduledCallback(eventLoop: some EventLoop) {
        scheduled = nil
        action()
    }
}
