// SPDX-License-Identifier: Apache-2.0

package import BrumeModel

/// Which cron functions are due, while the wall clock may be moved.
///
/// Schedules follow wall time, so a moved clock moves them too. Two things must not come of that: a run that is lost because its minute
/// was skipped, and a run that happens twice because its minute came again.
/// - After a jump ahead, a schedule whose minutes were skipped runs once, as after any pause in which the node could not look.
/// - After a jump back, schedules go on at once at the new time. A minute that was seen before runs only where the schedule's own pause
///   has passed since its last run: every five minutes goes on every five minutes, and yesterday's midnight is not run again.
package struct ScheduleRuns: Sendable {
    /// A jump ahead by more is a clock that has just been set (a machine without a battery begins in 1970): nothing was missed.
    package static let madeUpMax = Duration.seconds(86_400)

    private struct Key: Hashable, Sendable {
        let function: FunctionID
        let schedule: CronSchedule
    }

    /// Everything up to here was looked at.
    private var looked: Instant
    /// The latest wall time that was ever looked at.
    private var latest: Instant
    /// When schedules ran, on the node's own clock, which does not jump. Only schedules that are in force are kept.
    private var lastRuns: [Key: Instant] = [:]

    /// - Parameter wall: the wall clock at the start; what was due before is not made up for.
    package init(wall: Instant) {
        looked = wall
        latest = wall
    }

    /// The functions that are due, by name; each once.
    ///
    /// - Parameters:
    ///   - wall: the wall clock now.
    ///   - now: the node's own clock.
    package mutating func due(_ functions: [(FunctionID, [CronSchedule])], wall: Instant, now: Instant) -> [FunctionID] {
        defer {
            looked = wall
            latest = Swift.max(latest, wall)
        }
        forget(allBut: functions)
        guard wall > looked, wall - looked <= Self.madeUpMax else { return [] }
        var due: [FunctionID] = []
        for (function, schedules) in functions {
            var isDue = false
            for schedule in schedules {
                guard let minute = schedule.next(after: looked), minute <= wall else { continue }
                let key = Key(function: function, schedule: schedule)
                if minute <= latest, let last = lastRuns[key], !hasPaused(schedule, at: minute, since: last, now) { continue }
                lastRuns[key] = now
                isDue = true
            }
            if isDue { due.append(function) }
        }
        return due.sorted()
    }

    /// Whether the time to the schedule's next minute, less a tenth for the jitter of waking up, has passed since its last run.
    private func hasPaused(_ schedule: CronSchedule, at minute: Instant, since last: Instant, _ now: Instant) -> Bool {
        guard let next = schedule.next(after: minute) else { return false }
        return (now - last) * 10 >= (next - minute) * 9
    }

    private mutating func forget(allBut functions: [(FunctionID, [CronSchedule])]) {
        guard !lastRuns.isEmpty else { return }
        let inForce = Set(functions.flatMap { function, schedules in schedules.map { Key(function: function, schedule: $0) } })
        lastRuns = lastRuns.filter { inForce.contains($0.key) }
    }
}
