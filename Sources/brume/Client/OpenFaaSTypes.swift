// SPDX-License-Identifier: Apache-2.0

// The JSON of the OpenFaaS gateway API, as far as a client meets it. Absent fields stay absent.

/// CPU and memory in Kubernetes notation.
struct ResourceWords: Codable, Equatable {
    var cpu: String?
    var memory: String?

    var isEmpty: Bool { cpu == nil && memory == nil }
}

/// What PUT and POST `/system/functions` take.
struct FunctionDeployment: Codable, Equatable {
    var service: String
    var image = ""
    var namespace: String?
    var envProcess: String?
    var envVars: [String: String]?
    var constraints: [String]?
    var secrets: [String]?
    var labels: [String: String]?
    var annotations: [String: String]?
    var limits: ResourceWords?
    var requests: ResourceWords?
    var readOnlyRootFilesystem: Bool?

    /// An annotation, made where there is none yet.
    mutating func annotate(_ key: String, _ value: String) { annotations = (annotations ?? [:]).merging([key: value]) { $1 } }
    mutating func label(_ key: String, _ value: String) { labels = (labels ?? [:]).merging([key: value]) { $1 } }
}

/// What GET `/system/functions` and `/system/function/NAME` answer.
struct FunctionListing: Codable, Equatable {
    struct Usage: Codable, Equatable {
        var cpu: Double?
        var totalMemoryBytes: Double?
    }

    var name: String
    var image: String?
    var namespace: String?
    var envProcess: String?
    var envVars: [String: String]?
    var constraints: [String]?
    var secrets: [String]?
    var labels: [String: String]?
    var annotations: [String: String]?
    var limits: ResourceWords?
    var requests: ResourceWords?
    var readOnlyRootFilesystem: Bool?
    var invocationCount: Double?
    var replicas: Int?
    var availableReplicas: Int?
    var createdAt: String?
    var usage: Usage?

    /// The contract's word: annotated, or what a deployment without an annotation means.
    var contract: String {
        if let word = annotations?[Annotation.contract] { return word }
        let image = image ?? ""
        return image.isEmpty || image.hasPrefix(ImageWord.bundlePrefix) || image == ImageWord.none ? "fork" : "http"
    }
}

struct FunctionDeletion: Codable, Equatable {
    var functionName: String
    var namespace: String?
}

struct SecretDocument: Codable, Equatable {
    var name: String
    var namespace: String?
    /// The value where it is text.
    var value: String?
    /// The value in base64 where it is not.
    var rawValue: String?
}

struct NamespaceDocument: Codable, Equatable {
    var name: String
    var labels: [String: String]?
    var annotations: [String: String]?
}

/// One line of GET `/system/logs`.
struct LogMessage: Codable, Equatable {
    var name: String
    var namespace: String?
    var instance: String?
    var timestamp: String?
    var text: String
}

/// Annotations by which a deployment says what the OpenFaaS API has no field for.
enum Annotation {
    static let contract = "dev.brume.contract"
    static let handler = "dev.brume.handler"
    static let executable = "dev.brume.executable"
    static let port = "dev.brume.port"
    static let timeout = "dev.brume.timeout"
    static let concurrency = "dev.brume.concurrency"
    static let keepAlive = "dev.brume.keep-alive"
    static let network = "dev.brume.network"
    static let prewarm = "dev.brume.prewarm"
    static let topic = "topic"
    static let schedule = "schedule"
    static let cronTopic = "cron-function"
}

/// Labels of the OpenFaaS autoscaler that Brume reads.
enum ScaleLabel {
    static let min = "com.openfaas.scale.min"
    static let max = "com.openfaas.scale.max"
}

/// Image names with a meaning of their own.
enum ImageWord {
    static let bundlePrefix = "brume:bundle/"
    static let none = "brume:none"
}
