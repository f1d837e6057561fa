// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import NIOCore

/// One keep-alive connection of a replay: sends a call when told, finds the end of the answer, tells the worker.
///
/// Confined to the worker's event loop. At most one call is under way.
final class ReplayConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private weak var worker: ReplayWorker?
    private var context: ChannelHandlerContext?
    private var scanner = ResponseScanner()
    private var lastError: (any Error)?
    /// The call under way, by its position in the trace.
    private var call: Int?
    private var timeoutAlarm: Alarm?

    /// Whether the channel is still there.
    var isOpen: Bool { context != nil }

    init(loop: any EventLoop, worker: ReplayWorker) {
        self.worker = worker
        scanner.keepsHead = true
        timeoutAlarm = Alarm(on: loop) { [weak self] in self?.end(.timedOut) }
    }

    func send(_ request: ByteBuffer, call index: Int, until deadline: NIODeadline) {
        precondition(call == nil, "a second call on a busy connection")
        guard let context else { return }
        call = index
        timeoutAlarm?.set(at: deadline)
        context.writeAndFlush(wrapOutboundOut(request), promise: nil)
    }

    /// Closes the connection without another word to the worker.
    func abandon() {
        worker = nil
        call = nil
        timeoutAlarm?.cancel()
        context?.close(promise: nil)
    }

    /// The call under way has failed, if there is one.
    private func end(_ failure: LoadFailure) {
        guard let index = takeCall() else { return }
        worker?.failed(self, call: index, failure)
    }

    private func takeCall() -> Int? {
        defer { call = nil }
        timeoutAlarm?.cancel()
        return call
    }

    private func answered(status: Int, reusable: Bool) {
        guard let index = takeCall() else { return }
        worker?.answered(self, call: index, status: status, head: ResponseFields(scanner.head), reusable: reusable)
    }

    // MARK: - What the channel tells

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard call != nil else {
            // An answer nobody asked for.
            worker?.lost(self)
            return
        }
        switch scanner.feed(unwrapInboundIn(data)) {
        case .incomplete: break
        case .complete(let status, let reusable): answered(status: status, reusable: reusable)
        case .malformed: end(.malformedReply)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        lastError = error
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        guard call != nil else {
            worker?.lost(self)
            return
        }
        if lastError == nil, let status = scanner.statusAtClose {
            answered(status: status, reusable: false)
        } else {
            end(lastError == nil ? .closedEarly : .connectionReset)
        }
    }
}

/// The fields of an answer's head, by their names in lower case; the first of equal ones.
struct ResponseFields {
    private var fields: [Substring: Substring] = [:]

    init(_ head: ByteBuffer?) {
        guard let head else { return }
        let text = String(decoding: head.readableBytesView, as: UTF8.self)
        for line in text.split(whereSeparator: \.isNewline).dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let name = line[..<colon].lowercased()[...]
            if fields[name] == nil { fields[name] = line[line.index(after: colon)...].drop { $0 == " " } }
        }
    }

    subscript(name: Substring) -> String? { fields[name].map { String($0) } }

    /// A field that holds milliseconds.
    func milliseconds(_ name: Substring) -> Duration? {
        guard let value = self[name].flatMap(Double.init), value >= 0, value < 1e12 else { return nil }
        return .nanoseconds(Int64((value * 1e6).rounded()))
    }
}
