// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// The JSON documents of the native routes.
struct NodeStatusDocument: Encodable {
    let node: String
    let version: String
    let started: String
    let uptimeSeconds: Double
    let capacity: FunctionDeployment.Amounts
    let reserved: FunctionDeployment.Amounts
    let replicas: Int
    let startingReplicas: Int
    let runningCalls: Int
    let queuedCalls: Int
    let functions: Int
    let isolation: String
    let residentBytes: Int

    init(_ status: NodeStatus) {
        node = status.node
        version = status.version
        started = Timestamp.write(status.started)
        uptimeSeconds = (status.now - status.started).inSeconds
        capacity = FunctionDeployment.Amounts(status.capacity)
        reserved = FunctionDeployment.Amounts(status.reserved)
        replicas = status.replicas
        startingReplicas = status.startingReplicas
        runningCalls = status.runningCalls
        queuedCalls = status.queuedCalls
        functions = status.functions
        isolation = status.isolation
        residentBytes = status.residentBytes
    }
}

struct NativeFunctionDocument: Encodable {
    let name: String
    let namespace: String
    let contract: String
    let revision: Int
    let timeout: String
    let concurrency: Int
    let keepAlive: String
    let min: Int
    let max: Int
    let network: Bool
    let replicas: Int
    let availableReplicas: Int
    let invocations: Int
    let queueDepth: Int
    let cpuSeconds: Double
    let memoryBytes: Int
    let problem: String

    init(_ status: FunctionStatus) {
        let spec = status.spec
        name = spec.id.name
        namespace = spec.id.namespace
        contract = spec.contract.word
        revision = status.revision
        timeout = DurationText.goNotation(spec.timeout)
        concurrency = spec.concurrency
        keepAlive = DurationText.goNotation(spec.scale.keepAlive)
        min = spec.scale.min
        max = spec.scale.max
        network = spec.network
        replicas = status.replicas
        availableReplicas = status.availableReplicas
        invocations = status.invocations
        queueDepth = status.queueDepth
        cpuSeconds = status.cpuTime.inSeconds
        memoryBytes = status.memoryBytes
        problem = status.problem
    }
}

struct CallDocument: Encodable {
    let id: String
    let function: String
    let namespace: String
    let node: String
    let arrived: String
    let outcome: String
    let status: Int
    let cold: Bool
    let replica: String?
    let asynchronous: Bool
    let attempt: Int
    let queuedMs: Double
    let startingMs: Double
    let runningMs: Double
    let failure: String
    let message: String
    let decisions: [String]?
    let harvest: CallHarvest?

    /// - Parameter decisions: whether to tell the whole story: the decisions, and each loan.
    init(_ call: CallRecord, decisions: Bool) {
        id = call.label
        function = call.function.name
        namespace = call.function.namespace
        node = call.node
        arrived = Timestamp.write(call.arrived)
        outcome = call.outcome.rawValue
        status = call.status
        cold = call.cold
        replica = call.replica.map { "\($0)" }
        asynchronous = call.asynchronous
        attempt = call.attempt
        queuedMs = call.timing.queued.inMilliseconds
        startingMs = call.timing.starting.inMilliseconds
        runningMs = call.timing.running.inMilliseconds
        failure = call.failureKind
        message = call.message
        self.decisions = decisions ? call.decisions : nil
        var harvest = call.harvest
        if !decisions { harvest?.movements = nil }
        self.harvest = harvest
    }
}

struct DeadLetterDocument: Encodable {
    let id: UInt64
    let call: String
    let function: String
    let namespace: String
    let accepted: String
    let attempts: Int
    let lastFailure: String

    init(_ letter: DeadLetter) {
        id = letter.id.number
        call = letter.label
        function = letter.function.name
        namespace = letter.function.namespace
        accepted = Timestamp.write(letter.accepted)
        attempts = letter.attempts
        lastFailure = letter.lastFailure
    }
}
