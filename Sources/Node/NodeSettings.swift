// SPDX-License-Identifier: Apache-2.0

package import BrumeEngine
package import BrumeModel
package import NIOCore

/// What a node is told about itself and its surroundings.
package struct NodeSettings: Sendable {
    package var name: String
    package var version: String
    package var engine: EngineSettings
    /// What the machine has: a limit above that would be none. The node may be told to use less of it, or to promise more CPU.
    package var machine = Resources(millicores: .max, memoryBytes: .max)
    /// Warm calls that ended well and are written down each second. The kept 100,000 then reach back three minutes at any rate, and writing
    /// takes a few per cent of a core; failed, cold and asynchronous calls are always written.
    package var recordsPerSecondMax = 500
    /// Warm calls beyond that which are kept in memory, the newest: half a minute at 1,000 calls a second, in some 3 MB.
    package var recentCallsMax = 16_384
    /// How long running calls may go on when the node stops.
    package var shutdownGrace = Duration.seconds(10)
    /// Largest body kept of an asynchronous call's result, for its callback; a larger result is delivered without its body.
    package var resultBytesMax = 16 << 20
    /// Attempts to deliver a callback, those before a restart included; a receiver that restarts is back within their seven seconds.
    package var callbackAttempts = 4
    /// The pause after a callback's first failure; each further one is twice as long.
    package var callbackPause = Duration.seconds(1)
    /// Callbacks on their way at once, those that pause between attempts included: bounds connections and bodies in use.
    package var callbacksUnderWayMax = 256
    /// Callbacks that wait in memory; as many as the store keeps, so that a restart loses none.
    package var callbacksWaitingMax = 10_000
    /// How often old calls, log lines and packages are dropped.
    package var pruneInterval = Duration.seconds(60)
    /// Packages without a function are kept this long, so that a deployment that is under way finds its upload.
    package var orphanedCodeAge = Duration.seconds(3600)

    package init(name: String, version: String, engine: EngineSettings) {
        self.name = name
        self.version = version
        self.engine = engine
    }
}

/// What a node needs of the world beyond its store and its sandboxes.
package struct NodeWorld: Sendable {
    /// Wall time, which may jump; only schedules follow it.
    package var wallClock: @Sendable () -> Instant
    /// Resident memory of this process in bytes.
    package var residentBytes: @Sendable () -> Int
    /// Posts an asynchronous call's result; throws if it was not taken.
    package var deliver: @Sendable (CallbackDelivery) async throws -> Void
    /// Who is told which functions are here.
    package var functions = FunctionObserver.none
    /// The clock that everything else follows.
    package let clock: NodeClock

    package init(
        wallClock: @escaping @Sendable () -> Instant, residentBytes: @escaping @Sendable () -> Int,
        deliver: @escaping @Sendable (CallbackDelivery) async throws -> Void
    ) {
        self.wallClock = wallClock
        clock = NodeClock(wallClock: wallClock())
        self.residentBytes = residentBytes
        self.deliver = deliver
    }
}

/// The result of an asynchronous call on its way to the caller's URL.
package struct CallbackDelivery: Sendable {
    package var url: String
    package var headers: [HeaderField]
    package var body: ByteBuffer

    /// Whether results are posted to such an address: only web servers get any.
    static func isWeb(_ url: String) -> Bool {
        let url = url.lowercased()
        return url.hasPrefix("http://") || url.hasPrefix("https://")
    }
}

/// The node's clock: wall time when it was made, monotonic from then on.
package struct NodeClock: Sendable {
    private let anchor: Instant
    private let origin: ContinuousClock.Instant

    package init(wallClock: Instant) {
        anchor = wallClock
        origin = .now
    }

    package var now: Instant { anchor + (ContinuousClock.now - origin) }
}

extension NodeWorld {
    /// A time of the node's clock as the wall clock will show it, for functions, which have only that one.
    package func wallTime(of time: Instant) -> Instant { wallClock() + (time - clock.now) }
}
