// SPDX-License-Identifier: Apache-2.0
import BrumeModel

/// Where a function's code comes from; a deployment has exactly one source.
enum FunctionSource: Equatable {
    /// A Python or Node file with a `handle` function.
    case handler(path: String)
    /// A command that is started for each call.
    case command(String)
    /// A server that listens on `$PORT`.
    case http(String)
    /// A program, a directory or a zip archive that speaks the Lambda runtime API.
    case lambda(path: String)
    /// An OCI image, perhaps with a command in place of its own.
    case image(String, command: String?)
}

/// What was said about a function, on the command line or in a stack file. Nil is "nothing was said".
struct FunctionSettings: Equatable {
    var id: FunctionID
    var source: FunctionSource
    /// Files to go along with the source.
    var directory: String?
    var limits = ResourceWords()
    var requests = ResourceWords()
    var timeout: String?
    var concurrency: Int?
    var min: Int?
    var max: Int?
    var keepAlive: String?
    var environment: [String: String] = [:]
    var secrets: [String] = []
    var network = false
    var readOnlyRootFilesystem: Bool?
    var labels: [String: String] = [:]
    var annotations: [String: String] = [:]
    var constraints: [String] = []
    var port: Int?
    var schedule: String?

    /// Checks every bound that the node will check, so that a slip is said before anything is uploaded.
    ///
    /// - Throws: `BrumeError` (`invalid`) or `CommandFailure` (words).
    func validate() throws {
        var limits = FunctionSpec.defaultLimits
        if let cpu = self.limits.cpu { limits.millicores = try Resources.millicores(parsing: cpu) }
        if let memory = self.limits.memory { limits.memoryBytes = try Resources.bytes(parsing: memory) }
        if let cpu = requests.cpu { _ = try Resources.millicores(parsing: cpu) }
        if let memory = requests.memory { _ = try Resources.bytes(parsing: memory) }
        let defaults = Scale()
        let low = min ?? defaults.min
        let scale = Scale(
            min: low, max: max ?? Swift.max(defaults.max, low), keepAlive: try keepAlive.map(Duration.init(parsing:)) ?? defaults.keepAlive)
        let spec = FunctionSpec(
            id: id, contract: try contractForChecking(), package: packageForChecking, limits: limits,
            timeout: try timeout.map(Duration.init(parsing:)) ?? FunctionSpec.defaultTimeout, concurrency: concurrency ?? 1, scale: scale,
            environment: environment, secrets: secrets, labels: labels, annotations: annotations)
        try spec.validate()
        if let schedule { try Self.validate(schedule: schedule) }
    }

    private func contractForChecking() throws(BrumeError) -> Contract {
        switch source {
        case .handler: .handler(language: .python, file: "handler")
        case .command(let line): .fork(command: try ShellWords.split(line))
        case .http(let line): .http(command: try ShellWords.split(line), port: port ?? 8080)
        case .lambda: .lambda(executable: "bootstrap")
        case .image: .http(command: [], port: port ?? 8080)
        }
    }

    private var packageForChecking: Package {
        if case .image(let reference, _) = source { .image(reference: reference) } else { .none }
    }

    /// Five fields per schedule, several schedules separated by `;`. What the fields mean is checked by the node.
    private static func validate(schedule: String) throws(CommandFailure) {
        for part in schedule.split(separator: ";", omittingEmptySubsequences: false) {
            let fields = part.split(separator: " ").count
            guard fields == 5 || part.hasPrefix("@") else {
                throw .words("The schedule '\(part)' has \(fields) fields and needs five, for example '*/5 * * * *'.")
            }
        }
    }

    /// The deployment without what only the package knows.
    func deployment() -> FunctionDeployment {
        var deployment = FunctionDeployment(service: id.name, namespace: id.namespace)
        deployment.envVars = environment.isEmpty ? nil : environment
        deployment.secrets = secrets.isEmpty ? nil : secrets
        deployment.constraints = constraints.isEmpty ? nil : constraints
        deployment.labels = labels.isEmpty ? nil : labels
        deployment.annotations = annotations.isEmpty ? nil : annotations
        deployment.limits = limits.isEmpty ? nil : limits
        deployment.requests = requests.isEmpty ? nil : requests
        deployment.readOnlyRootFilesystem = readOnlyRootFilesystem
        if let timeout { deployment.annotate(Annotation.timeout, timeout) }
        if let concurrency { deployment.annotate(Annotation.concurrency, "\(concurrency)") }
        if let keepAlive { deployment.annotate(Annotation.keepAlive, keepAlive) }
        if let port { deployment.annotate(Annotation.port, "\(port)") }
        if network { deployment.annotate(Annotation.network, "host") }
        if let schedule {
            deployment.annotate(Annotation.topic, Annotation.cronTopic)
            deployment.annotate(Annotation.schedule, schedule)
        }
        if let min { deployment.label(ScaleLabel.min, "\(min)") }
        if let max { deployment.label(ScaleLabel.max, "\(max)") }
        return deployment
    }
}
