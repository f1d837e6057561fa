// SPDX-License-Identifier: Apache-2.0

public import BrumeModel
public import BrumeWorkload

/// One run of load: the request, how fast it is sent, over how many connections and for how long.
public struct LoadPlan: Sendable {
    /// What decides when a request is sent.
    public enum Pace: Hashable, Sendable {
        /// Requests are due at the times of an arrival process, whatever the server does (open loop).
        case open(ArrivalProcess)
        /// Each connection sends its next request when the last one is answered (closed loop).
        case closed
        /// Each connection sends one request, all at the same moment. Takes no warm-up.
        case burst
    }

    /// A line of the request's head.
    public struct Header: Hashable, Sendable {
        public var name: String
        public var value: String
        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    /// Longest run: this is a benchmark, not a soak test, and it must end by itself.
    public static let durationMax = Duration.seconds(600)
    /// Longest wait for one answer.
    public static let timeoutMax = Duration.seconds(300)
    /// Connections at most: stays below the usual limit of descriptors, and a server sees no difference beyond it.
    public static let connectionsMax = 4096
    /// Threads at most: one drives more requests than a node answers on one core.
    public static let threadsMax = 16
    /// Requests per second at most, an order of magnitude over what one machine answers.
    public static let rateMax = 1_000_000.0
    /// Longest body, in bytes: it is sent with every request.
    public static let bodyBytesMax = 16 << 20

    public var target: LoadTarget
    public var method: String
    public var headers: [Header]
    public var body: [UInt8]
    public var pace: Pace
    /// Connections in all; in the closed loop this is the concurrency.
    public var connections: Int
    public var threads: Int
    /// Measured time, after the warm-up.
    public var duration: Duration
    /// Time at the beginning whose requests are sent and not counted.
    public var warmUp: Duration
    /// How long an answer may take before the request counts as failed and its connection is closed.
    public var timeout: Duration
    /// Seed of the arrival process.
    public var seed: UInt64
    /// Permits targets that are not on this machine.
    public var allowRemote: Bool

    public init(
        target: LoadTarget, method: String = "POST", headers: [Header] = [], body: [UInt8] = [], pace: Pace, connections: Int = 16,
        threads: Int = 1, duration: Duration = .seconds(10), warmUp: Duration = .seconds(1), timeout: Duration = .seconds(30),
        seed: UInt64 = 1, allowRemote: Bool = false
    ) {
        self.target = target
        self.method = method
        self.headers = headers
        self.body = body
        self.pace = pace
        self.connections = connections
        self.threads = threads
        self.duration = duration
        self.warmUp = warmUp
        self.timeout = timeout
        self.seed = seed
        self.allowRemote = allowRemote
    }

    /// Checks every number against its limit and the target against ``allowRemote``.
    ///
    /// - Throws: `BrumeError` (`invalid`, `tooLarge` or `permission`).
    public func validate() throws(BrumeError) {
        func require(_ condition: Bool, _ code: BrumeError.Code, _ message: String) throws(BrumeError) {
            if !condition { throw BrumeError(code, message) }
        }
        try require(
            target.isLocal || allowRemote, .permission,
            "\(target) is not on this machine; load on others' machines needs their consent: add --allow-remote if you have it.")
        try require(
            ["GET", "POST", "PUT", "PATCH", "DELETE"].contains(method), .invalid,
            "The method '\(method)' is not offered; use GET, POST, PUT, PATCH or DELETE.")
        try require(
            headers.allSatisfy(\.isValid), .invalid, "A header has an empty name or a control character; write --header 'Name: value'.")
        try require(
            body.count <= Self.bodyBytesMax, .tooLarge, "The body has \(body.count) bytes; at most \(Self.bodyBytesMax) are sent.")
        try require(
            (1...Self.connectionsMax).contains(connections), .invalid,
            "\(connections) connections are not possible; give 1 to \(Self.connectionsMax).")
        try require(
            (1...min(Self.threadsMax, connections)).contains(threads), .invalid,
            "\(threads) threads are not possible; give 1 to \(Self.threadsMax), and not more than connections.")
        try require(
            duration > .zero && duration <= Self.durationMax && warmUp >= .zero && warmUp <= Self.durationMax, .invalid,
            "A run lasts at most \(Self.durationMax.components.seconds) seconds, and so does its warm-up; give a shorter time.")
        try require(
            timeout > .zero && timeout <= Self.timeoutMax, .invalid,
            "A timeout of \(timeout) is not possible; give more than 0 and at most \(Self.timeoutMax.components.seconds) seconds.")
        if case .open(let process) = pace {
            try process.validate()
            try require(
                process.rate <= Self.rateMax, .invalid,
                "A rate of \(process.rate) requests per second is not offered; give at most \(Int(Self.rateMax)).")
        }
    }

    /// The request as it goes over the wire, encoded once for the whole run.
    var requestBytes: [UInt8] {
        var head = "\(method) \(target.path) HTTP/1.1\r\nHost: \(target.authority)\r\n"
        if !body.isEmpty || method != "GET" { head += "Content-Length: \(body.count)\r\n" }
        if !body.isEmpty && !headers.contains(where: { $0.name.lowercased() == "content-type" }) {
            head += "Content-Type: application/octet-stream\r\n"
        }
        for header in headers { head += "\(header.name): \(header.value)\r\n" }
        return Array((head + "\r\n").utf8) + body
    }
}

extension LoadPlan.Header {
    fileprivate var isValid: Bool {
        !name.isEmpty && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: ":") }
            && value.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
    }
}
