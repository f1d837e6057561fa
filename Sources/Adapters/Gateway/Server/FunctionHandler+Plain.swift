// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import NIOCore
import NIOHTTP1

/// What was read from a request's head. A client that sends the same head again, as those of one connection often do, has it read once.
final class KnownHead {
    /// Longest head that is remembered, for each connection.
    static let bytesMax = 2 << 10

    var bytes = ByteBuffer()
    var method = ""
    var bodyLength = 0
    var parts: TargetParts?
    var translation = HeaderTranslation()
    var meters: FunctionMeters?

    /// Whether these bytes begin with it.
    func begins(_ other: ByteBuffer) -> Bool {
        let count = bytes.readableBytes
        return count > 0 && other.getSlice(at: other.readerIndex, length: count) == bytes
    }
}

/// Requests that came whole.
extension FunctionHandler {
    enum PlainOutcome { case taken, unfinished, other }

    /// Begins the call of a whole request at the head of these bytes, and takes it from them.
    func takePlain(_ bytes: inout ByteBuffer) -> PlainOutcome {
        guard let context, case .idle = turn, !closesAfterReply, held.isEmpty else { return .other }
        if !known.begins(bytes) {
            switch PlainHead.find(in: bytes.readableBytesUInt8Span) {
            case .other: return .other
            case .unfinished:
                lastActivity = NIODeadline.now()
                return .unfinished
            case .head(let head):
                guard head.byteCount <= PlainHead.bytesMax, remember(head, bytes) else { return .other }
            }
        }
        let length = known.bytes.readableBytes + known.bodyLength
        guard known.bodyLength <= front.settings.bodyBytesMax else { return .other }
        guard bytes.readableBytes >= length else {
            lastActivity = NIODeadline.now()
            return length <= PlainHead.bytesMax ? .unfinished : .other
        }
        bytes.moveReaderIndex(forwardBy: known.bytes.readableBytes)
        let body = known.bodyLength == 0 ? ByteBuffer() : bytes.readSlice(length: known.bodyLength) ?? ByteBuffer()
        begin(body, context)
        return .taken
    }

    /// - Returns: whether it is one that a call can be made of.
    private func remember(_ head: PlainHead, _ bytes: ByteBuffer) -> Bool {
        do throws(BrumeError) {
            let parts = try TargetParts(target: head.target, prefixLength: Self.functionPrefix.utf8CodeUnitCount)
            var translation = HeaderTranslation()
            for (name, value) in head.fields { try translation.add(name, value) }
            if known.parts?.function != parts.function { known.meters = nil }
            known.bytes.clear()
            known.bytes.writeBytes(bytes.readableBytesView.prefix(head.byteCount))
            (known.method, known.bodyLength, known.parts, known.translation) = (head.method, head.bodyLength, parts, translation)
            return true
        } catch {
            // What is wrong is told where all else that is wrong is.
            return false
        }
    }

    private func begin(_ body: ByteBuffer, _ context: ChannelHandlerContext) {
        guard let parts = known.parts else { return }
        let now = NIODeadline.now()
        lastActivity = now
        let arrival = front.arrival(
            method: known.method, parts: parts, translation: known.translation, remote: remote, label: labels.next(), at: now)
        arrival.request.body = .whole(body)
        arrival.meters = known.meters
        let head = ConnectionTurn.RequestHead(
            version: .http1_1, isHead: known.method == "HEAD", keepsAlive: true, contentLength: known.bodyLength)
        if known.bytes.readableBytes > KnownHead.bytesMax { known = KnownHead() }
        let function = FunctionTurn(head: head, arrival: arrival)
        start(function)
        if known.meters == nil, known.parts?.function == parts.function { known.meters = arrival.meters }
    }
}
