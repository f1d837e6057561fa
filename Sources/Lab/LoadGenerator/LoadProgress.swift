// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// How far a run is, warm-up included.
public struct LoadProgress: Sendable {
    /// Requests answered with 2xx.
    public var succeeded: Int
    /// Requests that failed.
    public var failed: Int
}

/// Counts on one event loop and tells four times a second, as often as a person can read.
final class ProgressTicker {
    private static let interval = TimeAmount.milliseconds(250)

    private var counted = LoadProgress(succeeded: 0, failed: 0)
    private let tell: @Sendable (LoadProgress) -> Void
    private var alarm: Alarm?

    init(tell: @escaping @Sendable (LoadProgress) -> Void) { self.tell = tell }

    func start(on loop: any EventLoop) {
        let alarm = Alarm(on: loop) { [weak self] in self?.tick() }
        self.alarm = alarm
        alarm.set(at: .now() + Self.interval)
    }

    /// Tells the last count, so that every run is told of at least once.
    func stop() {
        alarm?.cancel()
        alarm = nil
        tell(counted)
    }

    func count(ok: Bool) { if ok { counted.succeeded += 1 } else { counted.failed += 1 } }

    private func tick() {
        tell(counted)
        alarm?.set(at: .now() + Self.interval)
    }
}
