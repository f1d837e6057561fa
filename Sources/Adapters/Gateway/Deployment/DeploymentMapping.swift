// SPDX-License-Identifier: Apache-2.0

package import BrumeModel

/// The annotations and labels by which a deployment says what OpenFaaS has no field for.
package enum DeploymentKey {
    package static let contract = "dev.brume.contract"
    package static let handler = "dev.brume.handler"
    package static let executable = "dev.brume.executable"
    package static let port = "dev.brume.port"
    package static let timeout = "dev.brume.timeout"
    package static let concurrency = "dev.brume.concurrency"
    package static let keepAlive = "dev.brume.keep-alive"
    package static let network = "dev.brume.network"
    package static let prewarm = "dev.brume.prewarm"
    package static let scaleMin = "com.openfaas.scale.min"
    package static let scaleMax = "com.openfaas.scale.max"
    package static let scaleZero = "com.openfaas.scale.zero"
    package static let scaleZeroDuration = "com.openfaas.scale.zero-duration"
    package static let scaleFactor = "com.openfaas.scale.factor"

    /// What the images of the OpenFaaS templates read from their environment.
    static let environmentTimeout = "exec_timeout"
    static let environmentConcurrency = "max_inflight"
    static let environmentCommand = "fprocess"

    /// The image name of an uploaded package, followed by its digest, and the one that says that there is no package.
    package static let bundlePrefix = "brume:bundle/"
    package static let noPackage = "brume:none"
}

extension FunctionSpec {
    /// Where an OpenFaaS image listens.
    package static let defaultPort = 8080

    /// Reads a deployment as docs/contracts.md describes it.
    ///
    /// - Throws: `BrumeError` (`invalid`) with one sentence that names the field and says what to write.
    package init(_ deployment: FunctionDeployment) throws(BrumeError) {
        let namespace = deployment.namespace.isEmpty ? FunctionID.defaultNamespace : deployment.namespace
        let package = try Self.package(of: deployment.image)
        let contract = try Self.contract(of: deployment, package: package)
        let (limits, requests) = try Self.resources(of: deployment)
        self.init(
            id: try FunctionID(name: deployment.service, namespace: namespace), contract: contract, package: package,
            imageLabel: deployment.image, limits: limits, requests: requests,
            timeout: try Self.timeout(of: deployment), concurrency: try Self.concurrency(of: deployment, contract: contract),
            scale: try Self.scale(of: deployment), environment: Self.environment(of: deployment, contract: contract),
            secrets: deployment.secrets,
            network: try Self.network(of: deployment), readOnlyRootFilesystem: deployment.readOnlyRootFilesystem,
            labels: deployment.labels, annotations: deployment.annotations, constraints: deployment.constraints)
        _ = try Self.truth(DeploymentKey.prewarm, in: deployment.annotations)
        try validate()
    }

    private static func package(of image: String) throws(BrumeError) -> Package {
        if image.isEmpty || image == DeploymentKey.noPackage { return .none }
        guard image.hasPrefix(DeploymentKey.bundlePrefix) else {
            guard !image.hasPrefix("brume:"), image.utf8.allSatisfy({ $0 > 32 && $0 < 127 }) else {
                throw BrumeError(
                    .invalid, "The image '\(image.prefix(80))' is not valid; write an OCI reference, brume:bundle/DIGEST or brume:none.")
            }
            return .image(reference: image)
        }
        let digest = String(image.dropFirst(DeploymentKey.bundlePrefix.count))
        let isHexadecimal = digest.utf8.allSatisfy { byte in
            (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
        }
        guard digest.utf8.count == 64, isHexadecimal else {
            throw BrumeError(
                .invalid, "The image '\(image.prefix(80))' holds no SHA-256; upload the package to /v1/code and use the digest it returns.")
        }
        return .bundle(digest: digest)
    }

    private static func contract(of deployment: FunctionDeployment, package: Package) throws(BrumeError) -> Contract {
        let annotations = deployment.annotations
        var isImage = false
        if case .image = package { isImage = true }
        let line = deployment.envProcess.isEmpty ? deployment.envVars[DeploymentKey.environmentCommand] ?? "" : deployment.envProcess
        let command = try ShellWords.split(line)
        let implied =
            annotations[DeploymentKey.handler] != nil
            ? "handler" : annotations[DeploymentKey.executable] != nil ? "lambda" : isImage ? "http" : "fork"
        switch annotations[DeploymentKey.contract] ?? implied {
        case "fork": return .fork(command: command)
        case "http":
            let isServerOfImage = isImage && annotations[DeploymentKey.contract] == nil
            return .http(command: isServerOfImage ? [] : command, port: try port(of: deployment))
        case "handler":
            let file = annotations[DeploymentKey.handler] ?? ""
            guard package != .none, !file.isEmpty else {
                throw BrumeError(
                    .invalid,
                    "The handler contract needs an uploaded package and the annotation \(DeploymentKey.handler) with a file in it.")
            }
            return .handler(language: try language(of: file), file: file)
        case "lambda":
            let executable = annotations[DeploymentKey.executable] ?? ""
            guard package != .none, !executable.isEmpty else {
                throw BrumeError(
                    .invalid,
                    "The lambda contract needs an uploaded package and the annotation \(DeploymentKey.executable) with a program in it.")
            }
            return .lambda(executable: executable)
        case let other:
            throw BrumeError(
                .invalid, "The annotation \(DeploymentKey.contract) is '\(other.prefix(32))'; write fork, http, handler or lambda.")
        }
    }

    /// An OpenFaaS image has a watchdog as its own command, which reads what to start from its environment.
    private static func environment(of deployment: FunctionDeployment, contract: Contract) -> [String: String] {
        guard case .http(command: [], _) = contract, !deployment.envProcess.isEmpty else { return deployment.envVars }
        return deployment.envVars.merging([DeploymentKey.environmentCommand: deployment.envProcess]) { _, process in process }
    }

    private static func language(of file: String) throws(BrumeError) -> Contract.Language {
        if file.hasSuffix(".py") { return .python }
        for suffix in [".js", ".mjs", ".cjs"] where file.hasSuffix(suffix) { return .node }
        throw BrumeError(.invalid, "The handler file '\(file.prefix(80))' is in no known language; it must end in .py, .js, .mjs or .cjs.")
    }

    private static func port(of deployment: FunctionDeployment) throws(BrumeError) -> Int {
        try wholeNumber(DeploymentKey.port, in: deployment.annotations, range: 1...65_535) ?? defaultPort
    }

    private static func timeout(of deployment: FunctionDeployment) throws(BrumeError) -> Duration {
        if let timeout = try duration(DeploymentKey.timeout, in: deployment.annotations) { return timeout }
        // Zero means "no limit" to the watchdogs; here the default stands in for that.
        let environment = try duration(DeploymentKey.environmentTimeout, in: deployment.envVars)
        return environment.flatMap { $0 == .zero ? nil : $0 } ?? defaultTimeout
    }

    private static func concurrency(of deployment: FunctionDeployment, contract: Contract) throws(BrumeError) -> Int {
        if let count = try wholeNumber(DeploymentKey.concurrency, in: deployment.annotations, range: 1...concurrencyMax) { return count }
        guard contract.allowsConcurrency else { return 1 }
        // Zero means "any number" to the watchdogs; here the default stands in for that.
        let environment = try wholeNumber(DeploymentKey.environmentConcurrency, in: deployment.envVars, range: 0...concurrencyMax)
        return environment.flatMap { $0 == 0 ? nil : $0 } ?? 1
    }

    private static func scale(of deployment: FunctionDeployment) throws(BrumeError) -> Scale {
        var scale = Scale()
        if let min = try wholeNumber(DeploymentKey.scaleMin, in: deployment.labels, range: 0...replicasMax) { scale.min = min }
        if try truth(DeploymentKey.scaleZero, in: deployment.labels) == false { scale.min = Swift.max(scale.min, 1) }
        if let max = try wholeNumber(DeploymentKey.scaleMax, in: deployment.labels, range: 1...replicasMax) {
            scale.max = max
        } else {
            scale.max = Swift.max(scale.max, scale.min)
        }
        if let keepAlive = try duration(DeploymentKey.keepAlive, in: deployment.annotations) {
            scale.keepAlive = keepAlive
        } else if let keepAlive = try duration(DeploymentKey.scaleZeroDuration, in: deployment.labels) {
            scale.keepAlive = keepAlive
        }
        return scale
    }

    private static func network(of deployment: FunctionDeployment) throws(BrumeError) -> Bool {
        switch deployment.annotations[DeploymentKey.network] {
        case nil, "none": return false
        case "host": return true
        case let other?:
            throw BrumeError(.invalid, "The annotation \(DeploymentKey.network) is '\(other.prefix(32))'; write host or none.")
        }
    }

    private static func resources(of deployment: FunctionDeployment) throws(BrumeError) -> (limits: Resources, requests: Resources?) {
        func amounts(_ amounts: FunctionDeployment.Amounts, _ field: String) throws(BrumeError) -> (cpu: Int?, memory: Int?) {
            do throws(BrumeError) {
                var cpu: Int?
                var memory: Int?
                if let text = amounts.cpu { cpu = try Resources.millicores(parsing: text) }
                if let text = amounts.memory { memory = try Resources.bytes(parsing: text) }
                return (cpu, memory)
            } catch {
                throw BrumeError(error.code, "In \(field): \(error.message)")
            }
        }
        let limit = try amounts(deployment.limits, "limits")
        let request = try amounts(deployment.requests, "requests")
        // A request without a limit raises the default limit rather than contradicting it.
        let limits = Resources(
            millicores: limit.cpu ?? Swift.max(defaultLimits.millicores, request.cpu ?? 0),
            memoryBytes: limit.memory ?? Swift.max(defaultLimits.memoryBytes, request.memory ?? 0))
        guard request.cpu != nil || request.memory != nil else { return (limits, nil) }
        let requests = Resources(
            millicores: request.cpu ?? Swift.min(limits.millicores, 50), memoryBytes: request.memory ?? limits.memoryBytes)
        guard requests.fits(in: limits) else {
            throw BrumeError(.invalid, "The requests are larger than the limits; raise the limits or lower the requests.")
        }
        return (limits, requests)
    }
}

/// Reading single values, with errors that name their key.
extension FunctionSpec {
    private static func wholeNumber(_ key: String, in values: [String: String], range: ClosedRange<Int>) throws(BrumeError) -> Int? {
        guard let text = values[key] else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw BrumeError(
                .invalid, "\(key) is '\(text.prefix(32))'; write a whole number from \(range.lowerBound) to \(range.upperBound).")
        }
        return number
    }

    private static func duration(_ key: String, in values: [String: String]) throws(BrumeError) -> Duration? {
        guard let text = values[key] else { return nil }
        do throws(BrumeError) {
            return try Duration(parsing: text)
        } catch {
            throw BrumeError(.invalid, "\(key): \(error.message)")
        }
    }

    private static func truth(_ key: String, in values: [String: String]) throws(BrumeError) -> Bool? {
        switch values[key] {
        case nil: return nil
        case "true": return true
        case "false": return false
        case let other?: throw BrumeError(.invalid, "\(key) is '\(other.prefix(32))'; write true or false.")
        }
    }
}

extension FunctionDeployment {
    /// Writes a spec as the deployment that would make it, for listings.
    package init(_ spec: FunctionSpec) {
        self.init(
            service: spec.id.name, image: spec.imageLabel, namespace: spec.id.namespace, envProcess: Self.envProcess(of: spec),
            envVars: spec.environment, constraints: spec.constraints, secrets: spec.secrets, labels: spec.labels,
            annotations: spec.annotations, limits: Amounts(spec.limits), requests: Amounts(spec.requests),
            readOnlyRootFilesystem: spec.readOnlyRootFilesystem)
    }

    private static func envProcess(of spec: FunctionSpec) -> String {
        switch spec.contract {
        case .http(command: [], _): spec.environment[DeploymentKey.environmentCommand] ?? ""
        case .fork(let command), .http(let command, _): ShellWords.join(command)
        case .handler, .lambda: ""
        }
    }
}

extension FunctionDeployment.Amounts {
    init(_ resources: Resources) {
        self.init(
            cpu: Resources.describe(millicores: resources.millicores), memory: Resources.describe(bytes: resources.memoryBytes))
    }
}
