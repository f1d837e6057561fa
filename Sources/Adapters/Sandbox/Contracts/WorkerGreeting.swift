// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import NIOCore

/// The first line of a connection that a worker made from inside its sandbox: `BRUME/1 ready`, `BRUME/1 gate` or `BRUME/1 failed WHY`.
final class WorkerGreeting: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    enum Word: Equatable {
        case ready, gate
        case failed(String)
    }

    /// Longest line: a sentence about why the start failed.
    private static let lengthMax = 8192

    private var gathered = ByteBuffer()
    /// Called once on the event loop, with this handler's context still in place.
    private let onWord: (Word, ChannelHandlerContext) -> Void

    init(onWord: @escaping (Word, ChannelHandlerContext) -> Void) { self.onWord = onWord }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        gathered.writeBuffer(&bytes)
        guard let newline = gathered.readableBytesView.firstIndex(of: UInt8(ascii: "\n")) else {
            if gathered.readableBytes > Self.lengthMax { context.close(promise: nil) }
            return
        }
        let line = gathered.readString(length: newline - gathered.readerIndex) ?? ""
        gathered.moveReaderIndex(forwardBy: 1)
        guard let word = Self.parse(line) else {
            context.close(promise: nil)
            return
        }
        onWord(word, context)
        if gathered.readableBytes > 0 { context.fireChannelRead(wrapInboundOut(gathered)) }
        // A gate may speak once more.
        gathered.clear()
    }

    static func parse(_ line: String) -> Word? {
        let prefix = "BRUME/1 "
        guard line.hasPrefix(prefix) else { return nil }
        let rest = line.dropFirst(prefix.count)
        if rest == "ready" { return .ready }
        if rest == "gate" { return .gate }
        return rest.hasPrefix("failed ") ? .failed(String(rest.dropFirst(7))) : nil
    }
}
