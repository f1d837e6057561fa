// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import Synchronization

/// Tells a waiting person on standard error what is going on and for how long.
///
/// On a terminal it is one line that moves and disappears; elsewhere it is one plain line, once, after a second.
final class ProgressDisplay: Sendable {
    /// Nothing is shown before: most commands are over by then.
    private static let patienceOnTerminal = Duration.milliseconds(300)
    private static let patienceElsewhere = Duration.seconds(1)
    private static let frameInterval = Duration.milliseconds(100)
    private static let frames = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"]

    private struct State {
        var activity: String
        var isShown = false
        var isOver = false
    }

    private let console: Console
    private let started = ContinuousClock.now
    private let state: Mutex<State>

    private init(_ activity: String, console: Console) {
        self.console = console
        state = Mutex(State(activity: activity))
    }

    /// Runs `body` and shows progress beside it.
    ///
    /// - Parameter quiet: shows nothing.
    static func during<Result>(
        _ activity: String, quiet: Bool = false, console: Console = .standard, _ body: (ProgressDisplay) async throws -> Result
    ) async throws -> Result {
        let display = ProgressDisplay(activity, console: console)
        guard !quiet else { return try await body(display) }
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await display.animate() }
            defer {
                display.finish()
                group.cancelAll()
            }
            return try await body(display)
        }
    }

    /// Says what is being done now.
    func now(_ activity: String) { state.withLock { $0.activity = activity } }

    /// Takes the display away, so that output can be written. Nothing is shown afterwards.
    func finish() {
        state.withLock { state in
            if state.isShown, console.errorIsTerminal { console.draw("\r\u{1B}[K") }
            state.isShown = false
            state.isOver = true
        }
    }

    private func animate() async {
        guard console.errorIsTerminal else {
            try? await Task.sleep(for: Self.patienceElsewhere)
            state.withLock { state in
                if !state.isOver, !Task.isCancelled { console.note("\(state.activity) ...") }
            }
            return
        }
        try? await Task.sleep(for: Self.patienceOnTerminal)
        var frame = 0
        while !Task.isCancelled {
            draw(Self.frames[frame % Self.frames.count])
            frame += 1
            try? await Task.sleep(for: Self.frameInterval)
        }
    }

    private func draw(_ frame: String) {
        let elapsed = Wording.decimal((ContinuousClock.now - started).inSeconds, places: 1)
        state.withLock { state in
            guard !state.isOver else { return }
            state.isShown = true
            console.draw("\r\u{1B}[K\(frame) \(state.activity) \(console.errorStyle.faint("\(elapsed) s"))")
        }
    }
}
