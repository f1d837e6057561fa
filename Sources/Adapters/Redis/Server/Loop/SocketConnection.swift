// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Glibc

/// One client's socket: what is read goes to a session, what the session writes leaves at the end of the loop's turn.
///
/// Lives on the loop and is touched nowhere else.
final class SocketConnection: SessionTransport {
    let descriptor: Int32
    /// What the kernel's events carry.
    let token: UInt64
    private let loop: ServerLoop
    private(set) var session: Session?
    /// What was given and has not left, behind the first `sent` bytes.
    private var output: [UInt8] = []
    private var sent = 0
    /// What the kernel was told to watch for.
    private var interest: Poller.Readiness = .input
    /// Whether the session wants more.
    private var isWanted = true
    /// Whether the client will send no more.
    private var hasInputEnded = false
    private var isBlocked = false
    private var isEnding = false
    private var isAborted = false
    private var farewell: TimerNumber?
    /// Whether the loop looks at it at the end of the turn.
    var isQueued = false

    init(descriptor: Int32, token: UInt64, session: Session, loop: ServerLoop) {
        self.descriptor = descriptor
        self.token = token
        self.session = session
        self.loop = loop
        session.transport = self
    }

    var isOpen: Bool { session != nil }

    // MARK: What the kernel tells

    /// Does what the socket is ready for, with memory to read into.
    func ready(_ readiness: Poller.Readiness, _ space: UnsafeMutableRawBufferPointer) {
        guard isOpen, !isAborted else { return }
        if readiness.contains(.output) { finishTurn() }
        guard isOpen, !isAborted else { return }
        if interest.contains(.input) {
            if !readiness.isDisjoint(with: [.input, .hangUp, .failure]) { unsafe read(space) }
        } else if !readiness.isDisjoint(with: [.hangUp, .failure]) {
            // Nobody is there any more who could read a reply.
            abort()
        }
    }

    private func read(_ space: UnsafeMutableRawBufferPointer) {
        let count = unsafe Glibc.read(descriptor, space.baseAddress, space.count)
        if count > 0 {
            unsafe session?.receive(UnsafeRawBufferPointer(rebasing: space[..<count]))
        } else if count == 0 {
            hasInputEnded = true
            watch()
            session?.inputEnded()
        } else if errno != EAGAIN, errno != EINTR {
            abort()
        }
    }

    /// Writes what the session gave in this turn, and closes what has come to its end.
    func finishTurn() {
        guard isOpen else { return }
        if isAborted { return end() }
        if sent < output.count {
            let count = unsafe output.withUnsafeBytes { bytes in
                unsafe Glibc.write(descriptor, bytes.baseAddress?.advanced(by: sent), bytes.count - sent)
            }
            guard count >= 0 || errno == EAGAIN || errno == EINTR else { return end() }
            sent += max(0, count)
        }
        if sent == output.count {
            output.removeAll(keepingCapacity: output.capacity <= Self.keptBytesMax)
            sent = 0
            if isEnding { return end() }
        }
        isBlocked = sent < output.count
        watch()
        // Where half of it has left, reading goes on, rather than with every few bytes.
        if !isWanted, unsentBytes <= RedisSettings.unreadBytesPause / 2 { session?.drained() }
    }

    /// 64 KiB: what an idle connection may hold on to.
    private static let keptBytesMax = 64 << 10

    /// Tells the kernel what to watch for, if that has changed.
    private func watch() {
        var wish: Poller.Readiness = isWanted && !hasInputEnded && !isEnding ? .input : []
        if isBlocked { wish.insert(.output) }
        guard wish != interest else { return }
        interest = wish
        loop.watch(self, for: wish)
    }

    private func end() {
        guard let session else { return }
        self.session = nil
        output = []
        sent = 0
        if let farewell { loop.agenda.cancel(farewell) }
        loop.remove(self, of: session)
    }

    // MARK: SessionTransport

    var unsentBytes: Int { output.count - sent }

    func send(_ bytes: inout [UInt8]) {
        defer { bytes.removeAll(keepingCapacity: bytes.capacity <= Self.keptBytesMax) }
        guard isOpen, !isEnding, !isAborted else { return }
        if output.isEmpty {
            swap(&output, &bytes)
        } else {
            // What has left makes room once it is the larger part, so that each byte moves once at most.
            if sent > output.count / 2 {
                output.removeSubrange(0..<sent)
                sent = 0
            }
            output.append(contentsOf: bytes)
        }
        loop.enqueue(self)
    }

    func closeWhenSent() {
        guard isOpen, !isEnding else { return }
        isEnding = true
        // The other end may never read; what it does not take in time is dropped with the connection.
        farewell = loop.agenda.add(after: Self.farewellLimit, .farewell(token))
        watch()
        loop.enqueue(self)
    }

    /// How long a client has for reading the last replies.
    private static let farewellLimit = Duration.seconds(5)

    func abort() {
        guard isOpen, !isAborted else { return }
        isAborted = true
        loop.enqueue(self)
    }

    func setReading(_ isReading: Bool) {
        isWanted = isReading
        watch()
    }
}
