// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A reply, taken apart.
indirect enum RedisReply: Equatable, CustomStringConvertible {
    case line(UInt8, String)
    case bulk([UInt8]?)
    case list(UInt8, [RedisReply]?)

    var description: String {
        switch self {
        case .line(let kind, let text): "\(Character(Unicode.Scalar(kind)))\(text)"
        case .bulk(let bytes): bytes.map { "\"" + String(decoding: $0, as: UTF8.self) + "\"" } ?? "nil"
        case .list(let kind, let items):
            "\(Character(Unicode.Scalar(kind)))" + (items.map { "[" + $0.map(\.description).joined(separator: " ") + "]" } ?? "nil")
        }
    }

    /// The same with the elements of its lists in an order that does not depend on who answered.
    var sorted: RedisReply {
        guard case .list(let kind, let items?) = self else { return self }
        let pairs: [RedisReply]
        if kind == UInt8(ascii: "%") {
            pairs = stride(from: 0, to: items.count - 1, by: 2).map { .list(0, [items[$0], items[$0 + 1]]) }
        } else {
            pairs = items.map(\.sorted)
        }
        return .list(kind, pairs.sorted { $0.description < $1.description })
    }

    /// As `sorted`, for a flat list of names with values behind each.
    var sortedPairs: RedisReply {
        guard case .list(let kind, let items?) = self, kind == UInt8(ascii: "*"), items.count % 2 == 0 else { return sorted }
        let pairs: [RedisReply] = stride(from: 0, to: items.count, by: 2).map { .list(0, [items[$0], items[$0 + 1]]) }
        return RedisReply.list(kind, pairs).sorted
    }

    var isError: Bool {
        if case .line(UInt8(ascii: "-"), _) = self { true } else { false }
    }
}

struct ClientFailure: Error, CustomStringConvertible {
    let description: String
}

/// A client that sends bytes as it is told and takes replies as they come, blocking, with a limit on every wait.
final class RawClient {
    private let descriptor: Int32
    private var buffer: [UInt8] = []
    private var position = 0

    init(unix path: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { space in
            for (index, byte) in path.utf8.enumerated() where index < space.count - 1 { unsafe space[index] = byte }
        }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        let result = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe connect(descriptor, $0, size) }
        }
        guard result == 0 else {
            _ = Glibc.close(descriptor)
            throw ClientFailure(description: "cannot connect to \(path): \(errno)")
        }
        limitWaits()
    }

    init(port: Int) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(port).bigEndian)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe connect(descriptor, $0, size) }
        }
        guard result == 0 else {
            _ = Glibc.close(descriptor)
            throw ClientFailure(description: "cannot connect to port \(port): \(errno)")
        }
        limitWaits()
    }

    /// On the sixth version's loopback.
    init(six port: Int) throws {
        descriptor = socket(AF_INET6, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in6()
        address.sin6_family = sa_family_t(AF_INET6)
        address.sin6_port = in_port_t(UInt16(port).bigEndian)
        address.sin6_addr = in6addr_loopback
        let size = socklen_t(MemoryLayout<sockaddr_in6>.size)
        let result = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe connect(descriptor, $0, size) }
        }
        guard result == 0 else {
            _ = Glibc.close(descriptor)
            throw ClientFailure(description: "cannot connect to port \(port): \(errno)")
        }
        limitWaits()
    }

    deinit { _ = Glibc.close(descriptor) }

    /// Says that nothing more will be sent, and reads on.
    func finishSending() { _ = shutdown(descriptor, Int32(SHUT_WR)) }

    /// Has the kernel tell the server of a reset instead of an end, once this is let go of.
    func resetAtEnd() {
        var now = linger(l_onoff: 1, l_linger: 0)
        _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
    }

    private func limitWaits() {
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
        _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
    }

    // MARK: Sending

    func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = unsafe bytes[sent...].withUnsafeBytes {
                unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw ClientFailure(description: "cannot send: \(errno)") }
            sent += count
        }
    }

    func send(_ text: String) throws { try send(Array(text.utf8)) }

    static func request(_ words: [[UInt8]]) -> [UInt8] {
        var bytes = Array("*\(words.count)\r\n".utf8)
        for word in words { bytes += Array("$\(word.count)\r\n".utf8) + word + [13, 10] }
        return bytes
    }

    func send(words: [String]) throws { try send(Self.request(words.map { Array($0.utf8) })) }

    // MARK: Receiving

    /// Asks and takes one reply.
    func call(_ words: String...) throws -> RedisReply {
        try send(words: words)
        return try reply()
    }

    func call(words: [[UInt8]]) throws -> (reply: RedisReply, raw: [UInt8]) {
        try send(Self.request(words))
        return try rawReply()
    }

    func reply() throws -> RedisReply { try rawReply().reply }

    func rawReply() throws -> (reply: RedisReply, raw: [UInt8]) {
        if position > 0 {
            buffer.removeFirst(position)
            position = 0
        }
        let reply = try parse()
        return (reply, Array(buffer[..<position]))
    }

    /// Whether the other side has closed, with nothing more to read.
    func isClosed() -> Bool {
        guard position == buffer.count else { return false }
        do {
            try fill()
            return false
        } catch {
            return errno != EAGAIN
        }
    }

    private func fill() throws {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        var count = 0
        repeat {
            errno = 0
            count = unsafe chunk.withUnsafeMutableBytes { unsafe recv(descriptor, $0.baseAddress, $0.count, 0) }
        } while count < 0 && errno == EINTR
        guard count > 0 else { throw ClientFailure(description: count == 0 ? "closed" : "nothing came: \(errno)") }
        buffer += chunk[..<count]
    }

    private func line() throws -> String {
        var end = position
        while true {
            while end < buffer.count, buffer[end] != 13 { end += 1 }
            if end + 1 < buffer.count { break }
            try fill()
        }
        defer { position = end + 2 }
        return String(decoding: buffer[position..<end], as: UTF8.self)
    }

    private func parse() throws -> RedisReply {
        let text = try line()
        guard let kind = text.utf8.first else { throw ClientFailure(description: "an empty reply") }
        let rest = String(text.dropFirst())
        switch kind {
        case UInt8(ascii: "$"), UInt8(ascii: "="):
            guard let count = Int(rest) else { throw ClientFailure(description: "not a length: \(text)") }
            guard count >= 0 else { return .bulk(nil) }
            while buffer.count < position + count + 2 { try fill() }
            defer { position += count + 2 }
            return .bulk(Array(buffer[position..<(position + count)]))
        case UInt8(ascii: "*"), UInt8(ascii: "~"), UInt8(ascii: "%"), UInt8(ascii: ">"):
            guard let count = Int(rest) else { throw ClientFailure(description: "not a count: \(text)") }
            guard count >= 0 else { return .list(kind, nil) }
            var items: [RedisReply] = []
            for _ in 0..<(kind == UInt8(ascii: "%") ? count * 2 : count) { items.append(try parse()) }
            return .list(kind, items)
        default: return .line(kind, rest)
        }
    }
}
