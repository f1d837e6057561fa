// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import CBrumeLinux
import Glibc

/// Sockets that must exist before the event loops know of them.
enum HostSocket {
    /// Pending connections: every worker of the largest replica connects at the same moment.
    private static let backlog: CInt = 1024

    /// A Unix socket that listens at `directory/name` and that every user of the sandbox may connect to.
    ///
    /// The path goes through `/proc/self/fd`, because a data directory may be deeper than the 107 bytes a Unix socket's name can have.
    static func listenUnix(directory: String, name: String) throws(BrumeError) -> CInt {
        let directoryHandle = unsafe open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directoryHandle >= 0 else { throw failure("open the socket directory \(directory)") }
        defer { close(directoryHandle) }
        let path = "/proc/self/fd/\(directoryHandle)/\(name)"
        unsafe unlink(path)
        let handle = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue), 0)
        guard handle >= 0 else { throw failure("make a socket") }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { target in
            for (index, byte) in bytes.prefix(target.count - 1).enumerated() { unsafe target[index] = byte }
        }
        let bound = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(handle, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard bound == 0, unsafe chmod(path, 0o666) == 0, Glibc.listen(handle, backlog) == 0 else {
            let error = failure("listen at \(directory)/\(name)")
            close(handle)
            throw error
        }
        return handle
    }

    /// A TCP socket that listens on the host's loopback at a free port, and that port.
    static func listenLoopback() throws(BrumeError) -> (handle: CInt, port: Int) {
        let handle = socket(AF_INET, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue), 0)
        guard handle >= 0 else { throw failure("make a socket") }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr = in_addr(s_addr: UInt32(0x7f00_0001).bigEndian)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let good = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(handle, $0, size) == 0 && Glibc.listen(handle, backlog) == 0 && getsockname(handle, $0, &size) == 0
            }
        }
        guard good else {
            let error = failure("listen on the loopback")
            close(handle)
            throw error
        }
        return (handle, Int(UInt16(bigEndian: address.sin_port)))
    }

    static func close(_ handle: CInt) { Glibc.close(handle) }

    private static func failure(_ action: String) -> BrumeError {
        let reason = unsafe String(cString: strerror(errno))
        return BrumeError(.failed, "The node could not \(action): \(reason).")
    }
}
