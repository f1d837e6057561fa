// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel
import BrumeState
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore
import Synchronization

/// Changes of objects as server-sent events.
struct StateChanges: Sendable {
    let access: any StateAccess

    /// Changes that wait for a slow reader; beyond it the oldest are dropped, and the reader is told.
    private static let backlog = 4_096

    /// - Parameter name: of the one object that is watched, or nil for all of the key space.
    func stream(_ request: Request, _ space: SpaceName, name: Bytes?) throws -> Response {
        // Who listens keeps the namespace here for as long: changes come only to nodes that do.
        let id = try access.withReplica { replica, now throws(StateError) in
            let id = try replica.space(space)
            replica.pin(id, now)
            return id
        }
        let (changes, input) = AsyncStream.makeStream(of: StateChange.self, bufferingPolicy: .bufferingNewest(Self.backlog))
        let lost = LostChanges()
        let subscription = access.subscribe({ $0.key.space == id && (name == nil || $0.key.name == name) }) { list in
            for change in list {
                if case .dropped = input.yield(change) { lost.note() }
            }
        }
        input.onTermination = { [access] _ in
            access.unsubscribe(subscription)
            access.withReplica { replica, now in replica.unpin(id, now) }
        }
        return Response(
            status: .ok, headers: [.contentType: "text/event-stream", .cacheControl: "no-store"],
            body: ResponseBody { writer in
                defer { input.finish() }
                // Safe: the closure alone uses the writer while this one waits for it.
                nonisolated(unsafe) let open = writer
                try await request.body.consumeWithCancellationOnInboundClose { @Sendable _ in
                    var open = unsafe open
                    // Headers go out at once, so that a client knows when its subscription stands.
                    try await open.write(ByteBuffer(string: ": subscribed\n\n"))
                    for await change in changes {
                        if lost.take() { try await open.write(ByteBuffer(string: "event: lost\ndata: {}\n\n")) }
                        try await open.write(Self.event(change))
                    }
                }
                try await writer.finish(nil)
            })
    }

    private static func event(_ change: StateChange) -> ByteBuffer {
        var writer = StateJSONWriter()
        writer.object { writer in
            writer.key("name")
            writer.value(change.key.name)
            writer.key("kind")
            writer.value(change.kind.word)
            writer.key("removed")
            writer.value(change.isRemoval)
            writer.key("local")
            writer.value(change.isLocal)
        }
        var buffer = ByteBuffer(string: "event: change\ndata: ")
        buffer.writeImmutableBuffer(writer.buffer)
        buffer.writeStaticString("\n\n")
        return buffer
    }
}

/// Whether changes were dropped since somebody last asked.
private final class LostChanges: Sendable {
    private let isSet = Atomic<Bool>(false)

    func note() { isSet.store(true, ordering: .relaxed) }

    func take() -> Bool { isSet.exchange(false, ordering: .relaxed) }
}
