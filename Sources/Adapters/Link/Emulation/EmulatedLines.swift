// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import DequeModule

/// The lines of an ``EmulatedLink``: which frame arrives when, by seeded chance. A value under its lock.
struct EmulatedLines {
    struct Frame {
        let bytes: [UInt8]
        let kind: LinkKind
        let due: ContinuousClock.Instant
    }

    enum Verdict {
        /// Nothing to emulate.
        case straight
        case result(LinkSend)
        /// It is under way; somebody should see when it arrives.
        case wait
    }

    private struct Line {
        var conditions: NetworkConditions?
        var frames: Deque<Frame> = []
        var counts = [Int](repeating: 0, count: LinkKind.allCases.count)
        var bytes = [Int](repeating: 0, count: LinkKind.allCases.count)
        var saidFull: Set<LinkKind> = []
        /// When the line has taken in what was sent, and when the last frame arrives.
        var freeAt: ContinuousClock.Instant?
        var lastDue: ContinuousClock.Instant?
        /// Whether an alarm is set, or the head waits for the link underneath.
        var hasAlarm = false
        var isUp = false
        var saidCut = false
    }

    private var chance: SeededGenerator
    private let limits: LinkSettings.QueueLimits
    private var common = NetworkConditions()
    private var lines: [NodeID: Line] = [:]
    /// Frames that vanished.
    var lost = 0

    init(seed: UInt64, limits: LinkSettings.QueueLimits) {
        chance = SeededGenerator(seed: seed)
        self.limits = limits
    }

    var known: [NodeID] { lines.keys.sorted() }

    func conditions(to peer: NodeID) -> NetworkConditions { lines[peer]?.conditions ?? common }
    func isEmpty(to peer: NodeID) -> Bool { lines[peer]?.frames.isEmpty ?? true }

    mutating func set(_ conditions: NetworkConditions, to peer: NodeID) { lines[peer, default: Line()].conditions = conditions }

    mutating func setAll(_ conditions: NetworkConditions) {
        common = conditions
        for peer in lines.keys { lines[peer]?.conditions = nil }
    }

    mutating func forget(_ peer: NodeID) {
        guard var line = lines[peer] else { return }
        lost += line.frames.count
        line = Line(conditions: line.conditions, isUp: line.isUp)
        lines[peer] = line
    }

    /// - Returns: whether the owner is to be told.
    mutating func connected(_ peer: NodeID, isUp: Bool) -> Bool {
        var line = lines[peer, default: Line()]
        line.isUp = isUp
        if !isUp {
            lost += line.frames.count
            line.frames = []
            line.counts = line.counts.map { _ in 0 }
            line.bytes = line.bytes.map { _ in 0 }
        }
        lines[peer] = line
        return !line.saidCut
    }

    /// - Returns: whether a cut has become known and the owner was told `up` before.
    mutating func noticeCut(_ peer: NodeID) -> Bool {
        guard conditions(to: peer).isCut, var line = lines[peer], !line.saidCut else { return false }
        line.saidCut = true
        lines[peer] = line
        return line.isUp
    }

    /// - Returns: whether a peer that was told to be down is up again.
    mutating func heal(_ peer: NodeID) -> Bool {
        guard var line = lines[peer], line.saidCut else { return false }
        line.saidCut = false
        lines[peer] = line
        return line.isUp
    }

    mutating func send(_ frame: [UInt8], kind: LinkKind, to peer: NodeID, now: ContinuousClock.Instant) -> Verdict {
        let conditions = conditions(to: peer)
        var line = lines[peer, default: Line()]
        if conditions.isClear, line.frames.isEmpty { return .straight }
        if line.saidCut { return .result(.unknown) }
        // Chance is drawn for every frame, so that which are lost depends on their order alone.
        let fate = chance.unit()
        let lateness = chance.unit()
        guard !conditions.isCut, fate >= conditions.loss else {
            lost += 1
            return .result(.queued)
        }
        let place = Int(kind.rawValue)
        let limit = limits[kind]
        guard line.counts[place] == 0 || (line.counts[place] < limit.frames && line.bytes[place] + frame.count <= limit.bytes) else {
            line.saidFull.insert(kind)
            lines[peer] = line
            return .result(.full)
        }
        var left = max(now, line.freeAt ?? now)
        if let speed = conditions.bytesPerSecond { left += .seconds(1) * (Double(frame.count) / Double(max(1, speed))) }
        let due = max(left + conditions.delay + conditions.jitter * lateness, line.lastDue ?? now)
        line.freeAt = left
        line.lastDue = due
        line.frames.append(Frame(bytes: frame, kind: kind, due: due))
        line.counts[place] += 1
        line.bytes[place] += frame.count
        let isWatched = line.hasAlarm
        line.hasAlarm = true
        lines[peer] = line
        return isWatched ? .result(.queued) : .wait
    }

    /// The frame that arrives now, taken out.
    mutating func due(to peer: NodeID, now: ContinuousClock.Instant) -> Frame? {
        guard let first = lines[peer]?.frames.first, first.due <= now else { return nil }
        lines[peer]?.frames.removeFirst()
        lines[peer]?.counts[Int(first.kind.rawValue)] -= 1
        lines[peer]?.bytes[Int(first.kind.rawValue)] -= first.bytes.count
        guard !conditions(to: peer).isCut else {
            lost += 1
            return due(to: peer, now: now)
        }
        return first
    }

    /// The link underneath is full: the frame waits at the head for ``LinkEvent/writable(_:_:)``.
    mutating func putBack(_ frame: Frame, to peer: NodeID) {
        lines[peer]?.frames.prepend(frame)
        lines[peer]?.counts[Int(frame.kind.rawValue)] += 1
        lines[peer]?.bytes[Int(frame.kind.rawValue)] += frame.bytes.count
    }

    /// When to look again, if anything is under way.
    mutating func nextAlarm(to peer: NodeID, now: ContinuousClock.Instant) -> Duration? {
        guard let first = lines[peer]?.frames.first else {
            lines[peer]?.hasAlarm = false
            return nil
        }
        // A head that is overdue waits for room underneath, which is told.
        return first.due > now ? first.due - now : nil
    }

    /// Kinds that have room again after having been full.
    mutating func writable(to peer: NodeID) -> [LinkKind] {
        guard var line = lines[peer], !line.saidFull.isEmpty else { return [] }
        let free = LinkKind.allCases.filter { kind in
            line.saidFull.contains(kind) && line.counts[Int(kind.rawValue)] <= limits[kind].frames / 2
                && line.bytes[Int(kind.rawValue)] <= limits[kind].bytes / 2
        }
        line.saidFull.subtract(free)
        lines[peer] = line
        return free
    }
}
