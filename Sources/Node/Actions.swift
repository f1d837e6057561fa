// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import NIOCore

// These stand beside the node's generic type: inside it, the runtime would look their generic forms up again and again in each call.

/// Work that must be begun in the order in which it was decided.
enum NodeControlItem: Sendable {
    case start(ReplicaID, FunctionHandle)
    case stop(ReplicaID, grace: Duration)
    case wake(Instant)
    /// An asynchronous call gets a slot; its body comes from the store.
    case runQueued(CallID, ReplicaID, deadline: Instant)
    /// An attempt of an asynchronous call has a reply whose body is still on its way.
    case collect(CallID, CallResponse<ByteBuffer>)
    case settle(NodeSettlement)
}

/// What an attempt's end means, with the call as it was then.
struct NodeSettlement: Sendable {
    enum Kind: Sendable {
        case complete
        case retry(failedAttempts: Int, at: Instant)
        case bury(failedAttempts: Int)
    }
    let call: CallID
    let kind: Kind
    let entry: CallEntry?
    let harvest: CallHarvest?
}

/// What is done outside the lock, in any order.
enum NodeAction: Sendable {
    case invoke(CallID, CallEntry, ReplicaID, deadline: Instant)
    case answer(CallEnding)
    case cancel(CallID, ReplicaID)
}

/// The end of a caller's wait.
final class CallEnding: Sendable {
    let caller: Caller
    let reply: CallReply<ByteBuffer>
    /// What is written down of it; nil where that has been done, or has to wait.
    let record: CallRecord?

    init(_ caller: Caller, _ reply: CallReply<ByteBuffer>, _ record: CallRecord?) {
        (self.caller, self.reply, self.record) = (caller, reply, record)
    }
}

/// What follows from one decision: nearly always one thing or none, so that the first has its place without an array.
struct NodeActions: Sendable {
    private var first: NodeAction?
    private var others: [NodeAction] = []

    mutating func append(_ action: NodeAction) {
        if first == nil { first = action } else { others.append(action) }
    }

    mutating func append(_ more: NodeActions) { more.forEach { append($0) } }

    func forEach(_ perform: (NodeAction) -> Void) {
        guard let first else { return }
        perform(first)
        for action in others { perform(action) }
    }
}
