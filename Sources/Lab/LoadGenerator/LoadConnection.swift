// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOPosix

/// One keep-alive connection: sends a request when told, finds the end of the answer, tells the worker.
///
/// Confined to the worker's event loop. At most one request is under way; HTTP pipelining is for no client of today.
final class LoadConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Which of the worker's connections this is.
    let slot: Int
    private weak var worker: LoadWorker?
    private var context: ChannelHandlerContext?
    private var scanner = ResponseScanner()
    private var lastError: (any Error)?
    /// Whether a request is under way.
    private(set) var isBusy = false
    /// When the request under way was due and when it was sent, in nanoseconds of the event loop's clock.
    private(set) var due: UInt64 = 0
    private(set) var sentAt: UInt64 = 0

    /// Whether the channel is still there.
    var isOpen: Bool { context != nil }

    init(slot: Int, worker: LoadWorker) {
        self.slot = slot
        self.worker = worker
    }

    /// Sends the encoded request.
    func send(_ request: ByteBuffer, due: UInt64, now: UInt64) {
        precondition(!isBusy, "a second request on a busy connection")
        guard let context else { return }
        isBusy = true
        self.due = due
        sentAt = now
        context.writeAndFlush(wrapOutboundOut(request), promise: nil)
    }

    /// Closes the connection without another word to the worker.
    func abandon() {
        worker = nil
        isBusy = false
        context?.close(promise: nil)
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard let worker else { return }
        guard isBusy else {
            // An answer nobody asked for: a server that closes idle connections may say so first (408).
            worker.lost(self)
            return
        }
        switch scanner.feed(unwrapInboundIn(data)) {
        case .incomplete: break
        case .complete(let status, let reusable):
            isBusy = false
            worker.answered(self, status: status, reusable: reusable)
        case .malformed:
            isBusy = false
            worker.failed(self, .malformedReply)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        lastError = error
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        guard let worker else { return }
        guard isBusy else {
            worker.lost(self)
            return
        }
        isBusy = false
        if lastError == nil, let status = scanner.statusAtClose {
            worker.answered(self, status: status, reusable: false)
        } else {
            worker.failed(self, lastError == nil ? .closedEarly : .connectionReset)
        }
    }
}

extension LoadFailure {
    /// Why a connection could not be made.
    init(connecting error: any Error) {
        switch error {
        case let error as IOError where error.errnoCode == ECONNREFUSED: self = .connectionRefused
        case let error as NIOConnectionError:
            let refused = error.connectionErrors.contains { ($0.error as? IOError)?.errnoCode == ECONNREFUSED }
            self = refused ? .connectionRefused : .connectFailed
        case is ChannelError:
            if case .some(.connectTimeout) = error as? ChannelError { self = .connectTimedOut } else { self = .connectFailed }
        default: self = .connectFailed
        }
    }
}
