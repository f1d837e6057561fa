// SPDX-License-Identifier: Apache-2.0

public import BrumeModel

/// How a call ran on a real node with its user's allocation to itself: what it asks of a machine follows from that.
public struct ObservedCall: Hashable, Sendable {
    /// In seconds, from the replica's receiving it to its answer.
    public var running: Double
    public var allocation: Resources
    /// Averaged over a window of the watcher; nil where it was not measured.
    public var peakMillicores: Int?
    public var peakMemoryBytes: Int
    /// What its replica held before it.
    public var baseMemoryBytes: Int
    /// Threads or processes that work on it.
    public var parallel = 1
    /// How often it waited for others, and how long each time, in seconds.
    public var waits = 0
    public var waitSeconds = 0.0

    /// Pieces at most, for the time that it takes to simulate them: a call that waits every 10 ms has so many in 20 s.
    private static let piecesMax = 2000
    /// Shorter pieces are put together up to this part of the watcher's window: nobody who looks can tell them apart.
    private static let finestPart = 0.25
    /// A call that waited all the time has still done this part of it itself.
    private static let waitingMax = 0.99
    /// A peak of less than this part of the allocation was not held back by it.
    private static let freePart = 0.95

    public init(running: Double, allocation: Resources, peakMillicores: Int?, peakMemoryBytes: Int, baseMemoryBytes: Int) {
        self.running = max(0.001, running)
        self.allocation = allocation
        self.peakMillicores = peakMillicores
        self.peakMemoryBytes = peakMemoryBytes
        self.baseMemoryBytes = min(baseMemoryBytes, peakMemoryBytes)
    }

    /// Its waiting and its work in turns, as often as it did: that a call works in short bursts decides what it lends.
    public var phases: [VirtualPhase] {
        let waiting = min(running * Self.waitingMax, Double(waits) * waitSeconds)
        let together = max(1, (PeakWindow.length * Self.finestPart * Double(waits) / running).rounded(.down))
        let pieces = waits > 0 ? max(1, min(Self.piecesMax, Int((Double(waits) / together).rounded(.up)))) : 1
        let own = Double(allocation.millicores) / 1000
        let peak = Double(peakMillicores ?? allocation.millicores) / 1000
        // At its limit it would have used more: as much as it has threads or processes. So it would between two waits: the peak, averaged
        // over a window, is that of a burst and of the waiting around it.
        let isFree = waits == 0 && peak < own * Self.freePart
        let cores = isFree ? max(0.01, peak) : Double(max(1, parallel))
        var work = Self.coreSeconds(in: (running - waiting) / Double(pieces), cores: cores, limit: own)
        // While others had the processor it neither worked nor waited: more than its peak it cannot have used.
        if peakMillicores != nil, waits > 0 { work = min(work, peak * max(PeakWindow.length, running / Double(pieces))) }
        var phases: [VirtualPhase] = []
        for piece in 1...pieces {
            let reached = baseMemoryBytes + Int(Double(peakMemoryBytes - baseMemoryBytes) * Double(piece) / Double(pieces))
            if waiting > 0 { phases.append(VirtualPhase(cores: 0, amount: waiting / Double(pieces), memoryBytes: reached)) }
            phases.append(VirtualPhase(cores: cores, amount: work, memoryBytes: reached))
        }
        return phases
    }

    /// What a stretch of work has come to that began with a whole budget of its quota: a burst at full speed, then its limit.
    static func coreSeconds(in seconds: Double, cores: Double, limit: Double) -> Double {
        guard cores > limit else { return cores * seconds }
        let burst = limit * VirtualMachine.quotaPeriod / (cores - limit)
        return seconds <= burst ? cores * seconds : cores * burst + limit * (seconds - burst)
    }
}
