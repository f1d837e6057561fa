// SPDX-License-Identifier: Apache-2.0

import BrumeModel

// The JSON of the native routes under `/v1`.

struct CodeReceipt: Codable, Equatable {
    var digest: String
}

/// GET `/v1/status`.
struct NodeReport: Codable, Equatable {
    var node: String
    var version: String
    var started: String
    var uptimeSeconds: Double
    var capacity: ResourceWords
    var reserved: ResourceWords
    var replicas: Int
    var startingReplicas: Int
    var runningCalls: Int
    var queuedCalls: Int
    var functions: Int
    var isolation: String
    var residentBytes: Int
}

/// GET `/v1/functions/NAME`.
struct FunctionReport: Codable, Equatable {
    var name: String
    var namespace: String
    var contract: String
    var revision: Int
    var timeout: String
    var concurrency: Int
    var keepAlive: String
    var min: Int
    var max: Int
    /// `host` or `none`, or whether the host's network is shared.
    var network: NetworkWord
    var replicas: Int
    var availableReplicas: Int
    var invocations: Int
    var queueDepth: Int
    var cpuSeconds: Double
    var memoryBytes: Int
    var problem: String
}

/// `network` as a word or as a truth value; both are in use.
struct NetworkWord: Codable, Equatable {
    var isShared: Bool

    init(isShared: Bool) { self.isShared = isShared }

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let truth = try? container.decode(Bool.self) {
            isShared = truth
        } else {
            isShared = try container.decode(String.self) == "host"
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(isShared ? "host" : "none")
    }
}

/// One call of GET `/v1/calls`, and GET `/v1/calls/ID` with its decisions.
struct CallReport: Codable, Equatable {
    var id: String
    var function: String
    var namespace: String?
    var node: String?
    var arrived: String
    var outcome: String
    var status: Int
    var cold: Bool
    var replica: String?
    var asynchronous: Bool
    var attempt: Int
    var queuedMs: Double
    var startingMs: Double
    var runningMs: Double
    var failure: String?
    var message: String?
    var decisions: [String]?
    var harvest: CallHarvest?

    var totalMs: Double { queuedMs + startingMs + runningMs }
}

struct DeadLetterReport: Codable, Equatable {
    var id: UInt64
    var call: String
    var function: String
    var namespace: String?
    var accepted: String
    var attempts: Int
    var lastFailure: String
}

/// Which dead letters; none named means all.
struct DeadLetterChoice: Codable, Equatable {
    var ids: [UInt64]?
}

struct RedriveReceipt: Codable, Equatable {
    var redriven: Int
}

struct DiscardReceipt: Codable, Equatable {
    var discarded: Int
}
