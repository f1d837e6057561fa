// SPDX-License-Identifier: Apache-2.0
import BrumeModel

/// Ended calls and log lines on their way to disk, bounded.
struct HistoryBuffer: Sendable {
    /// What one transaction writes at most, so that a durable operation that shares it waits some 30 ms at worst.
    static let rowsPerTransactionMax = 2_000

    private let callsMax: Int
    private let linesMax: Int
    private let lineBytesMax: Int

    private(set) var calls: [CallRecord] = []
    private(set) var lines: [LogLine] = []
    private var lineBytes = 0
    /// Calls that found the buffer full.
    private(set) var droppedCalls = 0
    /// Lines that had to make room for newer ones.
    private(set) var droppedLines = 0

    init(settings: StoreSettings) {
        callsMax = settings.bufferedCallsMax
        linesMax = settings.bufferedLinesMax
        lineBytesMax = settings.bufferedLineBytesMax
    }

    var isEmpty: Bool { calls.isEmpty && lines.isEmpty }

    /// Whether it is time to write without waiting for more.
    var isWorthWriting: Bool {
        calls.count + lines.count >= Self.rowsPerTransactionMax || calls.count * 2 >= callsMax || lines.count * 2 >= linesMax
            || lineBytes * 2 >= lineBytesMax
    }

    mutating func append(_ call: CallRecord) {
        guard calls.count < callsMax else {
            droppedCalls += 1
            return
        }
        calls.append(call)
    }

    mutating func append(_ more: [LogLine]) {
        for line in more {
            lines.append(line)
            lineBytes += line.text.utf8.count
            while lines.count > linesMax || lineBytes > lineBytesMax { dropOldestLines() }
        }
    }

    /// Takes the oldest rows out: all of them, or as many as one transaction should hold.
    mutating func take(all: Bool) -> (calls: [CallRecord], lines: [LogLine]) {
        let limit = all ? Int.max : Self.rowsPerTransactionMax
        if calls.count + lines.count <= limit {
            defer {
                calls.removeAll(keepingCapacity: true)
                lines.removeAll(keepingCapacity: true)
                lineBytes = 0
            }
            return (calls, lines)
        }
        let takenCalls = Array(calls.prefix(limit))
        calls.removeFirst(takenCalls.count)
        let takenLines = Array(lines.prefix(limit - takenCalls.count))
        lines.removeFirst(takenLines.count)
        lineBytes -= takenLines.reduce(0) { $0 + $1.text.utf8.count }
        return (takenCalls, takenLines)
    }

    /// Puts rows back whose transaction failed, in front, as far as there is room.
    mutating func giveBack(calls oldCalls: [CallRecord], lines oldLines: [LogLine]) {
        let room = max(0, callsMax - calls.count)
        droppedCalls += max(0, oldCalls.count - room)
        calls.insert(contentsOf: oldCalls.suffix(room), at: 0)
        let newer = lines
        lines = []
        lineBytes = 0
        append(oldLines)
        append(newer)
    }

    private mutating func dropOldestLines() {
        let count = min(lines.count, max(1, lines.count / 16))
        lineBytes -= lines.prefix(count).reduce(0) { $0 + $1.text.utf8.count }
        lines.removeFirst(count)
        droppedLines += count
    }
}
