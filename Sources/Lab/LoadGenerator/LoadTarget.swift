// SPDX-License-Identifier: Apache-2.0

public import BrumeModel

/// What the load is aimed at: a server's address and the path of the requests.
public struct LoadTarget: Hashable, Sendable {
    /// Where the server listens.
    public enum Endpoint: Hashable, Sendable {
        case tcp(host: String, port: Int)
        case unix(path: String)
    }

    public var endpoint: Endpoint
    /// Path and query, beginning with a slash.
    public var path: String

    public init(endpoint: Endpoint, path: String = "/") {
        self.endpoint = endpoint
        self.path = path
    }

    /// Reads `http://HOST[:PORT][/PATH]` or, as nginx writes it, `unix:SOCKET[:/PATH]`.
    ///
    /// - Throws: `BrumeError` (`invalid`) for anything else; TLS is not spoken.
    public init(parsing text: String) throws(BrumeError) {
        let error = BrumeError(
            .invalid, "'\(text.prefix(80))' is not a target; write http://127.0.0.1:8080/function/NAME or unix:/run/f.sock:/path.")
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { throw error }
        if text.hasPrefix("unix:") {
            let rest = text.dropFirst("unix:".count)
            guard let colon = rest.firstIndex(of: ":") else {
                guard !rest.isEmpty else { throw error }
                self.init(endpoint: .unix(path: String(rest)))
                return
            }
            let path = rest[rest.index(after: colon)...]
            guard colon > rest.startIndex, path.hasPrefix("/") else { throw error }
            self.init(endpoint: .unix(path: String(rest[..<colon])), path: String(path))
            return
        }
        guard text.hasPrefix("http://") else { throw error }
        let rest = text.dropFirst("http://".count)
        let slash = rest.firstIndex(where: { $0 == "/" || $0 == "?" }) ?? rest.endIndex
        let authority = rest[..<slash]
        let path = rest[slash...].prefix { $0 != "#" }
        guard !authority.contains("@"), let (host, port) = Self.split(authority) else { throw error }
        self.init(endpoint: .tcp(host: host, port: port), path: path.hasPrefix("/") ? String(path) : "/" + path)
    }

    /// Splits `HOST`, `HOST:PORT`, `[IPV6]` and `[IPV6]:PORT`; the port is 80 where none is written.
    private static func split(_ authority: Substring) -> (host: String, port: Int)? {
        var host = authority
        var port = 80
        let bracket = authority.lastIndex(of: "]")
        if let colon = authority.lastIndex(of: ":"), bracket.map({ colon > $0 }) ?? true {
            guard let number = Int(authority[authority.index(after: colon)...]), (1...65535).contains(number) else { return nil }
            port = number
            host = authority[..<colon]
        }
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() } else if host.contains(":") { return nil }
        return host.isEmpty ? nil : (String(host), port)
    }

    /// Whether requests stay on this machine: a Unix socket, `localhost`, 127.0.0.0/8 or ::1.
    public var isLocal: Bool {
        switch endpoint {
        case .unix: return true
        case .tcp("localhost", _), .tcp("::1", _): return true
        case .tcp(let host, _):
            let parts = host.split(separator: ".", omittingEmptySubsequences: false)
            return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
        }
    }

    /// The value of the `Host` header.
    var authority: String {
        switch endpoint {
        case .unix: "localhost"
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        }
    }
}

extension LoadTarget: CustomStringConvertible {
    /// The form that ``init(parsing:)`` reads.
    public var description: String {
        switch endpoint {
        case .unix(let socket): "unix:\(socket):\(path)"
        case .tcp: "http://\(authority)\(path)"
        }
    }
}
