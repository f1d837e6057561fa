// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Glibc
import NIOCore
import NIOPosix
import Synchronization

/// Cuts bytes into lines; a line longer than the limit becomes several.
struct LineSplitter {
    private var rest: [UInt8] = []
    let lineBytesMax: Int

    init(lineBytesMax: Int = SandboxLimits.lineBytes) { self.lineBytesMax = lineBytesMax }

    /// Takes the next bytes and hands out the lines that they complete.
    mutating func push(_ bytes: ByteBufferView, _ line: (String) -> Void) {
        var bytes = bytes
        while !bytes.isEmpty {
            let end = bytes.firstIndex(of: UInt8(ascii: "\n"))
            let room = lineBytesMax - rest.count
            let part = bytes[..<(end ?? bytes.endIndex)].prefix(room)
            rest.append(contentsOf: part)
            if part.endIndex == end {
                finish(line, evenEmpty: true)
                bytes = bytes[(part.endIndex + 1)...]
            } else {
                if rest.count == lineBytesMax { finish(line) }
                bytes = bytes[part.endIndex...]
            }
        }
    }

    /// Hands out what is left without a newline.
    mutating func finish(_ line: (String) -> Void, evenEmpty: Bool = false) {
        if rest.last == UInt8(ascii: "\r") { rest.removeLast() }
        if evenEmpty || !rest.isEmpty { line(String(decoding: rest, as: UTF8.self)) }
        rest.removeAll(keepingCapacity: true)
    }
}

/// Lets a bounded number of lines through each second and counts the others.
struct LineLimiter {
    private var saved: Double
    private var last: Instant?
    private(set) var dropped = 0
    let perSecond: Int
    let savedMax: Int

    init(perSecond: Int = SandboxLimits.linesPerSecond, savedMax: Int = SandboxLimits.linesSaved) {
        (self.perSecond, self.savedMax, saved) = (perSecond, savedMax, Double(savedMax))
    }

    /// Whether one more line may pass.
    mutating func allows(at now: Instant) -> Bool {
        if let last, now > last { saved = min(Double(savedMax), saved + (now - last).inSeconds * Double(perSecond)) }
        last = now
        guard saved >= 1 else {
            dropped += 1
            return false
        }
        saved -= 1
        return true
    }

    /// The number of lines dropped since it was asked last.
    mutating func takeDropped() -> Int {
        defer { dropped = 0 }
        return dropped
    }
}

/// Reads one output stream of a replica on an event loop.
final class ReplicaOutput: Sendable {
    private let channel: EventLoopFuture<any Channel>
    private let shared: Shared
    /// Set when the last writer has closed its end and everything has been read.
    var finished: OneShot<Void> { shared.finished }

    /// What the event loop writes and the replica's task reads.
    fileprivate final class Shared: Sendable {
        let finished = OneShot<Void>()
        let tail = Mutex<[String]>([])
    }

    /// Takes over `descriptor`, the reading end of a pipe.
    init(
        _ descriptor: CInt, _ stream: LogLine.Stream, on loop: any EventLoop, line: @escaping @Sendable (LogLine.Stream, String) -> Void
    ) {
        let shared = Shared()
        self.shared = shared
        channel = NIOPipeBootstrap(group: loop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Reader(stream, shared, line))
                }
            }
            .takingOwnershipOfDescriptor(input: descriptor)
            .map { $0 as any Channel }
        channel.whenFailure { _ in
            _ = Glibc.close(descriptor)
            shared.finished.set(())
        }
    }

    /// The last lines, oldest first.
    var tail: [String] { shared.tail.withLock { $0 } }

    /// Stops reading, whatever is still to come.
    func close() { channel.whenSuccess { $0.close(promise: nil) } }

    /// Cuts what comes into lines and slows down a writer that writes too much.
    private final class Reader: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let stream: LogLine.Stream
        private let shared: Shared
        private let line: @Sendable (LogLine.Stream, String) -> Void
        private var splitter = LineSplitter()
        private var limiter = LineLimiter()
        private var periodBegan = NIODeadline.uptimeNanoseconds(0)
        private var read = 0

        init(_ stream: LogLine.Stream, _ shared: Shared, _ line: @escaping @Sendable (LogLine.Stream, String) -> Void) {
            (self.stream, self.shared, self.line) = (stream, shared, line)
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let buffer = unwrapInboundIn(data)
            splitter.push(buffer.readableBytesView) { pass($0) }
            hold(context, buffer.readableBytes)
        }

        func channelInactive(context: ChannelHandlerContext) {
            splitter.finish { pass($0) }
            tellDropped()
            shared.finished.set(())
            context.fireChannelInactive()
        }

        private func pass(_ text: String) {
            shared.tail.withLock { tail in
                tail.append(text)
                if tail.count > SandboxLimits.failureLines { tail.removeFirst() }
            }
            guard limiter.allows(at: Instant(nanoseconds: Int64(clamping: NIODeadline.now().uptimeNanoseconds))) else { return }
            tellDropped()
            line(stream, text)
        }

        private func tellDropped() {
            let dropped = limiter.takeDropped()
            guard dropped > 0 else { return }
            line(
                .platform,
                "\(dropped) lines were left out here: a replica may write \(SandboxLimits.linesPerSecond) lines a second; log less.")
        }

        /// After so many bytes in one period reading rests until the next, and the writer waits with it.
        private func hold(_ context: ChannelHandlerContext, _ count: Int) {
            let now = NIODeadline.now()
            if now - periodBegan >= SandboxLimits.outputPeriod { (periodBegan, read) = (now, 0) }
            read += count
            guard read >= SandboxLimits.outputBytesPerPeriod, let options = context.channel.syncOptions else { return }
            read = 0
            try? options.setOption(.autoRead, value: false)
            context.eventLoop.assumeIsolated().scheduleTask(deadline: periodBegan + SandboxLimits.outputPeriod) {
                try? options.setOption(.autoRead, value: true)
            }
        }
    }
}
