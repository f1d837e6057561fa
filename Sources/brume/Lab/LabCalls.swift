// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import BrumeWorkload

/// What a node tells of a call that it has served, as far as an experiment needs it.
struct LabCall: Decodable {
    struct Harvest: Decodable {
        struct Expectation: Decodable {
            var millicores: Int?
            var memoryBytes: Int?
            var runMs: Double?
        }

        struct Totals: Decodable {
            var lent: Double
            var borrowed: Double
            var idle: Double
            var safeguards: Int
        }

        var expected: Expectation?
        var peakMillicores: Int?
        var peakMemoryBytes: Int?
        var killedAtBytes: Int?
        var cpu: Totals
        var memory: Totals
    }

    var id: String
    var failure: String?
    /// Missing where the node does not harvest.
    var harvest: Harvest?

    /// More calls than any trace of the lab has; the node gives no more.
    static let limit = 10_000

    static func all(since: String, from client: NodeClient) async throws -> [String: LabCall] {
        let calls = try await client.fetch([LabCall].self, "/v1/calls", query: [("since", since), ("limit", "\(limit)")])
        return Dictionary(calls.map { ($0.id, $0) }) { first, _ in first }
    }
}

extension PolicyRun {
    /// Adds to each record what the node tells of its call, and counts what happened to them.
    mutating func take(_ calls: [String: LabCall]) {
        for index in records.indices {
            guard let call = calls[records[index].requestID] else { continue }
            // A function may live on without the process that was killed.
            let isKilled = call.failure == CallFailure.Kind.outOfMemory.rawValue || call.harvest?.killedAtBytes != nil
            if isKilled { outOfMemoryKills += 1 }
            guard let harvest = call.harvest else { continue }
            let times = harvest.cpu.safeguards + harvest.memory.safeguards
            safeguards += times
            var resources = records[index].resources
            resources.millicores = harvest.expected?.millicores
            resources.memoryBytes = harvest.expected?.memoryBytes
            resources.predictedDuration = harvest.expected?.runMs.map { .nanoseconds(Int64(($0 * 1e6).rounded())) }
            resources.peakMillicores = harvest.peakMillicores
            resources.peakMemoryBytes = harvest.peakMemoryBytes
            resources.wasSafeguarded = times > 0
            // The node tells core-seconds and byte-seconds.
            resources.millicoreSeconds = Self.whole((harvest.cpu.borrowed - harvest.cpu.lent) * 1000)
            resources.memoryByteSeconds = Self.whole(harvest.memory.borrowed - harvest.memory.lent)
            resources.idleMillicoreSeconds = Self.whole(harvest.cpu.idle * 1000)
            resources.idleMemoryByteSeconds = Self.whole(harvest.memory.idle)
            records[index].resources = resources
        }
    }

    private static func whole(_ amount: Double) -> Int? { Int(exactly: amount.rounded()) }
}
