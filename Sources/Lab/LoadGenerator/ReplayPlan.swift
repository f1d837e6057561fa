// SPDX-License-Identifier: Apache-2.0

public import BrumeModel
public import BrumeWorkload

/// One replay of a trace: its calls go out when they are due, whatever the server does (open loop).
public struct ReplayPlan: Sendable {
    /// Longest trace that is replayed: a replay must end while somebody still waits for it.
    public static let lengthMax = Duration.seconds(6 * 3600)
    /// Calls of one replay at most: each leaves a record of some 300 bytes.
    public static let callsMax = 2_000_000
    /// Longest wait for one answer: as long as a function of the lab may run.
    public static let timeoutMax = Duration.seconds(3600)

    /// The gateway; its path stands before the functions' own.
    public var gateway: LoadTarget
    /// What is played, with the offsets at which it is played.
    public var trace: Trace
    /// Path of each of the trace's functions behind the gateway's, in their order; `/function/NAME` for most.
    public var paths: [String]
    public var headers: [LoadPlan.Header]
    /// How long an answer may take, from when the call was sent.
    public var timeout: Duration
    /// Calls under way at the same time at most; further ones wait for their turn, and the wait counts.
    public var connections: Int
    /// Permits gateways that are not on this machine.
    public var allowRemote: Bool

    public init(
        gateway: LoadTarget, trace: Trace, paths: [String], headers: [LoadPlan.Header] = [], timeout: Duration = .seconds(300),
        connections: Int = 1024, allowRemote: Bool = false
    ) {
        self.gateway = gateway
        self.trace = trace
        self.paths = paths
        self.headers = headers
        self.timeout = timeout
        self.connections = connections
        self.allowRemote = allowRemote
    }

    /// Checks every number against its limit and the gateway against ``allowRemote``.
    ///
    /// - Throws: `BrumeError` (`invalid`, `tooLarge` or `permission`).
    public func validate() throws(BrumeError) {
        let one = LoadPlan(target: gateway, headers: headers, pace: .closed, connections: connections, allowRemote: allowRemote)
        try one.validate()
        guard timeout > .zero, timeout <= Self.timeoutMax else {
            throw BrumeError(
                .invalid,
                "A timeout of \(timeout) is not possible; give more than 0 and at most \(Self.timeoutMax.components.seconds) seconds.")
        }
        guard trace.length <= Self.lengthMax else {
            throw BrumeError(
                .tooLarge,
                """
                The trace lasts \(trace.length.components.seconds) seconds, at most \(Self.lengthMax.components.seconds) are replayed; \
                make it faster, or shorter.
                """
            )
        }
        guard trace.calls.count <= Self.callsMax else {
            throw BrumeError(.tooLarge, "The trace has \(trace.calls.count) calls; at most \(Self.callsMax) are replayed at a time.")
        }
        let arePaths = paths.allSatisfy { $0.hasPrefix("/") && $0.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F } }
        guard paths.count == trace.functions.count, arePaths else {
            throw BrumeError(.invalid, "Each function of the trace needs a path that begins with / and has no blanks.")
        }
    }

    /// The most calls that are due at the same moment: as many connections are opened before the beginning.
    var largestBurst: Int {
        var most = 0
        var count = 0
        var moment: Duration?
        for call in trace.calls {
            count = call.offset == moment ? count + 1 : 1
            moment = call.offset
            most = max(most, count)
        }
        return most
    }

    /// The request of a call as it goes over the wire.
    func request(of call: TraceCall) -> [UInt8] {
        let prefix = gateway.path.hasSuffix("/") ? String(gateway.path.dropLast()) : gateway.path
        let body = Array(trace.body(of: call).utf8)
        var head = "POST \(prefix)\(paths[call.function]) HTTP/1.1\r\nHost: \(gateway.authority)\r\n"
        head += "Content-Type: application/json\r\nContent-Length: \(body.count)\r\n"
        for header in headers { head += "\(header.name): \(header.value)\r\n" }
        return Array((head + "\r\n").utf8) + body
    }
}

/// How far a replay is.
public struct ReplayProgress: Sendable {
    /// Time since its beginning.
    public var elapsed: Duration
    /// Calls that were due, of all.
    public var due: Int
    public var calls: Int
    /// Calls with an answer of 2xx, and those that ended otherwise.
    public var succeeded: Int
    public var failed: Int

    /// Calls that are under way or wait for their turn.
    public var pending: Int { due - succeeded - failed }
}
