// SPDX-License-Identifier: Apache-2.0

/// The times and bounds of a ``Membership``; the defaults see a death in two to three seconds with up to fifty nodes.
public struct MembershipSettings: Sendable, Hashable {
    /// A node probes one other in each period, so each node is probed about once in it, however many there are.
    public var probePeriod = Duration.milliseconds(500)
    /// How long an answer may take before others are asked to try: several round trips between edge and cloud.
    public var directTimeout = Duration.milliseconds(200)
    /// How many others are asked to try.
    public var indirectProbes = 3
    /// A suspected member has at least this long to contradict: gossip reaches fifty nodes and comes back in half of it.
    public var suspicionMin = Duration.milliseconds(1_000)
    /// And at most this long, while nobody else suspects it too.
    public var suspicionMax = Duration.milliseconds(3_000)
    /// So many further accusers shorten the wait from the longest to the shortest.
    public var confirmations = 2
    /// How many that hear of a suspicion try the suspect themselves, over the whole cluster.
    public var verifications = 3
    /// How often news go round, while there are any.
    public var gossipPeriod = Duration.milliseconds(100)
    /// To how many others at a time.
    public var gossipFanout = 3
    /// A node sends a piece of news so many times the number of decimal digits of the cluster's size.
    public var retransmissions = 6
    /// Most bytes of news in one frame, so that a probe stays small.
    public var gossipBytesMax = 1_400
    /// How often a node compares its whole list with a member's.
    public var syncPeriod = Duration.seconds(10)
    /// How often a node tries one of those that it holds for dead: what heals a partition.
    public var reconnectPeriod = Duration.seconds(3)
    /// How long a node waits for an answer from one that it wants to join, doubling up to `reconnectPeriod`.
    public var joinRetry = Duration.milliseconds(300)
    /// Slowest factor that a node which notices that it is itself slow gives its own probes (Lifeguard's local health).
    public var slownessMax = 3
    /// A wake-up that comes so much too late says that this node stood still: its deadlines move by as much.
    public var stall = Duration.milliseconds(250)
    /// Most records, of whatever status. Beyond, those that left longest ago are forgotten, and then newcomers are refused.
    public var recordsMax = 1_024

    public init() {}
}
