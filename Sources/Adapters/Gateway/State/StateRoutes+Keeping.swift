// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeState
import HTTPTypes
import Hummingbird
import HummingbirdCore

/// Who keeps which namespace: shown as this node knows it, and said for all nodes.
extension StateRoutes {
    func keepers(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let all = try state().withReplica { replica, _ in replica.keeping() }
        var writer = StateJSONWriter()
        writer.object { writer in
            writer.key("namespaces")
            writer.list { writer in for kept in all { writer.object { kept.write(into: &$0) } } }
        }
        return Self.json(writer)
    }

    func keeper(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let name = try Self.namespace(context)
        return Self.json(try state().withReplica { replica, _ in replica.keeping(name) })
    }

    /// `{"keep": WORD}`.
    func keep(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let name = try Self.namespace(context)
        let access = try state()
        let fields = try JSONFields(parsing: try await request.wholeBody(limit: GatewaySettings.documentBytesMax))
        guard let word = try fields.string("keep") else {
            throw BrumeError(.invalid, "The field 'keep' is missing; write all, edge, cloud, functions, default, or a number of copies.")
        }
        let (kept, mark): (KeptNamespace, WriteMark)
        do throws(StateError) {
            let policy = try InterestPolicy.optional(word: word)
            (kept, mark) = try access.withReplica { replica, now throws(StateError) in
                try replica.keep(name, policy, now)
                return (replica.keeping(name), replica.mark)
            }
        } catch {
            throw error.asBrumeError
        }
        try await access.settled(mark, .durable)
        return Self.json(kept)
    }

    private static func namespace(_ context: GatewayContext) throws -> String {
        let name = try StateRequest.decoded(context.parameters.require("name"))
        do throws(StateError) {
            return try SpaceName(name).namespace
        } catch {
            throw error.asBrumeError
        }
    }

    private static func json(_ kept: KeptNamespace) -> Response {
        var writer = StateJSONWriter()
        writer.object { kept.write(into: &$0) }
        return json(writer)
    }
}

extension KeptNamespace {
    /// Writes the members of its JSON object.
    fileprivate func write(into writer: inout StateJSONWriter) {
        writer.key("namespace")
        writer.value(name)
        writer.key("keep")
        writer.value(policy.word)
        writer.key("default")
        writer.value(isDefault)
        writer.key("here")
        writer.object { writer in
            writer.key("kept")
            writer.value(isKept)
            writer.key("pinned")
            writer.value(isPinned)
            writer.key("complete")
            writer.value(isComplete)
            writer.key("users")
            writer.value(users)
            writer.key("objects")
            writer.value(objects)
            writer.key("bytes")
            writer.value(bytes)
        }
        writer.key("nodes")
        writer.list { writer in
            for keeper in keepers {
                writer.object { writer in
                    writer.key("node")
                    writer.value(keeper.node.description)
                    writer.key("up")
                    writer.value(keeper.isUp)
                }
            }
        }
    }
}
