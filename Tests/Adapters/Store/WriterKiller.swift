// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import Dispatch
import Foundation

/// Reads the lines in which a writing process reports what it did, and kills it after some of them; the first line is `pid N`.
struct WriterKiller: Sendable {
    let pipe: String

    /// Returns every line that was written before the kill, or before the writer's own end.
    ///
    /// - Parameters:
    ///   - patience: lines to wait for before the kill.
    ///   - delay: time from then to the kill, so that it meets the writer at any point.
    func run(patience: Int, delay: Duration) async throws -> [String] {
        try await withCheckedThrowingContinuation { continuation in
            // Blocking reads on a thread of their own.
            DispatchQueue(label: "brume.test.killer").async {
                continuation.resume(with: Result { try read(patience: patience, delay: delay) })
            }
        }
    }

    private func read(patience: Int, delay: Duration) throws -> [String] {
        // Not blocking, so that a writer that never comes up is noticed by the poll.
        let descriptor = unsafe open(pipe, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else { throw BrumeError(.failed, "The pipe cannot be opened.") }
        defer { close(descriptor) }
        var text: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        var isKilled = false
        while true {
            var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard unsafe poll(&request, 1, 60_000) > 0 else { throw BrumeError(.failed, "The writer said nothing for a minute.") }
            let count = unsafe Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0 && (errno == EINTR || errno == EAGAIN) { continue }
            guard count > 0 else { break }
            text += chunk.prefix(count)
            let reports = text.count { $0 == UInt8(ascii: "\n") }
            if !isKilled, reports > patience, let process = Self.process(text) {
                // The moment inside the write is part of the seed.
                let moment = ContinuousClock.now + delay
                while ContinuousClock.now < moment {}
                Glibc.kill(process, SIGKILL)
                isKilled = true
            }
        }
        return String(decoding: text, as: UTF8.self).split(separator: "\n").map(String.init)
    }

    private static func process(_ text: [UInt8]) -> pid_t? {
        let first = String(decoding: text.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
        guard first.hasPrefix("pid ") else { return nil }
        return pid_t(first.dropFirst(4))
    }
}
