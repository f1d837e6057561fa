// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import FoundationEssentials
import Glibc
import NIOCore

/// How a request becomes a Lambda event, and a Lambda response a reply.
enum LambdaEventForm: String {
    /// The body itself is the event.
    case raw
    /// The request as API Gateway's payload format 2.0 describes it.
    case apiGatewayV2 = "apigateway-v2"

    static let annotation = "dev.brume.lambda-event"

    /// - Throws: `BrumeError` (`invalid`) for an unknown word in the annotation.
    init(_ spec: FunctionSpec) throws(BrumeError) {
        let word = spec.annotations[Self.annotation] ?? Self.raw.rawValue
        guard let form = Self(rawValue: word) else {
            throw BrumeError(.invalid, "The annotation \(Self.annotation) is '\(word)'; write raw or apigateway-v2.")
        }
        self = form
    }

    func event(_ request: CallRequest<ByteBuffer>, body: ByteBuffer, requestID: String) -> ByteBuffer {
        switch self {
        case .raw: Self.rawEvent(request, body: body)
        case .apiGatewayV2: Self.gatewayEvent(request, body: body, requestID: requestID)
        }
    }

    func reply(_ payload: ByteBuffer, contentType: String?) -> CallResponse<ByteBuffer> {
        if self == .apiGatewayV2, let answer = try? JSONDecoder().decode(GatewayAnswer.self, from: Data(payload.readableBytesView)),
            answer.statusCode != nil
        {
            return answer.response()
        }
        var type = contentType ?? "application/json"
        // What HTTP libraries put there when their user said nothing.
        if type == "application/octet-stream" || type == "application/x-www-form-urlencoded" { type = "application/json" }
        return CallResponse(status: 200, headers: [HeaderField("Content-Type", type)], body: .whole(payload))
    }

    // MARK: Raw

    /// An event must be JSON. A body that is said to be JSON, or that looks like an object, a list or a string in an untyped body (clients
    /// send `text/plain` or a form type by default), goes unchanged; an empty body is `{}`; anything else becomes a JSON string.
    private static func rawEvent(_ request: CallRequest<ByteBuffer>, body: ByteBuffer) -> ByteBuffer {
        guard body.readableBytes > 0 else { return ByteBuffer(string: "{}") }
        let type = request.headers.first { Header.equal($0.name, "content-type") }?.value.lowercased() ?? ""
        let base = type.prefix { $0 != ";" && $0 != " " }
        if base == "application/json" || base.hasSuffix("+json") { return body }
        let first = body.readableBytesView.first { $0 > 0x20 }
        let looksLikeJSON = first == UInt8(ascii: "{") || first == UInt8(ascii: "[") || first == UInt8(ascii: "\"")
        if looksLikeJSON, ["", "text/plain", "application/x-www-form-urlencoded"].contains(base) { return body }
        let text = String(validating: body.readableBytesView, as: UTF8.self) ?? Data(body.readableBytesView).base64EncodedString()
        return encode(text)
    }

    private static func encode(_ value: some Encodable) -> ByteBuffer {
        // Strings and the structure below always encode.
        ((try? JSONEncoder().encode(value)).map { ByteBuffer(bytes: $0) }) ?? ByteBuffer(string: "null")
    }

    // MARK: API Gateway, payload format 2.0

    private struct GatewayEvent: Encodable {
        struct HTTP: Encodable {
            var method, path: String
            var `protocol` = "HTTP/1.1"
            var sourceIp, userAgent: String
        }

        struct RequestContext: Encodable {
            var accountId = "000000000000"
            var apiId = "brume"
            var domainName: String
            var domainPrefix = "brume"
            var http: HTTP
            var requestId: String
            var routeKey = "$default"
            var stage = "$default"
            var time: String
            var timeEpoch: Int64
        }

        var version = "2.0"
        var routeKey = "$default"
        var rawPath, rawQueryString: String
        var cookies: [String]?
        var headers: [String: String]
        var queryStringParameters: [String: String]?
        var requestContext: RequestContext
        var body: String?
        var isBase64Encoded: Bool
    }

    private static func gatewayEvent(_ request: CallRequest<ByteBuffer>, body: ByteBuffer, requestID: String) -> ByteBuffer {
        var headers: [String: String] = [:]
        var cookies: [String] = []
        for field in request.headers {
            let name = field.name.lowercased()
            if name == "cookie" {
                cookies += field.value.split(separator: ";").map { $0.drop { $0 == " " } }.map(String.init)
            } else {
                headers[name] = headers[name].map { $0 + "," + field.value } ?? field.value
            }
        }
        let text = String(validating: body.readableBytesView, as: UTF8.self)
        let source = headers["x-forwarded-for"]?.split(separator: ",").first.map(String.init) ?? "127.0.0.1"
        let milliseconds = Int64(Date().timeIntervalSince1970 * 1000)
        let event = GatewayEvent(
            rawPath: request.path, rawQueryString: request.query, cookies: cookies.isEmpty ? nil : cookies, headers: headers,
            queryStringParameters: parameters(request.query),
            requestContext: .init(
                domainName: headers["host"] ?? "localhost",
                http: .init(method: request.method, path: request.path, sourceIp: source, userAgent: headers["user-agent"] ?? ""),
                requestId: requestID, time: logTime(milliseconds / 1000), timeEpoch: milliseconds),
            body: body.readableBytes == 0 ? nil : text ?? Data(body.readableBytesView).base64EncodedString(),
            isBase64Encoded: body.readableBytes > 0 && text == nil)
        return encode(event)
    }

    /// Decoded parameters; several values of one name are joined with commas.
    private static func parameters(_ query: String) -> [String: String]? {
        guard !query.isEmpty else { return nil }
        var result: [String: String] = [:]
        for pair in query.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(decode)
            let value = parts.count > 1 ? parts[1] : ""
            result[parts[0]] = result[parts[0]].map { $0 + "," + value } ?? value
        }
        return result
    }

    private static func decode(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) {
                rest = rest.dropFirst(2)
                bytes.append(value)
            } else {
                bytes.append(byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// `21/Nov/2026:11:24:13 +0000`.
    private static func logTime(_ seconds: Int64) -> String {
        var time = time_t(seconds)
        var parts = unsafe tm()
        _ = unsafe gmtime_r(&time, &parts)
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        func two(_ value: CInt) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let clock = unsafe "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))"
        let date = unsafe "\(two(parts.tm_mday))/\(months[Int(parts.tm_mon) % 12])/\(1900 + Int(parts.tm_year))"
        return "\(date):\(clock) +0000"
    }
}

/// What a function answers to an API Gateway event, and what stands before a streamed body.
struct GatewayAnswer: Decodable {
    var statusCode: Int?
    var headers: [String: String]?
    var multiValueHeaders: [String: [String]]?
    var cookies: [String]?
    var body: String?
    var isBase64Encoded: Bool?

    var fields: [HeaderField] {
        var fields: [HeaderField] = []
        func add(_ name: String, _ value: String) {
            guard Header.kind(name) == .endToEnd, Header.isSafe(name), Header.isSafe(value) else { return }
            fields.append(HeaderField(name, value))
        }
        for (name, value) in (headers ?? [:]).sorted(by: { $0.key < $1.key }) { add(name, value) }
        for (name, values) in (multiValueHeaders ?? [:]).sorted(by: { $0.key < $1.key }) {
            for value in values { add(name, value) }
        }
        for cookie in cookies ?? [] { add("Set-Cookie", cookie) }
        return fields
    }

    func response() -> CallResponse<ByteBuffer> {
        let text = body ?? ""
        let bytes = isBase64Encoded == true ? Data(base64Encoded: text).map { ByteBuffer(bytes: $0) } : ByteBuffer(string: text)
        let status = statusCode ?? 200
        guard let bytes, (200...599).contains(status) else {
            let failure = CallFailure(.badReply, "The function's answer has a status other than 200 to 599, or a body that is not base64.")
            return CallResponse(
                status: 502, headers: [HeaderField("Content-Type", "text/plain; charset=utf-8")],
                body: .whole(ByteBuffer(string: failure.message + "\n")), failure: failure)
        }
        var fields = fields
        if !fields.contains(where: { Header.equal($0.name, "content-type") }) {
            fields.append(HeaderField("Content-Type", "text/plain; charset=utf-8"))
        }
        return CallResponse(status: status, headers: fields, body: .whole(bytes))
    }
}

/// What a function reports about an error.
struct LambdaError: Decodable {
    var errorType: String?
    var errorMessage: String?

    /// One sentence from the body, or from the header where the body is none.
    static func sentence(_ body: ByteBuffer, header: String?) -> String {
        let error = try? JSONDecoder().decode(LambdaError.self, from: Data(body.readableBytesView))
        let type = error?.errorType ?? header ?? "Error"
        let message = error?.errorMessage ?? ""
        let text = message.isEmpty ? type : "\(type): \(message)"
        return String(text.prefix(1000).map { $0.isNewline ? " " : $0 })
    }
}
