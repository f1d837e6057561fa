// SPDX-License-Identifier: Apache-2.0

/// What the gateway does with a header field of a request or of a function's reply.
enum HeaderFate {
    /// Goes through unchanged.
    case pass
    /// Belongs to one connection only (RFC 9110, 7.6.1), or to the gateway itself.
    case drop
    /// `Connection`: dropped, and it may name other fields to drop.
    case connection
    case contentLength
    case callID
    case host
    case origin
    case forwardedFor
    case forwardedHost
    case timeout
    case date
    case expect
}

/// Sorts header fields by their names without allocating: the length decides which few names to compare with.
enum HeaderNames {
    static func requestFate(of name: String) -> HeaderFate {
        let bytes = name.utf8
        switch bytes.count {
        case 2: return matches(bytes, "te") ? .drop : .pass
        case 4: return matches(bytes, "host") ? .host : .pass
        case 6:
            if matches(bytes, "origin") { return .origin }
            return matches(bytes, "expect") ? .expect : .pass
        case 7: return matches(bytes, "upgrade") || matches(bytes, "trailer") ? .drop : .pass
        case 9:
            if matches(bytes, "x-call-id") { return .callID }
            return matches(bytes, "x-timeout") ? .timeout : .pass
        case 10:
            if matches(bytes, "connection") { return .connection }
            return matches(bytes, "keep-alive") ? .drop : .pass
        case 12: return matches(bytes, "x-start-time") ? .drop : .pass
        case 14: return matches(bytes, "content-length") ? .contentLength : .pass
        case 15: return matches(bytes, "x-forwarded-for") ? .forwardedFor : .pass
        case 16:
            if matches(bytes, "x-forwarded-host") { return .forwardedHost }
            return matches(bytes, "proxy-connection") ? .drop : .pass
        case 17: return matches(bytes, "transfer-encoding") ? .drop : .pass
        case 18: return matches(bytes, "proxy-authenticate") ? .drop : .pass
        case 19: return matches(bytes, "proxy-authorization") ? .drop : .pass
        default: return .pass
        }
    }

    static func replyFate(of name: String) -> HeaderFate {
        let bytes = name.utf8
        switch bytes.count {
        case 2: return matches(bytes, "te") ? .drop : .pass
        case 4: return matches(bytes, "date") ? .date : .pass
        case 7: return matches(bytes, "upgrade") || matches(bytes, "trailer") ? .drop : .pass
        case 9: return matches(bytes, "x-call-id") ? .drop : .pass
        case 10: return matches(bytes, "connection") ? .connection : matches(bytes, "keep-alive") ? .drop : .pass
        case 11: return matches(bytes, "x-served-by") ? .drop : .pass
        case 14: return matches(bytes, "content-length") ? .contentLength : .pass
        case 16: return matches(bytes, "proxy-connection") ? .drop : dropIfPlatform(bytes)
        case 17: return matches(bytes, "transfer-encoding") ? .drop : dropIfPlatform(bytes)
        case 18:
            return matches(bytes, "proxy-authenticate") || matches(bytes, "x-duration-seconds") ? .drop : dropIfPlatform(bytes)
        default: return dropIfPlatform(bytes)
        }
    }

    /// Whether a name is a token and a value has no line break: what a function may put on the wire.
    static func isWritable(name: String, value: String) -> Bool {
        guard !name.isEmpty else { return false }
        let isToken = unsafe HeaderBytes.of(name) { bytes in unsafe bytes.allSatisfy(HeaderBytes.isToken) }
        return unsafe isToken
            && HeaderBytes.of(value) { bytes in
                // All of them, so that it can be done many at a time.
                var breaks = 0
                for unsafebyte in unsafe bytes {
                    breaks &+= byte == UInt8(ascii: "\r") || byte == UInt8(ascii: "\n") || byte == 0 ? 1 : 0
                }
                return breaks == 0
            }
    }

    /// The further names that a `Connection` field lists, lower case; empty for the usual `keep-alive` and `close`.
    static func listed(in connection: String) -> [String] {
        if connection.utf8.count == 10 && matches(connection.utf8, "keep-alive") { return [] }
        return connection.split(separator: ",").compactMap { part in
            let name = part.lowercased().split(separator: " ").joined()
            return name == "close" || name == "keep-alive" || name.isEmpty ? nil : name
        }
    }

    static func matches(_ bytes: String.UTF8View, _ lower: StaticString) -> Bool {
        let count = lower.utf8CodeUnitCount
        guard bytes.count == count else { return false }
        return unsafe HeaderBytes.of(bytes) { given in
            for index in 0..<count {
                // Letters lower to the expected ones; '-' has the bit already.
                if unsafe given[index] | 0x20 != lower.utf8Start[index] { return false }
            }
            return true
        }
    }

    /// A function cannot speak for the platform: `x-brume-*` is the gateway's own.
    private static func dropIfPlatform(_ bytes: String.UTF8View) -> HeaderFate {
        guard bytes.count > 8, let first = bytes.first, first | 0x20 == UInt8(ascii: "x") else { return .pass }
        return zip(bytes, "x-brume-".utf8).allSatisfy { $0 | 0x20 == $1 } ? .drop : .pass
    }
}
