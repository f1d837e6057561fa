// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import CBrumeLinux
import Dispatch
import Glibc
import Synchronization

/// Cuts bytes into lines; a line longer than the limit becomes several.
struct LineSplitter {
    private var rest: [UInt8] = []
    let lineBytesMax: Int

    init(lineBytesMax: Int = SandboxLimits.lineBytes) { self.lineBytesMax = lineBytesMax }

    /// Takes the next bytes and hands out the lines that they complete.
    mutating func push(_ bytes: some Collection<UInt8>, _ line: (String) -> Void) {
        for byte in bytes {
            if byte == UInt8(ascii: "\n") {
                finish(line, evenEmpty: true)
            } else {
                rest.append(byte)
                if rest.count == lineBytesMax { finish(line) }
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

/// Reads one output stream of a replica without a thread of its own.
final class ReplicaOutput: Sendable {
    private struct State {
        var splitter = LineSplitter()
        var limiter = LineLimiter()
        var tail: [String] = []
        var read = 0
        var periodEnds = DispatchTime(uptimeNanoseconds: 0)
        var paused = false
        var done = false
    }

    // Dispatch sources may be used from any thread; the overlay does not say so.
    private struct Source: @unchecked Sendable { let read: any DispatchSourceRead }

    private let descriptor: CInt
    private let source: Source
    private let queue: DispatchQueue
    private let state = Mutex(State())
    private let line: @Sendable (LogLine.Stream, String) -> Void
    private let stream: LogLine.Stream
    /// Set when the last writer has closed its end and everything has been read.
    let finished = OneShot<Void>()

    /// Bytes taken by one read: what a pipe holds.
    private static let chunk = 64 << 10

    /// Takes over `descriptor`, the non-blocking reading end of a pipe.
    init(
        _ descriptor: CInt, _ stream: LogLine.Stream, queue: DispatchQueue, line: @escaping @Sendable (LogLine.Stream, String) -> Void
    ) {
        (self.descriptor, self.stream, self.queue, self.line) = (descriptor, stream, queue, line)
        let source = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: queue)
        self.source = Source(read: source)
        source.setEventHandler { [self] in readable() }
        source.setCancelHandler { [self] in
            _ = Glibc.close(descriptor)
            finished.set(())
        }
        source.resume()
    }

    /// The last lines, oldest first.
    var tail: [String] { state.withLock { $0.tail } }

    /// Stops reading, whatever is still to come.
    func close() {
        queue.async { [self] in end() }
    }

    private func readable() {
        var bytes = [UInt8](repeating: 0, count: Self.chunk)
        let got = unsafe bytes.withUnsafeMutableBytes { unsafe Glibc.read(descriptor, $0.baseAddress, $0.count) }
        if got < 0 && (errno == EAGAIN || errno == EINTR) { return }
        guard got > 0 else { return end() }
        take(bytes.prefix(got))
        hold(got)
    }

    private func take(_ bytes: ArraySlice<UInt8>) {
        let now = Instant(nanoseconds: Int64(clamping: DispatchTime.now().uptimeNanoseconds))
        var passed: [(LogLine.Stream, String)] = []
        state.withLock { state in
            var lines: [String] = []
            state.splitter.push(bytes) { lines.append($0) }
            for text in lines { Self.pass(text, now, stream, &state, &passed) }
        }
        for (stream, text) in passed { line(stream, text) }
    }

    private static func pass(
        _ text: String, _ now: Instant, _ stream: LogLine.Stream, _ state: inout State, _ passed: inout [(LogLine.Stream, String)]
    ) {
        state.tail.append(text)
        if state.tail.count > SandboxLimits.failureLines { state.tail.removeFirst() }
        guard state.limiter.allows(at: now) else { return }
        if let notice = notice(state.limiter.takeDropped()) { passed.append((.platform, notice)) }
        passed.append((stream, text))
    }

    private static func notice(_ dropped: Int) -> String? {
        dropped == 0
            ? nil : "\(dropped) lines were left out here: a replica may write \(SandboxLimits.linesPerSecond) lines a second; log less."
    }

    /// After so many bytes in one period reading rests until the next, and the writer waits with it.
    private func hold(_ count: Int) {
        let now = DispatchTime.now()
        let resume: DispatchTime? = state.withLock { state in
            if now >= state.periodEnds {
                state.periodEnds = now + .milliseconds(SandboxLimits.outputPeriodMilliseconds)
                state.read = 0
            }
            state.read += count
            guard state.read >= SandboxLimits.outputBytesPerPeriod, !state.paused, !state.done else { return nil }
            state.paused = true
            return state.periodEnds
        }
        guard let resume else { return }
        source.read.suspend()
        queue.asyncAfter(deadline: resume) { [self] in wake() }
    }

    private func wake() {
        let wasPaused = state.withLock { state in
            defer { state.paused = false }
            return state.paused
        }
        if wasPaused { source.read.resume() }
    }

    private func end() {
        var passed: [(LogLine.Stream, String)] = []
        let first = state.withLock { state in
            defer { state.done = true }
            guard !state.done else { return false }
            let now = Instant(nanoseconds: Int64(clamping: DispatchTime.now().uptimeNanoseconds))
            var lines: [String] = []
            state.splitter.finish { lines.append($0) }
            for text in lines { Self.pass(text, now, stream, &state, &passed) }
            if let notice = Self.notice(state.limiter.takeDropped()) { passed.append((.platform, notice)) }
            return true
        }
        guard first else { return }
        for (stream, text) in passed { line(stream, text) }
        wake()  // A suspended source must not be released, nor does it see its cancellation.
        source.read.cancel()
    }
}
