// SPDX-License-Identifier: Apache-2.0

import Glibc

/// What went wrong between the function and the runtime API.
struct RuntimeError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// One keep-alive HTTP connection to the runtime API, with the little of HTTP/1.1 that the API uses.
struct RuntimeConnection {
    struct Invocation {
        let id: String
        let body: [UInt8]
    }

    private struct Response {
        let status: Int
        let headers: [(name: String, value: String)]
        let body: [UInt8]
    }

    /// Largest event, as in AWS Lambda: 6 MB and room for its wrapping.
    private static let bodyBytesMax = 8 << 20
    /// Longest head of a response; the runtime API sends a handful of short headers.
    private static let headBytesMax = 64 << 10

    private let api: String
    private let socket: CInt
    private var buffer: [UInt8] = []

    init(api: String) throws(RuntimeError) {
        self.api = api
        let parts = api.split(separator: ":")
        guard parts.count == 2, let port = UInt16(parts[1]) else { throw RuntimeError("'\(api)' is not HOST:PORT") }
        socket = Glibc.socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        guard unsafe inet_pton(AF_INET, parts[0] == "localhost" ? "127.0.0.1" : String(parts[0]), &address.sin_addr) == 1 else {
            throw RuntimeError("'\(parts[0])' is not an IPv4 address")
        }
        let connected = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard connected == 0 else { throw RuntimeError("cannot connect to \(api) (errno \(errno))") }
    }

    /// Waits for the next event; nil when the API has closed the connection, which is how a sandbox ends.
    mutating func next() throws(RuntimeError) -> Invocation? {
        try send("GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: \(api)\r\n\r\n", body: [])
        guard let response = try receive() else { return nil }
        guard response.status == 200 else { throw RuntimeError("the runtime API answered \(response.status) to next") }
        guard let id = response.headers.first(where: { $0.name == "lambda-runtime-aws-request-id" })?.value else {
            throw RuntimeError("the runtime API sent an event without a request id")
        }
        return Invocation(id: id, body: response.body)
    }

    /// Posts an answer; anything but 202 is an error, as the runtime API says.
    mutating func post(_ path: String, _ text: String, header: String? = nil) throws(RuntimeError) {
        let body = Array(text.utf8)
        let extra = header.map { $0 + "\r\n" } ?? ""
        let head = "POST /2018-06-01/runtime/\(path) HTTP/1.1\r\nHost: \(api)\r\nContent-Type: application/json\r\n\(extra)"
        try send(head + "Content-Length: \(body.count)\r\n\r\n", body: body)
        guard let response = try receive() else { throw RuntimeError("the runtime API closed the connection before it answered") }
        guard response.status == 202 else { throw RuntimeError("the runtime API answered \(response.status) to \(path)") }
    }

    private func send(_ head: String, body: [UInt8]) throws(RuntimeError) {
        let bytes = Array(head.utf8) + body
        var sent = 0
        while sent < bytes.count {
            let count = unsafe bytes.withUnsafeBytes { buffer -> Int in
                guard let start = buffer.baseAddress else { return 0 }
                return unsafe Glibc.send(socket, start + sent, bytes.count - sent, CInt(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw RuntimeError("cannot write to the runtime API (errno \(errno))") }
            sent += count
        }
    }

    /// Reads more bytes; false at the end of the stream.
    private mutating func fill() throws(RuntimeError) -> Bool {
        var chunk = [UInt8](repeating: 0, count: 16 << 10)
        let count = unsafe chunk.withUnsafeMutableBytes { unsafe recv(socket, $0.baseAddress, $0.count, 0) }
        guard count >= 0 else { throw RuntimeError("cannot read from the runtime API (errno \(errno))") }
        buffer += chunk[0..<count]
        return count > 0
    }

    private mutating func receive() throws(RuntimeError) -> Response? {
        var searched = 0
        var headEnd: Int?
        while headEnd == nil {
            headEnd = endOfHead(from: searched)
            if headEnd != nil { break }
            guard buffer.count <= Self.headBytesMax else { throw RuntimeError("the head of the response is too long") }
            searched = max(0, buffer.count - 3)
            guard try fill() else { return nil }
        }
        guard let headEnd else { return nil }
        let lines = String(decoding: buffer[0..<headEnd], as: UTF8.self).split(separator: "\r\n")
        let words = lines.first?.split(separator: " ") ?? []
        guard words.count >= 2, let status = Int(words[1]) else { throw RuntimeError("no HTTP response") }
        let headers = lines.dropFirst().compactMap { line -> (name: String, value: String)? in
            guard let colon = line.firstIndex(of: ":") else { return nil }
            return (line[..<colon].lowercased(), String(line[line.index(after: colon)...].drop { $0 == " " }))
        }
        buffer.removeFirst(headEnd + 4)
        let body = try body(headers)
        return Response(status: status, headers: headers, body: body)
    }

    private func endOfHead(from start: Int) -> Int? {
        guard buffer.count >= 4 else { return nil }
        return (start...(max(start, buffer.count - 4))).first { index in
            index + 3 < buffer.count && buffer[index] == 13 && buffer[index + 1] == 10 && buffer[index + 2] == 13 && buffer[index + 3] == 10
        }
    }

    private mutating func body(_ headers: [(name: String, value: String)]) throws(RuntimeError) -> [UInt8] {
        if headers.contains(where: { $0.name == "transfer-encoding" && $0.value.lowercased() == "chunked" }) { return try chunkedBody() }
        let length = headers.first { $0.name == "content-length" }.flatMap { Int($0.value) } ?? 0
        return try take(length)
    }

    private mutating func chunkedBody() throws(RuntimeError) -> [UInt8] {
        var body: [UInt8] = []
        while true {
            let line = try takeLine()
            guard let size = Int(line.prefix { $0.isHexDigit }, radix: 16) else { throw RuntimeError("a chunk without a size") }
            if size == 0 { break }
            body += try take(size)
            _ = try takeLine()
            guard body.count <= Self.bodyBytesMax else { throw RuntimeError("the event is larger than \(Self.bodyBytesMax) bytes") }
        }
        while try !takeLine().isEmpty {}  // trailers end with an empty line
        return body
    }

    private mutating func take(_ count: Int) throws(RuntimeError) -> [UInt8] {
        guard (0...Self.bodyBytesMax).contains(count) else { throw RuntimeError("the event is larger than \(Self.bodyBytesMax) bytes") }
        while buffer.count < count {
            guard try fill() else { throw RuntimeError("the runtime API closed the connection in the middle of an event") }
        }
        defer { buffer.removeFirst(count) }
        return Array(buffer[0..<count])
    }

    private mutating func takeLine() throws(RuntimeError) -> String {
        var searched = 0
        while true {
            if let end = buffer[searched...].firstIndex(of: 10) {
                defer { buffer.removeFirst(end + 1) }
                return String(decoding: buffer[0..<end].prefix { $0 != 13 }, as: UTF8.self)
            }
            searched = buffer.count
            guard try fill() else { throw RuntimeError("the runtime API closed the connection in the middle of an event") }
        }
    }
}
