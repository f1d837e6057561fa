// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

/// What a gateway tells about itself and its functions: health, figures, logs, the console.
struct SystemRoutes<Node: NodeOperations>: Sendable where Node.Payload == ByteBuffer {
    let front: FunctionFront<Node>
    let renderMetrics: @Sendable () -> String
    private var node: Node { front.node }

    init(front: FunctionFront<Node>, renderMetrics: @escaping @Sendable () -> String) {
        self.front = front
        self.renderMetrics = renderMetrics
    }

    /// Most log lines that one request may ask for at once.
    static var tailMax: Int { 100_000 }

    var routes: [Route] {
        [
            Route("/system/info", [(.get, { _, _ in try Reply.json(GatewayInfoDocument(settings: front.settings)) })]),
            Route("/system/telemetry", [(.get, { _, _ in try await telemetry() })]),
            Route("/system/logs", [(.get, { request, _ in try await logs(request) })]),
            Route("/healthz", [(.get, { _, _ in Reply.text(.ok, "OK") }), (.head, { _, _ in Reply.empty(.ok) })]),
            Route("/metrics", [(.get, { _, _ in await metrics() })]),
            Route("/openapi.json", [(.get, { _, _ in Self.document("application/json", Console.openAPI) })]),
            Route("/ui", [(.get, { _, _ in Self.document("text/html; charset=utf-8", Console.page) })]),
            Route("/", [(.get, { _, _ in .redirect(to: "/ui/", type: .temporary) })]),
        ]
    }

    private static func document(_ type: String, _ bytes: [UInt8]) -> Response {
        Response(
            status: .ok, headers: [.contentType: type, .xContentTypeOptions: "nosniff"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }

    private func telemetry() async throws -> Response {
        try Reply.json(TelemetryDocument(await node.status(), version: front.settings.version))
    }

    private func metrics() async -> Response {
        front.metrics.setReplicas(await node.functions(namespace: nil))
        return Response(
            status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: renderMetrics())))
    }

    /// One JSON document a line, as they come.
    private func logs(_ request: Request) async throws -> Response {
        guard let name = request.query("name") else {
            throw BrumeError(.invalid, "The request names no function; give it in the parameter 'name'.")
        }
        let query = LogQuery(
            function: try FunctionID(name: name, inQuery: request.query("namespace")), instance: request.query("instance"),
            since: try request.queryTime("since"), tail: try request.queryNumber("tail", in: 0...Self.tailMax))
        let follow = try request.queryTruth("follow") ?? false
        let lines = try await node.logs(query, follow: follow)
        return Response(
            status: .ok, headers: [.contentType: "application/x-ndjson"],
            body: ResponseBody { writer in
                if follow {
                    try await send(lines, whileOpen: request.body, to: writer)
                } else {
                    for try await line in lines { try await writer.write(Self.line(line)) }
                }
                try await writer.finish(nil)
            })
    }

    /// A client that went away ends the stream even when the function is silent.
    private func send(
        _ lines: AsyncThrowingStream<LogLine, any Error>, whileOpen body: RequestBody, to writer: any ResponseBodyWriter
    ) async throws {
        // Safe: the closure alone uses the writer while this function waits for it.
        nonisolated(unsafe) let writer = writer
        try await body.consumeWithCancellationOnInboundClose { @Sendable _ in
            var writer = unsafe writer
            for try await line in lines { try await writer.write(Self.line(line)) }
        }
    }

    private static func line(_ line: LogLine) throws -> ByteBuffer {
        var buffer = try Reply.encode(LogDocument(line))
        buffer.writeInteger(UInt8(ascii: "\n"))
        return buffer
    }
}
