// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import NIOCore
import NIOHTTP1

/// Where a connection is between one request and the next: it serves one at a time, in order.
enum ConnectionTurn {
    /// No request has begun.
    case idle
    /// The router has the request; a function's has to wait until its reply is through.
    case routed(requestEnded: Bool, replyEnded: Bool)
    /// A function's request whose body is still expected to be whole soon.
    case collecting(FunctionTurn)
    /// A function runs.
    case calling(FunctionTurn)
    /// The reply is written; the rest of the request is read and thrown away.
    case discarding
    /// The last reply is written, and the connection ends when the client has stopped sending.
    case closing

    /// What has to be remembered of a request to frame its reply.
    struct RequestHead {
        let version: HTTPVersion
        let isHead: Bool
        var keepsAlive: Bool
        /// Nil where the body comes in chunks.
        let contentLength: Int?
        var received = 0
    }
}

/// One request to a function, from its head to the end of its reply; used on the connection's event loop alone.
final class FunctionTurn {
    var head: ConnectionTurn.RequestHead
    let arrival: Arrival
    /// What has come of a body that is still expected to be whole soon.
    var body: ByteBuffer?
    /// Set while the body of a running call is still coming.
    var source: InboundBody.Chunks.Source?
    /// Nil until the node has named the call.
    var call: CallID?
    /// Sends a streamed body.
    var sending: Task<Void, Never>?
    var replyBegun = false
    /// Bytes of the reply that are still to come, where the function said how many there are.
    var remaining: Int?

    init(head: ConnectionTurn.RequestHead, arrival: Arrival) {
        self.head = head
        self.arrival = arrival
    }
}
