// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// The JSON documents that the OpenFaaS routes return. Their field names are OpenFaaS's.
struct FunctionStatusDocument: Encodable {
    struct Usage: Encodable {
        /// CPU time that the replicas have used so far, seconds.
        let cpu: Double
        let totalMemoryBytes: Double
    }

    let name: String
    let image: String
    let namespace: String
    let envProcess: String
    let envVars: [String: String]
    let constraints: [String]
    let secrets: [String]
    let labels: [String: String]
    let annotations: [String: String]
    let limits: FunctionDeployment.Amounts
    let requests: FunctionDeployment.Amounts
    let readOnlyRootFilesystem: Bool
    let invocationCount: Double
    let replicas: Int
    let availableReplicas: Int
    let createdAt: String
    let usage: Usage?

    init(_ status: FunctionStatus, usage: Bool) {
        let deployment = FunctionDeployment(status.spec)
        name = deployment.service
        image = deployment.image
        namespace = deployment.namespace
        envProcess = deployment.envProcess
        envVars = deployment.envVars
        constraints = deployment.constraints
        secrets = deployment.secrets
        labels = deployment.labels
        annotations = deployment.annotations
        limits = deployment.limits
        requests = deployment.requests
        readOnlyRootFilesystem = deployment.readOnlyRootFilesystem
        invocationCount = Double(status.invocations)
        replicas = status.replicas
        availableReplicas = status.availableReplicas
        createdAt = Timestamp.write(status.created)
        self.usage = usage ? Usage(cpu: status.cpuTime.inSeconds, totalMemoryBytes: Double(status.memoryBytes)) : nil
    }
}

struct SecretDocument: Encodable {
    let name: String
    let namespace: String
}

struct NamespaceDocument: Encodable {
    let name: String
    let labels: [String: String]
    let annotations: [String: String]

    init(_ namespace: StoredNamespace) {
        name = namespace.name
        // OpenFaaS marks the namespaces it manages; its clients show only those.
        labels = namespace.labels.merging(["openfaas": "1"]) { _, mark in mark }
        annotations = namespace.annotations
    }
}

struct LogDocument: Encodable {
    let name: String
    let namespace: String
    let instance: String
    let timestamp: String
    let text: String

    init(_ line: LogLine) {
        name = line.function.name
        namespace = line.function.namespace
        instance = line.instance
        timestamp = Timestamp.write(line.time)
        text = line.text
    }
}

struct GatewayInfoDocument: Encodable {
    struct Version: Encodable {
        let release: String
        let sha: String
        let commitMessage: String

        private enum CodingKeys: String, CodingKey {
            case release, sha
            case commitMessage = "commit_message"
        }
    }
    struct Provider: Encodable {
        let provider: String
        let version: Version
        let orchestration: String
    }

    let provider: Provider
    let version: Version
    let arch: String

    init(settings: GatewaySettings) {
        version = Version(release: settings.version, sha: settings.commit, commitMessage: "")
        provider = Provider(provider: "brume", version: version, orchestration: "brume")
        #if arch(x86_64)
        arch = "x86_64"
        #elseif arch(arm64)
        arch = "arm64"
        #else
        arch = "unknown"
        #endif
    }
}

struct TelemetryDocument: Encodable {
    let provider = "brume"
    let version: String
    let functions: Int
    let replicas: Int
    let runningCalls: Int
    let queuedCalls: Int

    init(_ status: NodeStatus, version: String) {
        self.version = version
        functions = status.functions
        replicas = status.replicas
        runningCalls = status.runningCalls
        queuedCalls = status.queuedCalls
    }
}
