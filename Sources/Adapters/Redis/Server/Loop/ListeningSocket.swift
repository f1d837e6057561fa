// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import CBrumeLinux
import Glibc

/// A socket on which clients are waited for.
struct ListeningSocket {
    /// What came of accepting.
    enum Arrival {
        case client(Int32, sockaddr_storage)
        case nobody
        /// Who came has left already.
        case gone
        /// There is no descriptor, or no memory, for one more.
        case full
    }

    let descriptor: Int32
    /// With the port that was bound.
    let address: RedisListener.Address
    let door: RedisListener.Door

    /// Connections that the kernel keeps until they are accepted; Redis' own 511, and a burst of sandboxes fits.
    private static let backlog: Int32 = 511

    /// Binds and listens. A name of a host is looked up, which may take the time that takes.
    ///
    /// - Throws: `BrumeError` (`conflict` where the port or the path is taken, or the address is none of this machine's; `invalid` for a
    ///   path that is too long; `permission` where the socket cannot be opened to a sandbox).
    init(_ listener: RedisListener) throws(BrumeError) {
        door = listener.door
        switch listener.address {
        case .unix(let path):
            descriptor = try Self.bind(path: path, isForSandbox: listener.isForSandbox)
            address = listener.address
        case .tcp(let host, let port):
            descriptor = try Self.bind(host: host, port: port)
            let own = SocketName.place(SocketName.own(of: descriptor))
            address = .tcp(host: own?.host ?? host, port: own?.port ?? port)
        }
    }

    /// Stops listening.
    func close() { _ = Glibc.close(descriptor) }

    /// The next client that waits.
    func accept() -> Arrival {
        var peer = sockaddr_storage()
        let result = unsafe brume_accept(descriptor, &peer)
        if result >= 0 { return .client(result, peer) }
        switch -result {
        case EAGAIN: return .nobody
        case EMFILE, ENFILE, ENOBUFS, ENOMEM: return .full
        default: return .gone
        }
    }

    private static func taken(_ address: RedisListener.Address, _ number: Int32) -> BrumeError {
        let reason = unsafe String(cString: strerror(number))
        return BrumeError(
            .conflict, "The Redis server cannot listen on \(address): \(reason). Is another program there, or the address wrong?")
    }

    // MARK: Unix

    private static func bind(path: String, isForSandbox: Bool) throws(BrumeError) -> Int32 {
        let address = RedisListener.Address.unix(path)
        var name = sockaddr_un()
        name.sun_family = sa_family_t(AF_UNIX)
        let space = MemoryLayout.size(ofValue: name.sun_path)
        guard !path.isEmpty, path.utf8.count < space, !path.utf8.contains(0) else {
            throw BrumeError(.invalid, "The path of a socket has 1 to \(space - 1) bytes; '\(path)' has not.")
        }
        unsafe withUnsafeMutableBytes(of: &name.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
        try removeLeftover(path, name)
        let descriptor = socket(AF_UNIX, stream, 0)
        guard descriptor >= 0 else { throw taken(address, errno) }
        do throws(BrumeError) {
            guard unsafe call(name, { unsafe Glibc.bind(descriptor, $0, $1) }) == 0 else { throw taken(address, errno) }
            // A sandbox's program runs as a host user of its own and must be able to connect; who reaches the path is the folder's matter.
            guard unsafe !isForSandbox || chmod(path, 0o666) == 0 else {
                throw BrumeError(.permission, "The mode of the socket \(path) cannot be set; choose a folder that this user owns.")
            }
            guard listen(descriptor, backlog) == 0 else { throw taken(address, errno) }
        } catch {
            _ = Glibc.close(descriptor)
            throw error
        }
        return descriptor
    }

    /// Removes the socket of a process that has ended; one that somebody listens on stays, and so does what is no socket.
    private static func removeLeftover(_ path: String, _ name: sockaddr_un) throws(BrumeError) {
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else { throw taken(.unix(path), EEXIST) }
        let probe = socket(AF_UNIX, stream, 0)
        guard probe >= 0 else { throw taken(.unix(path), errno) }
        defer { _ = Glibc.close(probe) }
        let result = unsafe call(name) { unsafe connect(probe, $0, $1) }
        guard result != 0, errno == ECONNREFUSED else { throw taken(.unix(path), EADDRINUSE) }
        _ = unsafe unlink(path)
    }

    private static func call(_ name: sockaddr_un, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        unsafe withUnsafePointer(to: name) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    // MARK: TCP

    private static func bind(host: String, port: Int) throws(BrumeError) -> Int32 {
        let address = RedisListener.Address.tcp(host: host, port: port)
        guard (0...65_535).contains(port) else { throw taken(address, EINVAL) }
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        unsafe hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV
        var found: UnsafeMutablePointer<addrinfo>?
        let result = unsafe getaddrinfo(host, "\(port)", &hints, &found)
        guard result == 0 else {
            let reason = unsafe String(cString: gai_strerror(result))
            throw BrumeError(.conflict, "The Redis server cannot listen on \(address): \(reason). Give an address of this machine.")
        }
        defer { unsafe freeaddrinfo(found) }
        var failure = EADDRNOTAVAIL
        var next = unsafe found
        while let place = unsafe next {
            let descriptor = unsafe bind(place.pointee)
            if descriptor >= 0 { return descriptor }
            failure = -descriptor
            unsafe next = place.pointee.ai_next
        }
        throw taken(address, failure)
    }

    /// Answers with a descriptor, or a negated errno.
    private static func bind(_ place: addrinfo) -> Int32 {
        let descriptor = unsafe socket(place.ai_family, stream, place.ai_protocol)
        guard descriptor >= 0 else { return -errno }
        var yes: Int32 = 1
        // A port whose last connections still linger can be listened on again.
        _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        guard unsafe Glibc.bind(descriptor, place.ai_addr, place.ai_addrlen) == 0, listen(descriptor, backlog) == 0 else {
            let failure = errno
            _ = Glibc.close(descriptor)
            return -failure
        }
        return descriptor
    }

    private static var stream: Int32 { Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue) }
}

extension RedisListener {
    /// Whether a sandbox's programs come in here.
    fileprivate var isForSandbox: Bool {
        if case .namespace = door { true } else { false }
    }
}
