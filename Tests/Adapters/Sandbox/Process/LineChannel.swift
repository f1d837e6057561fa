// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeSandbox
import NIOCore
import NIOPosix
import Synchronization

/// A small contract of the tests' own: each call is a Python program that runs in the replica and answers with its `r`.
final class LineChannel: ReplicaChannel {
    private struct State {
        var server: (any Channel)?
        var connection: (any Channel)?
        var connected: [CheckedContinuation<Void, Never>] = []
        var waiting:
            [(
                call: CallID, reply: @Sendable (Result<CallResponse<ByteBuffer>, CallFailure>) -> Void,
                finished: @Sendable (CallFailure?) -> Void
            )] = []
        var ended = false
    }

    private static let program = """
        import socket, sys
        s = socket.socket(socket.AF_UNIX)
        s.connect(sys.argv[1])
        f = s.makefile('rwb')
        for line in f:
            names = {}
            try:
                exec(bytes.fromhex(line.decode().strip()).decode(), names)
                r = str(names.get('r', ''))
            except BaseException as e:
                r = 'error: ' + type(e).__name__ + ': ' + str(e)
            f.write(r.encode().hex().encode() + b'\\n')
            f.flush()
        """

    let command: [String]
    let environment: [(name: String, value: String)]
    let binds: [LaunchPlan.Bind]
    private let state = Mutex(State())

    /// Whether the program connects before it is ready.
    let connects: Bool

    init(
        connects: Bool = true, command: [String]? = nil, environment: [(name: String, value: String)] = [], binds: [LaunchPlan.Bind] = []
    ) {
        self.command = command ?? ["/usr/bin/python3", "-I", "-S", "-c", Self.program, "/run/brume/line"]
        self.environment = environment
        self.connects = connects
        self.binds = binds
    }

    func plan(socketDirectory: String) throws(BrumeError) -> LaunchPlan {
        let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton).childChannelInitializer { [self] channel in
            channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Lines(self)) }
        }
        do {
            let server = try bootstrap.bind(unixDomainSocketPath: "\(socketDirectory)/line").wait()
            state.withLock { $0.server = server }
        } catch {
            throw BrumeError(.failed, "cannot listen", cause: error)
        }
        return LaunchPlan(command: command, environment: [("PATH", "/usr/bin:/bin")] + environment, binds: binds)
    }

    func ready(_ process: any SandboxProcess) async throws(BrumeError) {
        guard connects else { return }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let now = state.withLock { state in
                    if state.connection != nil || state.ended || Task.isCancelled { return true }
                    state.connected.append(continuation)
                    return false
                }
                if now { continuation.resume() }
            }
        } onCancel: {
            wake()
        }
        if state.withLock({ $0.connection == nil }) { throw BrumeError(.unavailable, "it did not connect") }
    }

    private func wake() {
        let waiting = state.withLock { state in
            defer { state.connected = [] }
            return state.connected
        }
        for waiter in waiting { waiter.resume() }
    }

    func invoke(
        _ call: CallID, _ request: CallRequest<ByteBuffer>, deadline: Instant,
        reply: @escaping @Sendable (Result<CallResponse<ByteBuffer>, CallFailure>) -> Void,
        finished: @escaping @Sendable (CallFailure?) -> Void
    ) {
        guard case .whole(let body) = request.body else { return }
        let connection = state.withLock { state in
            state.waiting.append((call, reply, finished))
            return state.connection
        }
        let hex = body.readableBytesView.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        connection?.writeAndFlush(ByteBuffer(string: hex + "\n"), promise: nil)
    }

    func cancel(_ call: CallID) {}

    func terminated(_ failure: CallFailure) {
        let (channels, waiting) = state.withLock { state in
            state.ended = true
            defer { (state.waiting, state.server, state.connection) = ([], nil, nil) }
            return ([state.server, state.connection].compactMap(\.self), state.waiting)
        }
        for one in waiting {
            one.reply(.failure(failure))
            one.finished(failure)
        }
        for channel in channels { channel.close(promise: nil) }
        wake()
    }

    private func answered(_ hex: String) {
        let bytes = hex.utf8.chunks(ofTwo: { UInt8(String(decoding: $0, as: UTF8.self), radix: 16) ?? 0 })
        let first = state.withLock { $0.waiting.isEmpty ? nil : $0.waiting.removeFirst() }
        first?.reply(.success(CallResponse(status: 200, body: .whole(ByteBuffer(bytes: bytes)))))
        first?.finished(nil)
    }

    private final class Lines: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let owner: LineChannel
        private var rest = ByteBuffer()

        init(_ owner: LineChannel) { self.owner = owner }

        func channelActive(context: ChannelHandlerContext) {
            let channel = context.channel
            owner.state.withLock { $0.connection = channel }
            owner.wake()
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            var buffer = unwrapInboundIn(data)
            rest.writeBuffer(&buffer)
            while let end = rest.readableBytesView.firstIndex(of: UInt8(ascii: "\n")) {
                let line = rest.readString(length: end - rest.readerIndex) ?? ""
                rest.moveReaderIndex(forwardBy: 1)
                owner.answered(line)
            }
        }
    }
}

extension String.UTF8View {
    fileprivate func chunks<Element>(ofTwo transform: (SubSequence) -> Element) -> [Element] {
        var result: [Element] = []
        var rest = self[...]
        while !rest.isEmpty {
            result.append(transform(rest.prefix(2)))
            rest = rest.dropFirst(2)
        }
        return result
    }
}
