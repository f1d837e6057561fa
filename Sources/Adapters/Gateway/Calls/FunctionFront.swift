// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import NIOCore
import NIOHTTP1

/// Translates between HTTP and calls: what `/function/*` and `/async-function/*` mean, without any socket.
final class FunctionFront<Node: NodeOperations>: Sendable where Node.Payload == ByteBuffer {
    let node: Node
    let settings: GatewaySettings
    let metrics: GatewayMetrics
    let clock: GatewayClock
    let cors: CORSPolicy
    let executors = LoopExecutors()
    private let servedBy: String

    init(node: Node, settings: GatewaySettings, metrics: GatewayMetrics, clock: GatewayClock) {
        self.node = node
        self.settings = settings
        self.metrics = metrics
        self.clock = clock
        self.cors = CORSPolicy(origins: settings.corsOrigins)
        self.servedBy = "brume/\(settings.version)"
    }

    /// Reads a request's head; its body is put in later.
    ///
    /// - Parameters:
    ///   - prefix: `/function/` or `/async-function/`, with which the target begins.
    ///   - headers: adds each name and value, in order.
    /// - Throws: `BrumeError` (`invalid`, `notFound`).
    func arrival(
        method: String, target: String, prefix: StaticString, headers: (inout HeaderTranslation) throws(BrumeError) -> Void,
        remote: String, label: String, at time: NIODeadline
    ) throws(BrumeError) -> Arrival {
        let parts = try TargetParts(target: target, prefixLength: prefix.utf8CodeUnitCount)
        var translation = HeaderTranslation()
        try headers(&translation)
        return arrival(method: method, parts: parts, translation: translation, remote: remote, label: label, at: time)
    }

    /// The same for a head that is known already.
    func arrival(
        method: String, parts: TargetParts, translation: HeaderTranslation, remote: String, label: String, at time: NIODeadline
    ) -> Arrival {
        let label = translation.label ?? label
        let fields = translation.finished(label: label, remote: remote, startTime: clock.instant(at: time))
        let request = CallRequest(
            function: parts.function, method: method, path: parts.path, query: parts.query, headers: fields, body: .whole(ByteBuffer()),
            label: label, timeout: translation.timeout)
        return Arrival(request: request, time: time, origin: translation.origin)
    }

    /// Counts the beginning of a call.
    func begin(_ arrival: Arrival) {
        if arrival.meters == nil { arrival.meters = metrics.known(arrival.request.function) }
        arrival.meters?.began()
    }

    /// Renders the end of a call, and counts it.
    func answer(to arrival: Arrival, with reply: CallReply<ByteBuffer>, at time: NIODeadline, date: String) -> Answer {
        var fields: [(String, String)] = []
        fields.reserveCapacity(20)
        var answer: Answer
        var counts = true
        switch reply.result {
        case .answered(let response):
            let own = copy(response.headers, to: &fields)
            if !own.hasDate { fields.append(("Date", date)) }
            if let failure = response.failure { fields.append(("X-Brume-Failure", failure.kind.rawValue)) }
            answer = Answer(status: response.status, body: response.body, contentLength: own.contentLength)
        case .failed(let failure):
            appendError(to: &fields, date: date)
            fields.append(("X-Brume-Failure", failure.kind.rawValue))
            answer = Answer(status: failure.httpStatus, body: .whole(ByteBuffer(string: failure.message)))
        case .refused(let refusal):
            appendError(to: &fields, date: date)
            counts = refusal != .unknownFunction
            fields.append(("X-Brume-Failure", refusal.word))
            if let wait = refusal.retryAfter { fields.append(("Retry-After", wait)) }
            answer = Answer(status: refusal.httpStatus, body: .whole(ByteBuffer(string: refusal.sentence)))
        }
        let elapsed = (time - arrival.time).nanoseconds
        appendTimings(of: reply, elapsed: elapsed, to: &fields)
        fields.append(("X-Call-Id", arrival.request.label))
        appendCORS(origin: arrival.origin, to: &fields)
        if counts { count(arrival, status: answer.status, elapsed: elapsed) }
        answer.fields = fields
        return answer
    }

    /// A function's figures are made when its first call ends, so that calls to names which do not exist make none.
    private func count(_ arrival: Arrival, status: Int, elapsed: Int64) {
        if let meters = arrival.meters {
            meters.ended(status: status, after: elapsed)
        } else {
            let meters = metrics.meters(of: arrival.request.function)
            meters.began()
            meters.ended(status: status, after: elapsed)
        }
    }

    /// Renders a request that never became a call.
    func refusal(_ error: BrumeError, label: String, origin: String?, date: String) -> Answer {
        var fields: [(String, String)] = []
        appendError(to: &fields, date: date)
        fields.append(("X-Brume-Failure", error.code.word))
        fields.append(("X-Call-Id", label))
        appendCORS(origin: origin, to: &fields)
        return Answer(status: error.code.httpStatus, fields: fields, body: .whole(ByteBuffer(string: error.message)))
    }

    /// The answer to a browser that asks whether it may call.
    func preflight(origin: String?, date: String) -> Answer {
        var fields: [(String, String)] = [("Date", date), ("Vary", "Origin")]
        if let allowed = cors.allowed(origin) {
            fields.append(("Access-Control-Allow-Origin", allowed))
            fields.append(("Access-Control-Allow-Methods", CORSPolicy.methods))
            fields.append(("Access-Control-Allow-Headers", "*"))
            fields.append(("Access-Control-Max-Age", CORSPolicy.maxAgeSeconds))
        }
        return Answer(status: 204, fields: fields, body: .whole(ByteBuffer()))
    }

    /// - Returns: Whether the function gave a date of its own, and the length that it gave.
    private func copy(_ headers: [HeaderField], to fields: inout [(String, String)]) -> (hasDate: Bool, contentLength: Int?) {
        var hasDate = false
        var contentLength: Int?
        var listed: [String] = []
        for field in headers {
            switch HeaderNames.replyFate(of: field.name) {
            case .drop: continue
            case .contentLength: contentLength = Int(field.value).flatMap { $0 >= 0 ? $0 : nil }
            case .connection: listed += HeaderNames.listed(in: field.value)
            case .date:
                hasDate = true
                fallthrough
            default:
                if HeaderNames.isWritable(name: field.name, value: field.value) { fields.append((field.name, field.value)) }
            }
        }
        if !listed.isEmpty { fields.removeAll { listed.contains($0.0.lowercased()) } }
        return (hasDate, contentLength)
    }

    private func appendError(to fields: inout [(String, String)], date: String) {
        fields.append(("Content-Type", "text/plain; charset=utf-8"))
        fields.append(("X-OpenFaaS-Internal", "proxy"))
        fields.append(("Date", date))
    }

    private func appendTimings(of reply: CallReply<ByteBuffer>, elapsed: Int64, to fields: inout [(String, String)]) {
        fields.append(("X-Duration-Seconds", DurationText.seconds(nanoseconds: elapsed)))
        fields.append(("X-Brume-Start", reply.cold ? "cold" : "warm"))
        fields.append(("X-Brume-Queued-Ms", DurationText.milliseconds(reply.timing.queued)))
        fields.append(("X-Brume-Starting-Ms", DurationText.milliseconds(reply.timing.starting)))
        fields.append(("X-Brume-Running-Ms", DurationText.milliseconds(reply.timing.running)))
        if let replica = reply.replica { fields.append(("X-Brume-Replica", "\(replica)")) }
        fields.append(("X-Served-By", servedBy))
    }

    private func appendCORS(origin: String?, to fields: inout [(String, String)]) {
        guard cors.isEnabled else { return }
        fields.append(("Vary", "Origin"))
        // A function that speaks for itself is left to it; a browser takes no reply with two answers.
        if fields.contains(where: { HeaderNames.matches($0.0.utf8, "access-control-allow-origin") }) { return }
        guard let allowed = cors.allowed(origin) else { return }
        fields.append(("Access-Control-Allow-Origin", allowed))
        fields.append(("Access-Control-Expose-Headers", CORSPolicy.exposed))
    }
}

extension Refusal {
    /// What `Retry-After` says, in whole seconds, where another try is reasonable.
    var retryAfter: String? {
        switch self {
        case .queueFull(let wait): DurationText.retryAfter(wait)
        case .draining: "1"
        case .unknownFunction, .neverFits, .broken: nil
        }
    }
}

/// The header fields of a request on their way to a function.
struct HeaderTranslation {
    private var fields: [HeaderField] = []
    private var host: String?
    private var hasForwardedHost = false
    private var hasForwardedFor = false
    private var listed: [String] = []
    /// What the client calls the call.
    private(set) var label: String?
    private(set) var origin: String?
    private(set) var timeout: Duration?

    init() { fields.reserveCapacity(16) }

    /// - Throws: `BrumeError` (`invalid`) for a time limit that is none.
    mutating func add(_ name: String, _ value: String) throws(BrumeError) {
        switch HeaderNames.requestFate(of: name) {
        case .pass, .contentLength, .date: break
        // The gateway answers an expectation itself.
        case .drop, .expect: return
        case .connection:
            listed += HeaderNames.listed(in: value)
            return
        case .callID:
            if CallLabels.isAcceptable(value) { label = value }
            return
        case .host: host = value
        case .origin: origin = value
        case .forwardedFor: hasForwardedFor = true
        case .forwardedHost: hasForwardedHost = true
        case .timeout: timeout = try Duration(parsing: value)
        }
        fields.append(HeaderField(name, value))
    }

    /// What was added, with what the gateway says of the request.
    func finished(label: String, remote: String, startTime: Instant) -> [HeaderField] {
        var all: [HeaderField] = []
        all.reserveCapacity(fields.count + 4)
        if listed.isEmpty { all += fields } else { all += fields.filter { !listed.contains($0.name.lowercased()) } }
        all.append(HeaderField("X-Call-Id", label))
        all.append(HeaderField("X-Start-Time", String(startTime.nanoseconds)))
        if !hasForwardedFor, !remote.isEmpty { all.append(HeaderField("X-Forwarded-For", remote)) }
        if !hasForwardedHost, let host { all.append(HeaderField("X-Forwarded-Host", host)) }
        return all
    }
}

/// A request that is about to become a call; used by its connection alone.
final class Arrival {
    var request: CallRequest<ByteBuffer>
    let time: NIODeadline
    /// The web origin, where a browser sent the request.
    let origin: String?
    /// The figures of the function, where it has been called before.
    var meters: FunctionMeters?

    init(request: CallRequest<ByteBuffer>, time: NIODeadline, origin: String?) {
        self.request = request
        self.time = time
        self.origin = origin
    }
}

/// A reply before it is framed. The framing (`Content-Length`, `Connection`) belongs to whoever writes it.
struct Answer: Sendable {
    var status: Int
    var fields: [(String, String)]
    var body: Body<ByteBuffer>
    /// What the function said of its body's length, for a body that is streamed and for `HEAD`.
    var contentLength: Int?

    init(status: Int, fields: [(String, String)] = [], body: Body<ByteBuffer>, contentLength: Int? = nil) {
        self.status = status
        self.fields = fields
        self.body = body
        self.contentLength = contentLength
    }
}

/// The pieces of `/function/NAME.NAMESPACE/path?query`.
struct TargetParts {
    let function: FunctionID
    let path: String
    let query: String

    /// - Throws: `BrumeError` (`notFound` without a name, `invalid` with a bad one).
    init(target: String, prefixLength: Int) throws(BrumeError) {
        let rest = target.utf8.dropFirst(prefixLength)
        let nameEnd = rest.firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") } ?? rest.endIndex
        guard nameEnd > rest.startIndex else {
            throw BrumeError(.notFound, "The path names no function; write /function/NAME.")
        }
        function = try FunctionID(parsing: String(target[rest.startIndex..<nameEnd]))
        let queryStart = rest[nameEnd...].firstIndex(of: UInt8(ascii: "?"))
        let pathEnd = queryStart ?? rest.endIndex
        path = pathEnd > nameEnd ? String(target[nameEnd..<pathEnd]) : "/"
        query = queryStart.map { String(target[target.utf8.index(after: $0)...]) } ?? ""
    }
}
