// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import NIOCore
import Synchronization

/// What is known of a socket before and after a member greets over it.
final class SocketRecord: Sendable {
    struct State {
        /// The member behind it, once its certificate has been checked.
        var certified: CertifiedNode?
        /// Whether a member's stream stands on it: then no handshake timeout ends it any more.
        var isSettled = false
        /// Why it ended, if something here knows better than the stream's error.
        var failure: String?
        /// The taps of its streams, by number.
        var taps: [UInt64: NIOLoopBound<PacketTap>] = [:]
        var nextTap: UInt64 = 1
    }

    let number: UInt64
    let channel: any Channel
    let remote: String
    private let state = Mutex(State())

    init(number: UInt64, channel: any Channel) {
        self.number = number
        self.channel = channel
        remote = channel.remoteAddress.map { "\($0.ipAddress ?? "local"):\($0.port ?? 0)" } ?? "an unknown address"
    }

    var certified: CertifiedNode? { state.withLock { $0.certified } }
    var failure: String? { state.withLock { $0.failure } }
    var isSettled: Bool { state.withLock { $0.isSettled } }

    func certify(_ node: CertifiedNode) { state.withLock { $0.certified = node } }
    func settle() { state.withLock { $0.isSettled = true } }

    /// Puts a tap into a stream of this socket, for as long as it lives.
    ///
    /// - Returns: its number.
    func addTap(to stream: any Channel) throws -> UInt64 {
        let tap = PacketTap()
        let bound = NIOLoopBound(tap, eventLoop: stream.eventLoop)
        let number = state.withLock { state in
            defer { state.nextTap += 1 }
            state.taps[state.nextTap] = bound
            return state.nextTap
        }
        stream.closeFuture.whenComplete { _ in self.state.withLock { _ = $0.taps.removeValue(forKey: number) } }
        try stream.pipeline.syncOperations.addHandler(tap, position: .first)
        return number
    }

    /// The tap of a stream that lives.
    func tap(_ number: UInt64) -> NIOLoopBound<PacketTap>? { state.withLock { $0.taps[number] } }

    /// The first reason is the cause; later ones are its consequences.
    func fail(_ reason: String) { state.withLock { if $0.failure == nil { $0.failure = reason } } }

    func end(_ reason: String) {
        fail(reason)
        channel.close(mode: .all, promise: nil)
    }
}

/// A connection with a member that has been greeted both ways.
final class Connection: Sendable {
    /// Messages that wait beside frames; only a peer that floods us with questions and reads no answers gets there.
    private static let controlMax = 64

    let number: UInt64
    let peer: NodeID
    /// The process behind it: another value is another start of the node, or another machine with the same key.
    let instance: UInt64
    /// Whether this node dialled.
    let isDialled: Bool
    let socket: SocketRecord
    /// When the connection should be replaced by one with newer certificates, and when it must end: seconds since 1970.
    let renewAt: Int64
    let expires: Int64
    /// Where its packets are read and written.
    let tap: NIOLoopBound<PacketTap>
    /// Calls whoever writes.
    let writer: Bell
    /// Given when the last was written here.
    let written = Answer()
    /// Opens when frames may be read: at once, or when the connection before this one has been read to its end.
    let mayRead = Answer()
    /// Given once the connection has ended.
    let gone = Answer()

    private struct State {
        var control: [ControlMessage] = []
        var questions: [UInt64: Answer] = [:]
        var isEnded = false
        var isEmptied = false
        var peerSigns = false
    }
    private let state = Mutex(State())

    /// Whether the peer holds the cluster's key.
    var peerSigns: Bool { state.withLock { $0.peerSigns } }

    /// The peer holds it from now on.
    func signs() { state.withLock { $0.peerSigns = true } }

    init(
        greeting: Greeting, number: UInt64, peer: NodeID, isDialled: Bool, socket: SocketRecord, tap: NIOLoopBound<PacketTap>,
        ownCertificate: CertifiedNode, peerCertificate: CertifiedNode, now: Int64
    ) {
        self.tap = tap
        writer = Bell(socket.channel.eventLoop)
        self.number = number
        self.peer = peer
        self.isDialled = isDialled
        self.socket = socket
        instance = greeting.instance
        expires = min(ownCertificate.notAfter, peerCertificate.notAfter)
        let life = max(1, expires - max(ownCertificate.notBefore, peerCertificate.notBefore) - CertificateProfile.backdateSeconds)
        // Certificates are renewed after four sixths of their life; connections take them up a sixth later. Where nothing was renewed,
        // the next try keeps a distance.
        renewAt = max(expires - life / 6, now + max(1, life / 20))
        if greeting.signs { signs() }
    }

    /// Queues a message and wakes the writer.
    func post(_ message: ControlMessage) {
        let isFull = state.withLock { state in
            guard state.control.count < Self.controlMax else { return true }
            state.control.append(message)
            return false
        }
        if isFull { socket.end("The peer asks faster than it reads the answers.") }
        writer.call()
    }

    func takeControl() -> [ControlMessage] {
        state.withLock { state in
            defer { state.control = [] }
            return state.control
        }
    }

    /// Whether the peer has written its last here and goes on elsewhere.
    var isEmptied: Bool { state.withLock { $0.isEmptied } }
    func empty() { state.withLock { $0.isEmptied = true } }

    /// Asks for a sign of life.
    func ask(_ number: UInt64) -> Answer {
        let answer = Answer()
        let isEnded = state.withLock { state in
            if !state.isEnded { state.questions[number] = answer }
            return state.isEnded
        }
        if isEnded { answer.give(false) } else { post(.probe(number)) }
        return answer
    }

    func answered(_ number: UInt64) { state.withLock { $0.questions.removeValue(forKey: number) }?.give(true) }

    /// Lets go of every task that waits for this connection.
    func end() {
        let questions = state.withLock { state in
            defer { state.questions = [:] }
            state.isEnded = true
            return state.questions
        }
        for answer in questions.values { answer.give(false) }
        writer.finish()
        written.give(false)
        mayRead.give(false)
        gone.give(true)
    }
}
