// SPDX-License-Identifier: Apache-2.0
import AsyncHTTPClient
import BrumeModel
import FoundationEssentials
import NIOCore
import NIOHTTP1
import NIOPosix

/// A refusal by the node: a status outside of what was expected, and its sentence.
struct NodeRefusal: Error {
    var status: UInt
    var sentence: String

    /// A request that is wrong in itself is the user's words; all else is the platform.
    var failure: CommandFailure { status == 400 ? .words(sentence) : .failed(sentence) }
}

/// Speaks to one node: the OpenFaaS gateway API and the native routes.
struct NodeClient: Sendable {
    /// A node on the same machine answers a connection at once; over a slow link this is still several round trips.
    static let connectTimeout = TimeAmount.seconds(5)
    /// For the API's own routes. None of them waits for a function.
    static let apiTimeout = TimeAmount.seconds(30)
    /// Sending a package over a slow link.
    static let uploadTimeout = TimeAmount.minutes(10)
    /// The longest timeout that a function may have, and a minute for the queue.
    static let callTimeout = TimeAmount.seconds(FunctionSpec.timeoutMax.components.seconds + 60)
    /// Largest JSON document accepted from a node: a thousand functions with all their labels are less.
    static let documentBytesMax = 32 << 20
    /// Longest sentence taken from an error reply.
    static let sentenceBytesMax = 4096

    let address: NodeAddress
    private let http: HTTPClient

    /// Runs `body` with a client and closes its connections afterwards.
    static func with<Result>(_ address: NodeAddress, _ body: (NodeClient) async throws -> Result) async throws -> Result {
        var configuration = HTTPClient.Configuration(
            redirectConfiguration: .disallow, timeout: .init(connect: connectTimeout), decompression: .disabled)
        // One try: "no node is running" should be said at once.
        configuration.connectionPool.retryConnectionEstablishment = false
        let http = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        do {
            let result = try await body(NodeClient(address: address, http: http))
            try? await http.shutdown()
            return result
        } catch {
            try? await http.shutdown()
            throw error
        }
    }

    // MARK: Requests

    /// Sends one request and returns the reply's head, whatever its status; the body is still to come.
    ///
    /// - Throws: `CommandFailure` where no reply came.
    func send(
        _ method: HTTPMethod, _ path: String, query: [(name: String, value: String?)] = [], headers: [HeaderField] = [],
        body: HTTPClientRequest.Body? = nil, within timeout: TimeAmount = apiTimeout
    ) async throws -> HTTPClientResponse {
        var request = HTTPClientRequest(url: address.url + path + Self.queryText(query))
        request.method = method
        for header in headers { request.headers.add(name: header.name, value: header.value) }
        if !request.headers.contains(name: "user-agent") { request.headers.add(name: "user-agent", value: "brume/\(Version.current)") }
        request.body = body
        do {
            return try await http.execute(request, timeout: timeout)
        } catch let failure as CommandFailure {
            throw failure
        } catch {
            throw unreachable(error)
        }
    }

    /// Sends a request to the node's own API, with credentials, and returns the reply if its status is one of those expected.
    ///
    /// - Throws: `NodeRefusal` for another status, `CommandFailure` for 401 and where no reply came.
    func api(
        _ method: HTTPMethod, _ path: String, query: [(name: String, value: String?)] = [], headers: [HeaderField] = [],
        body: HTTPClientRequest.Body? = nil, within timeout: TimeAmount = apiTimeout
    ) async throws -> HTTPClientResponse {
        var headers = headers
        if let credentials = address.credentials { headers.append(HeaderField("authorization", credentials.header)) }
        let response = try await send(method, path, query: query, headers: headers, body: body, within: timeout)
        if (200...299).contains(response.status.code) { return response }
        if response.status == .unauthorized { throw CommandFailure.failed(unauthorizedSentence) }
        throw NodeRefusal(status: response.status.code, sentence: await sentence(of: response))
    }

    /// Asks for a JSON document.
    func fetch<Document: Decodable>(
        _ type: Document.Type, _ path: String, query: [(name: String, value: String?)] = []
    ) async throws -> Document {
        try await decode(type, api(.GET, path, query: query), path)
    }

    /// Sends a JSON document and reads the JSON answer.
    func exchange<Document: Decodable>(_ type: Document.Type, _ path: String, _ document: some Encodable) async throws -> Document {
        try await decode(type, api(.POST, path, headers: Self.jsonHeaders, body: Self.json(document)), path)
    }

    /// Sends a JSON document where the answer's body means nothing.
    func submit(_ method: HTTPMethod, _ path: String, _ document: some Encodable) async throws {
        let response = try await api(method, path, headers: Self.jsonHeaders, body: Self.json(document))
        _ = try? await response.body.collect(upTo: Self.documentBytesMax)
    }

    static let jsonHeaders = [HeaderField("content-type", "application/json")]

    static func json(_ document: some Encodable) throws -> HTTPClientRequest.Body {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return .bytes(ByteBuffer(bytes: try encoder.encode(document)))
    }

    func decode<Document: Decodable>(
        _ type: Document.Type, _ response: HTTPClientResponse, _ path: String
    ) async throws -> Document {
        let buffer: ByteBuffer
        do {
            buffer = try await response.body.collect(upTo: Self.documentBytesMax)
        } catch {
            throw CommandFailure.failed("The reply of \(address.url)\(path) broke off: \(Self.reason(error)).")
        }
        do {
            return try JSONDecoder().decode(type, from: Data(buffer.readableBytesView))
        } catch {
            throw CommandFailure.failed(
                "\(address.url)\(path) answered something that is not what a Brume node answers; check that --url names a node's address.")
        }
    }

    // MARK: Sentences

    /// The first line of an error reply, or the status in words.
    func sentence(of response: HTTPClientResponse) async -> String {
        let body = try? await response.body.collect(upTo: Self.documentBytesMax)
        return Self.sentence(from: body, status: response.status)
    }

    static func sentence(from body: ByteBuffer?, status: HTTPResponseStatus) -> String {
        let text = body.map { String(decoding: $0.readableBytesView.prefix(sentenceBytesMax), as: UTF8.self) } ?? ""
        let line = text.split(whereSeparator: \.isNewline).first.map { String($0.drop { $0 == " " }) } ?? ""
        return line.isEmpty ? "The node answered \(status.code) \(status.reasonPhrase)." : line
    }

    private func unreachable(_ error: any Error) -> CommandFailure {
        if let timeout = error as? HTTPClientError, timeout == .deadlineExceeded || timeout == .readTimeout {
            return .failed("The node at \(address.url) (from \(address.origin)) did not answer in time; see: brume status.")
        }
        if let closed = error as? HTTPClientError, closed == .remoteConnectionClosed {
            return .failed("The node at \(address.url) closed the connection before it answered; its log says why.")
        }
        return .failed(
            "No node answers at \(address.url) (from \(address.origin)): \(Self.reason(error)); start one with: brume up")
    }

    private var unauthorizedSentence: String {
        let tried =
            if let credentials = address.credentials {
                "user \(credentials.user) with the password from \(credentials.origin) was refused"
            } else {
                "no credentials were sent, \(address.withoutCredentials)"
            }
        return "The node at \(address.url) wants other credentials: \(tried); give --data-dir, or --user and --password."
    }

    /// A transport error in a few words.
    static func reason(_ error: any Error) -> String {
        switch error {
        case let error as NIOConnectionError:
            if let dns = error.dnsAError ?? error.dnsAAAAError, error.connectionErrors.isEmpty { return "the name has no address (\(dns))" }
            return error.connectionErrors.first.map { reason($0.error) } ?? "the connection failed"
        case let error as IOError:
            return error.errnoCode == 111 ? "connection refused" : error.description
        case let error as HTTPClientError where error == .connectTimeout: return "the connection took too long"
        case let error as HTTPClientError where error == .remoteConnectionClosed: return "the connection was closed"
        default: return "\(error)"
        }
    }

    // MARK: Query

    /// `?a=1&b=2` out of the pairs that have a value, or nothing.
    static func queryText(_ pairs: [(name: String, value: String?)]) -> String {
        let words = pairs.compactMap { pair in pair.value.map { "\(escape(pair.name))=\(escape($0))" } }
        return words.isEmpty ? "" : "?" + words.joined(separator: "&")
    }

    /// Percent-encodes everything but RFC 3986's unreserved characters.
    static func escape(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF")
        var escaped = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"):
                escaped.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                escaped += "%\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
            }
        }
        return escaped
    }
}
