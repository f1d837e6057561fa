// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import BrumeHarvest
import BrumeModel

/// When a node that harvests gives calls their own allocation back: the settings of its safeguard.
struct SafeguardOptions: ParsableArguments {
    @Option(
        name: .customLong("safeguard-threshold"),
        help: ArgumentHelp(
            "Give a call that lent something its own allocation back when it uses so much of what it was left with (80).",
            valueName: "percent"))
    var threshold: Int?
    @Option(
        name: .customLong("safeguard-window"),
        help: ArgumentHelp("The time over which use of CPU is averaged for that, at least 20ms (40ms).", valueName: "duration"))
    var window: String?
    @Option(
        name: .customLong("safeguard-pause"),
        help: ArgumentHelp(
            """
            How long a function that needs this often is left alone at first, twice as long each time again, up to 1h; 0s for never (30s).
            """,
            valueName: "duration"))
    var pause: String?

    /// Nil where nothing was said.
    /// - Throws: a `CommandFailure` for what no safeguard can work with.
    func settings() throws(CommandFailure) -> SafeguardSettings? {
        guard threshold != nil || window != nil || pause != nil else { return nil }
        var settings = SafeguardSettings()
        if let threshold {
            guard (1...99).contains(threshold) else {
                throw .words("--safeguard-threshold takes 1 to 99 percent of the limit, not \(threshold).")
            }
            settings.thresholdPercent = threshold
        }
        // From one period of the kernel's quota on: in less, a call that is within its limit may look as if it were above.
        if let window { settings.cpuWindow = try Self.time(window, "--safeguard-window", .milliseconds(20)...(.seconds(10))) }
        if let pause { settings.pauseMin = try Self.time(pause, "--safeguard-pause", .zero...settings.pauseMax) }
        return settings
    }

    private static func time(_ text: String, _ option: String, _ range: ClosedRange<Duration>) throws(CommandFailure) -> Duration {
        guard let duration = try? Duration(parsing: text), range.contains(duration) else {
            throw .words("\(option) takes a time from \(range.lowerBound) to \(range.upperBound), like 40ms, not '\(text)'.")
        }
        return duration
    }
}
