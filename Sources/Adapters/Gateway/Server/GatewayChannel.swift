// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1

/// Hummingbird's HTTP/1.1 connection with the function handler in front of it.
struct GatewayChannel<Node: NodeOperations>: ServerChildChannel where Node.Payload == ByteBuffer {
    typealias Value = HTTP1Channel.Value

    private let base: HTTP1Channel
    private let front: FunctionFront<Node>

    init(front: FunctionFront<Node>, responder: @escaping HTTPChannelHandler.Responder) {
        self.front = front
        base = HTTP1Channel(responder: responder)
    }

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        base.setup(channel: channel, logger: logger).flatMapThrowing { value in
            let pipeline = channel.pipeline.syncOperations
            let decoder = try pipeline.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self)
            let functions = FunctionHandler(front: front)
            try pipeline.addHandler(functions, position: .after(decoder))
            try pipeline.addHandler(PlainRequestHandler(functions: functions), position: .before(decoder))
            return value
        }
    }

    func handle(value: Value, logger: Logger) async { await base.handle(value: value, logger: logger) }
}
