// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// How a node's link listens, how much it queues and how long it waits.
package struct LinkSettings: Sendable {
    /// The interface to listen on: an address of this machine, or `0.0.0.0` and `::` for all of them.
    package var host = "0.0.0.0"
    /// The port to listen on; 0 takes a free one, which ``GRPCLink/port`` tells.
    package var port = 0
    /// `HOST:PORT` under which other nodes reach this one; nil tells them the listening host and port.
    package var advertised: String?
    /// Room for what waits to be sent to one peer.
    package var queues = QueueLimits()
    /// Bytes that wait for all peers together: what a node may lose to peers that stall, however many they are. One peer may take 41 MiB
    /// by ``queues``; from half of this on, a peer gets no more than its even share. What is refused is caught up by comparison.
    package var queuedBytesMax = 256 << 20
    /// Time from TCP's connection to the peer's greeting: a few round trips of a slow mobile line.
    package var handshakeTimeout = Duration.seconds(5)
    /// Connections from the outside that have not shown a certificate yet; more are closed at once.
    package var strangersMax = 64
    /// Silence after which the other side is asked for a sign of life, and how long it may take to give one.
    package var keepalive = Keepalive()
    /// Waits between attempts to connect, doubling from the first to the last, each drawn from its upper half.
    package var backoff = DialBackoff()
    /// Time a frame may wait for a connection; after that, an unconnected peer's queue is emptied and takes nothing.
    package var unconnectedQueueTime = Duration.seconds(5)
    /// Time an old connection has to prove that it lives when a new one claims the same identity.
    package var probeTimeout = Duration.seconds(2)
    /// How long certificates last that this node issues, if it holds the cluster's key. They are renewed after two thirds.
    package var certificateLife = Duration.seconds(30 * 24 * 3_600)
    /// Time between attempts to renew this node's certificate while nobody who may sign answers.
    package var renewalRetry = Duration.seconds(300)
    /// Time a stopping node gives its last frames to leave.
    package var farewellTime = Duration.seconds(1)

    package init() {}

    /// Limits on what waits for one peer, by kind of frame.
    package struct QueueLimits: Sendable {
        /// A limit by number and by bytes, whichever is reached first; an empty queue takes any one frame.
        package struct Limit: Sendable {
            package var frames: Int
            package var bytes: Int

            package init(frames: Int, bytes: Int) {
                self.frames = frames
                self.bytes = bytes
            }
        }

        /// Probes are small, and old ones worthless.
        package var membership = Limit(frames: 256, bytes: 256 << 10)
        /// A second's burst of calls.
        package var call = Limit(frames: 4_096, bytes: 8 << 20)
        /// Several of the longest batches of deltas.
        package var state = Limit(frames: 4_096, bytes: 16 << 20)
        /// Bids are small.
        package var market = Limit(frames: 1_024, bytes: 1 << 20)
        /// Enough to fill a long fat line; whoever catches up reads on as it drains.
        package var bulk = Limit(frames: 64, bytes: 16 << 20)

        package init() {}

        subscript(kind: LinkKind) -> Limit {
            switch kind {
            case .membership: membership
            case .call: call
            case .state: state
            case .market: market
            case .bulk: bulk
            }
        }
    }

    /// When to ask a silent peer for a sign of life. A dead line is known after the sum of both times.
    package struct Keepalive: Sendable {
        package var interval = Duration.seconds(5)
        package var timeout = Duration.seconds(5)

        package init() {}
    }

    /// Waits between attempts to connect.
    package struct DialBackoff: Sendable {
        package var first = Duration.milliseconds(100)
        package var last = Duration.seconds(15)

        package init() {}
    }
}
