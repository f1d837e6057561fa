// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// What is true of sandboxes on any machine, without time: which replicas exist, whether they are up, which calls are on them.
///
/// The simulation and ``VirtualSandbox`` both stand on it, so that what the conformance suite finds out about the one holds for the other.
struct VirtualHost: Sendable {
    enum Phase: Sendable { case starting, up, stopping }

    struct Replica: Sendable {
        var phase = Phase.starting
        /// In order of hand-over.
        var calls: [CallID] = []
    }

    private var replicas: [ReplicaID: Replica] = [:]

    var count: Int { replicas.count }
    func phase(of replica: ReplicaID) -> Phase? { replicas[replica]?.phase }
    func calls(on replica: ReplicaID) -> [CallID] { replicas[replica]?.calls ?? [] }
    /// All replicas by number.
    var all: [ReplicaID] { replicas.keys.sorted() }

    mutating func start(_ replica: ReplicaID) {
        precondition(replicas[replica] == nil, "\(replica) was started twice")
        replicas[replica] = Replica()
    }

    /// The start has succeeded. - Returns: false if the replica is gone or is being stopped.
    mutating func comeUp(_ replica: ReplicaID) -> Bool {
        guard replicas[replica]?.phase == .starting else { return false }
        replicas[replica]?.phase = .up
        return true
    }

    /// Hands a call over. - Returns: false if nothing of it reached a replica.
    mutating func take(_ call: CallID, on replica: ReplicaID) -> Bool {
        guard replicas[replica]?.phase == .up else { return false }
        replicas[replica]?.calls.append(call)
        return true
    }

    /// The replica is through with a call. - Returns: false if the call is not on it (any more).
    mutating func release(_ call: CallID, on replica: ReplicaID) -> Bool {
        guard let index = replicas[replica]?.calls.firstIndex(of: call) else { return false }
        replicas[replica]?.calls.remove(at: index)
        return true
    }

    /// Asks a replica to end. - Returns: false if it is gone or has been asked before.
    mutating func beginStop(_ replica: ReplicaID) -> Bool {
        guard let phase = replicas[replica]?.phase, phase != .stopping else { return false }
        replicas[replica]?.phase = .stopping
        return true
    }

    /// The replica is gone. - Returns: the calls it was in the middle of, or nil if it was gone before.
    mutating func end(_ replica: ReplicaID) -> [CallID]? { replicas.removeValue(forKey: replica)?.calls }

    mutating func removeAll() { replicas.removeAll() }
}
