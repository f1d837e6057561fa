// SPDX-License-Identifier: Apache-2.0

public import NIOCore
import NIOPosix

/// One word of a command: a text, a number or bytes.
public protocol StateWord: Sendable {
    func write(into buffer: inout ByteBuffer)
}

extension String: StateWord {
    public func write(into buffer: inout ByteBuffer) { buffer.writeString(self) }
}
extension Int: StateWord {
    public func write(into buffer: inout ByteBuffer) { buffer.writeString(String(self)) }
}
extension Int64: StateWord {
    public func write(into buffer: inout ByteBuffer) { buffer.writeString(String(self)) }
}
extension Double: StateWord {
    public func write(into buffer: inout ByteBuffer) { buffer.writeString(description) }
}
extension ByteBuffer: StateWord {
    public func write(into buffer: inout ByteBuffer) { buffer.writeImmutableBuffer(self) }
}

/// Where state is found, and as whom.
struct StateAddress {
    enum Place: Equatable, CustomStringConvertible {
        case unix(path: String)
        case tcp(host: String, port: Int)

        var description: String {
            switch self {
            case .unix(let path): path
            case .tcp(let host, let port): "\(host):\(port)"
            }
        }
    }

    var place: Place
    var user: String?
    var password: String?
    var database = 0

    /// Reads `unix://[USER:PASSWORD@]/PATH[?db=N]` and `redis://[USER:PASSWORD@]HOST[:PORT][/N]`.
    init(_ url: String) throws(StateFailure) {
        let problem = StateFailure(code: "NOSTATE", "State is at unix://PATH or redis://HOST:PORT, not at '\(url)'.")
        guard let scheme = url.firstRange(of: "://") else { throw problem }
        var rest = url[scheme.upperBound...]
        if let at = rest.lastIndex(of: "@") {
            let login = rest[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map { Self.decoded($0) }
            user = login[0].isEmpty ? nil : login[0]
            password = login.count > 1 ? login[1] : nil
            rest = rest[rest.index(after: at)...]
        }
        switch url[..<scheme.lowerBound] {
        case "unix":
            let parts = rest.split(separator: "?", maxSplits: 1)
            guard let path = parts.first, path.hasPrefix("/") else { throw problem }
            place = .unix(path: String(path))
            if parts.count > 1, parts[1].hasPrefix("db="), let number = Int(parts[1].dropFirst(3)) { database = number }
        case "redis":
            let parts = rest.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count > 1, let number = Int(parts[1]) { database = number }
            guard let address = Self.hostAndPort(parts[0]) else { throw problem }
            place = .tcp(host: address.host, port: address.port)
        default: throw problem
        }
    }

    /// Splits `HOST`, `HOST:PORT`, `[IPV6]` and `[IPV6]:PORT`; nil for a port that is none.
    private static func hostAndPort(_ text: Substring) -> (host: String, port: Int)? {
        let usual = 6379
        if text.hasPrefix("["), let end = text.firstIndex(of: "]") {
            let host = String(text[text.index(after: text.startIndex)..<end])
            let rest = text[text.index(after: end)...]
            guard !rest.isEmpty else { return (host, usual) }
            return Int(rest.dropFirst()).map { (host, $0) }
        }
        guard let colon = text.lastIndex(of: ":") else { return (text.isEmpty ? "localhost" : String(text), usual) }
        return Int(text[text.index(after: colon)...]).map { (String(text[..<colon]), $0) }
    }

    private static func decoded(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// One connection: commands go out as they come, replies belong to them in order.
final class Wire: Sendable {
    private let channel: any Channel
    private let waiting: NIOLoopBound<Waiting>

    private init(channel: any Channel, waiting: NIOLoopBound<Waiting>) {
        self.channel = channel
        self.waiting = waiting
    }

    /// How long a connection may take to come about: the node is on the same machine, or near.
    private static let connectTimeout = TimeAmount.seconds(10)

    static func open(_ address: StateAddress, onPush: (@Sendable (Reply) -> Void)? = nil) async throws -> Wire {
        let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton).connectTimeout(connectTimeout)
        let initialize: @Sendable (any Channel) -> EventLoopFuture<Wire> = { channel in
            channel.eventLoop.makeCompletedFuture {
                let waiting = Waiting(onPush: onPush)
                try channel.pipeline.syncOperations.addHandlers(ByteToMessageHandler(ReplyDecoder()), waiting)
                return Wire(channel: channel, waiting: NIOLoopBound(waiting, eventLoop: channel.eventLoop))
            }
        }
        let wire: Wire
        do {
            wire =
                switch address.place {
                case .unix(let path): try await bootstrap.connect(unixDomainSocketPath: path, channelInitializer: initialize)
                case .tcp(let host, let port):
                    try await bootstrap.channelOption(.socketOption(.tcp_nodelay), value: 1)
                        .connect(host: host, port: port, channelInitializer: initialize)
                }
        } catch {
            throw StateFailure(code: "NOSTATE", "The state at \(address.place) cannot be reached: \(error).")
        }
        if let password = address.password {
            _ = try await wire.run([address.user.map { user in ["AUTH", user, password] } ?? ["AUTH", password]])
        }
        if address.database != 0 { _ = try await wire.run([["SELECT", address.database]]) }
        return wire
    }

    /// Sends commands in one write and waits for all their replies.
    ///
    /// - Throws: `StateFailure`: the first refusal among the replies, or that the connection is gone.
    func run(_ commands: [[any StateWord]]) async throws(StateFailure) -> [Reply] {
        let bytes = Self.encode(commands, channel.allocator)
        let replies: [Reply] = await withCheckedContinuation { continuation in
            channel.eventLoop.execute { [self] in
                waiting.value.expect(commands.count) { continuation.resume(returning: $0) }
                // A write that fails closes the channel, and that ends the wait.
                channel.writeAndFlush(bytes, promise: nil)
            }
        }
        for case .refused(let failure) in replies { throw failure }
        return replies
    }

    private static func encode(_ commands: [[any StateWord]], _ allocator: ByteBufferAllocator) -> ByteBuffer {
        var bytes = allocator.buffer(capacity: 64 * commands.count)
        var scratch = allocator.buffer(capacity: 64)
        for command in commands {
            bytes.writeString("*\(command.count)\r\n")
            for word in command {
                scratch.clear()
                word.write(into: &scratch)
                bytes.writeString("$\(scratch.readableBytes)\r\n")
                bytes.writeBuffer(&scratch)
                bytes.writeString("\r\n")
            }
        }
        return bytes
    }

    func close() { channel.close(promise: nil) }
}

/// Hands replies to those who wait for them, in the order of their commands.
private final class Waiting: ChannelInboundHandler {
    typealias InboundIn = Reply

    private var asked: CircularBuffer<(count: Int, replies: [Reply], done: ([Reply]) -> Void)> = []
    private let onPush: (@Sendable (Reply) -> Void)?
    private var ended: StateFailure?

    init(onPush: (@Sendable (Reply) -> Void)?) { self.onPush = onPush }

    func expect(_ count: Int, _ done: @escaping ([Reply]) -> Void) {
        if let ended { return done([.refused(ended)]) }
        if count == 0 { return done([]) }
        asked.append((count, [], done))
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let reply = unwrapInboundIn(data)
        guard !asked.isEmpty else {
            onPush?(reply)
            return
        }
        asked[asked.startIndex].replies.append(reply)
        if asked[asked.startIndex].replies.count == asked[asked.startIndex].count {
            let (_, replies, done) = asked.removeFirst()
            done(replies)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        end(error as? StateFailure ?? StateFailure(code: "CLOSED", "The connection to the state broke: \(error)."))
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        end(
            StateFailure(code: "CLOSED", "The node closed the connection to the state; whether the last commands took effect is not known.")
        )
        context.fireChannelInactive()
    }

    private func end(_ failure: StateFailure) {
        guard ended == nil else { return }
        ended = failure
        while let (_, _, done) = asked.popFirst() { done([.refused(failure)]) }
        onPush?(.refused(failure))
    }
}
