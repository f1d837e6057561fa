// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Foundation
import NIOCore
import Synchronization
import Testing

@testable import BrumeSandbox

/// The same piece a number of times, made as it is asked for.
struct Pieces: AsyncSequence, Sendable {
    typealias Element = ByteBuffer
    typealias Failure = any Error

    let piece: ByteBuffer
    let count: Int
    /// How many have been asked for.
    let taken = Counter()

    init(_ piece: ByteBuffer, count: Int) {
        self.piece = piece
        self.count = count
    }

    final class Counter: Sendable {
        let value = Atomic<Int>(0)
    }

    struct AsyncIterator: AsyncIteratorProtocol {
        var left: Int
        let piece: ByteBuffer
        let taken: Counter

        mutating func next() async throws -> ByteBuffer? {
            guard left > 0 else { return nil }
            left -= 1
            taken.value.add(1, ordering: .relaxed)
            return piece
        }
    }

    func makeAsyncIterator() -> AsyncIterator { AsyncIterator(left: count, piece: piece, taken: taken) }
}

/// A body that breaks off.
struct BrokenBody: AsyncSequence, Sendable {
    typealias Element = ByteBuffer
    typealias Failure = any Error
    struct Gone: Error {}

    struct AsyncIterator: AsyncIteratorProtocol {
        var isFirst = true
        mutating func next() async throws -> ByteBuffer? {
            guard isFirst else { throw Gone() }
            isFirst = false
            return ByteBuffer(string: "beginning")
        }
    }

    func makeAsyncIterator() -> AsyncIterator { AsyncIterator() }
}

final class ByteCount: Sendable {
    private let count = Atomic<Int>(0)
    var value: Int { count.load(ordering: .relaxed) }
    func add(_ bytes: Int) { count.add(bytes, ordering: .relaxed) }
}

enum ProcessState {
    static func residentBytes() -> Int {
        let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
        return (Int(text.split(separator: " ").dropFirst().first ?? "0") ?? 0) * 4096
    }

    /// No such process, or one that only waits to be reaped.
    static func isGone(_ pid: Int32) -> Bool {
        guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8) else { return true }
        return text.contains(") Z ")
    }
}

enum FileWatch {
    struct Timeout: Error {}

    /// Returns when a file is no longer empty; at most 10 s.
    static func waitForContent(_ path: String) async throws {
        for _ in 0..<1000 {
            if let size = try? FileManager.default.attributesOfItem(atPath: path)[.size] as? Int, size > 0 { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw Timeout()
    }
}

enum Installed {
    static let node = ["/usr/bin/node", "/usr/local/bin/node"].contains { FileManager.default.isExecutableFile(atPath: $0) }
}
