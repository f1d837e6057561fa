// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Glibc

/// The name of one end of a connection, as the kernel tells it.
enum SocketName {
    /// As `CLIENT LIST` shows it: `127.0.0.1:6379`, `[::1]:6379`, `/run/state.sock:0`, or `unix:0` for an end without a name.
    static func text(_ address: sockaddr_storage, path: String = "unix") -> String {
        guard let (host, port) = place(address) else { return "\(path):0" }
        return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }

    /// Host and port in numbers; nil for what is not on the network.
    static func place(_ address: sockaddr_storage) -> (host: String, port: Int)? {
        let family = Int32(address.ss_family)
        guard family == AF_INET || family == AF_INET6 else { return nil }
        var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        var port = [CChar](repeating: 0, count: Int(NI_MAXSERV))
        let size = socklen_t(family == AF_INET ? MemoryLayout<sockaddr_in>.size : MemoryLayout<sockaddr_in6>.size)
        let result = unsafe withUnsafeBytes(of: address) { bytes in
            unsafe getnameinfo(
                bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self), size, &host, socklen_t(host.count), &port,
                socklen_t(port.count), NI_NUMERICHOST | NI_NUMERICSERV)
        }
        guard result == 0 else { return nil }
        return (text(host), Int(text(port)) ?? 0)
    }

    private static func text(_ characters: [CChar]) -> String {
        String(decoding: characters.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// The name of a socket's own end.
    static func own(of descriptor: Int32) -> sockaddr_storage {
        var address = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        _ = unsafe withUnsafeMutableBytes(of: &address) { space in
            unsafe getsockname(descriptor, space.baseAddress?.assumingMemoryBound(to: sockaddr.self), &length)
        }
        return address
    }
}
