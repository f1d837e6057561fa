// SPDX-License-Identifier: Apache-2.0
import AsyncHTTPClient
import BrumeModel
import Glibc
import NIOCore
import NIOPosix
import SystemPackage

/// The bytes of a file or of standard input, read as somebody asks for them.
struct InputBytes: AsyncSequence, Sendable {
    typealias Element = ByteBuffer
    /// One read; also the most that is read ahead to learn whether the input is short.
    static let chunkBytes = 64 << 10

    /// How long a whole body, with its length, is waited for: programs in a pipe write within this, people and timers do not.
    static let patience = Duration.milliseconds(100)

    let descriptor: Descriptor
    /// What has been read already.
    var head = ByteBuffer()

    struct Iterator: AsyncIteratorProtocol {
        let descriptor: Descriptor
        var head: ByteBuffer

        mutating func next() async throws -> ByteBuffer? {
            if head.readableBytes > 0 {
                defer { head = ByteBuffer() }
                return head
            }
            let chunk = try await InputBytes.read(descriptor, atMost: InputBytes.chunkBytes)
            return chunk.readableBytes == 0 ? nil : chunk
        }
    }

    func makeAsyncIterator() -> Iterator { Iterator(descriptor: descriptor, head: head) }

    /// Reads once on a thread that may block; empty at the end of the input.
    static func read(_ descriptor: Descriptor, atMost count: Int) async throws -> ByteBuffer {
        try await NIOThreadPool.singleton.runIfActive {
            var buffer = ByteBufferAllocator().buffer(capacity: count)
            _ = try unsafe buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { bytes in
                try unsafe descriptor.read(into: UnsafeMutableRawBufferPointer(rebasing: bytes.prefix(count)))
            }
            return buffer
        }
    }

    /// Waits until a read would not block, which it does not at the end of the input either; false where the time passes first.
    private static func isReadable(_ descriptor: Descriptor, until deadline: ContinuousClock.Instant) async throws -> Bool {
        try await NIOThreadPool.singleton.runIfActive {
            let milliseconds = Int32(Swift.max(0, (deadline - .now).inMilliseconds).rounded(.up))
            var watch = pollfd(fd: descriptor.rawValue, events: Int16(POLLIN), revents: 0)
            return unsafe poll(&watch, 1, milliseconds) > 0
        }
    }

    /// Reads what is there already, up to one chunk; the second value is true where that was everything.
    static func readAhead(_ descriptor: Descriptor) async throws -> (head: ByteBuffer, isWhole: Bool) {
        var head = ByteBuffer()
        let deadline = ContinuousClock.now + patience
        while head.readableBytes < chunkBytes, try await isReadable(descriptor, until: deadline) {
            var more = try await read(descriptor, atMost: chunkBytes - head.readableBytes)
            if more.readableBytes == 0 { return (head, true) }
            head.writeBuffer(&more)
        }
        return (head, false)
    }

    /// A request body out of a descriptor: whole, with its length, where the input is short and there already; streamed otherwise.
    static func body(of descriptor: Descriptor) async throws -> HTTPClientRequest.Body {
        let (head, isWhole) = try await readAhead(descriptor)
        return isWhole ? .bytes(head) : .stream(InputBytes(descriptor: descriptor, head: head), length: .unknown)
    }

    /// Everything, up to a bound.
    ///
    /// - Throws: `CommandFailure` where there is more.
    static func collect(_ descriptor: Descriptor, upTo limit: Int, what: String) async throws -> ByteBuffer {
        var all = ByteBuffer()
        while true {
            var more = try await read(descriptor, atMost: chunkBytes)
            if more.readableBytes == 0 { return all }
            all.writeBuffer(&more)
            guard all.readableBytes <= limit else { throw CommandFailure.words("\(what) is larger than \(Wording.bytes(limit)).") }
        }
    }
}
