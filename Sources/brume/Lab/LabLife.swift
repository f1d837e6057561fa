// SPDX-License-Identifier: Apache-2.0
import Glibc
import NIOCore
import NIOPosix

/// Ends a lab's node with its lab: the lab holds the other end of the node's standard input, also when it is killed.
enum LabLife {
    /// Sends this process SIGTERM when standard input ends.
    static func follow() async throws {
        // A thread of its own: how many the shared ones are is decided later.
        _ = try await NIOPipeBootstrap(group: MultiThreadedEventLoopGroup(numberOfThreads: 1))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Handler()) }
            }
            .takingOwnershipOfDescriptor(input: dup(STDIN_FILENO)).get()
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        func channelInactive(context: ChannelHandlerContext) { kill(getpid(), SIGTERM) }
    }
}
