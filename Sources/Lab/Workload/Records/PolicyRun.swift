// SPDX-License-Identifier: Apache-2.0

public import BrumeModel

/// What the calls of a node used and had at one moment of a run.
public struct UtilisationPoint: Hashable, Sendable {
    /// From the beginning of the run.
    public var at: Duration
    /// Averaged since the point before.
    public var usedMillicores: Int
    public var usedMemoryBytes: Int
    /// The limits of the calls that ran, added up.
    public var allocatedMillicores: Int
    public var allocatedMemoryBytes: Int
    /// Calls that ran.
    public var running: Int

    public init(
        at: Duration, usedMillicores: Int, usedMemoryBytes: Int, allocatedMillicores: Int, allocatedMemoryBytes: Int, running: Int
    ) {
        self.at = at
        self.usedMillicores = usedMillicores
        self.usedMemoryBytes = usedMemoryBytes
        self.allocatedMillicores = allocatedMillicores
        self.allocatedMemoryBytes = allocatedMemoryBytes
        self.running = running
    }
}

/// One trace played once under one policy, on a real node or in virtual time.
public struct PolicyRun: Sendable {
    /// The policy's name, as on the command line.
    public var policy: String
    public var isSimulated: Bool
    /// What running calls may have altogether.
    public var capacity: Resources
    /// One for each call of the trace, in its order.
    public var records: [ReplayRecord]
    /// In the order of time, about ten a second.
    public var utilisation: [UtilisationPoint]
    /// How often the safeguard gave a call its own back.
    public var safeguards: Int
    /// Calls that were killed for want of memory.
    public var outOfMemoryKills: Int

    public init(policy: String, isSimulated: Bool, capacity: Resources) {
        (self.policy, self.isSimulated, self.capacity) = (policy, isSimulated, capacity)
        (records, utilisation) = ([], [])
        (safeguards, outOfMemoryKills) = (0, 0)
    }
}
