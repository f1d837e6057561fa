// SPDX-License-Identifier: Apache-2.0

/// How a function's process is spoken to. The facts of each contract are in docs/contracts.md.
public enum Contract: Hashable, Sendable, Codable {
    /// One process per call: the body on stdin, stdout is the reply (the classic watchdog).
    case fork(command: [String])
    /// A server of its own that listens on `$PORT`; covers of-watchdog's http mode, Knative and OpenFaaS images.
    /// An empty command means the image's own.
    case http(command: [String], port: Int)
    /// One file with a `handle` function, kept warm by Brume's shim.
    case handler(language: Language, file: String)
    /// A program that polls the AWS Lambda runtime API; `executable` is its path inside the package.
    case lambda(executable: String)

    /// The languages the `handler` contract has a shim for.
    public enum Language: String, Hashable, Sendable, Codable, CaseIterable {
        case python, node
    }

    /// The word for this contract on the command line, in labels and in reports.
    public var word: String {
        switch self {
        case .fork: "fork"
        case .http: "http"
        case .handler: "handler"
        case .lambda: "lambda"
        }
    }

    /// Whether one replica can be in the middle of several calls. Lambda instances take one at a time by their contract.
    public var allowsConcurrency: Bool {
        if case .lambda = self { false } else { true }
    }
}

/// What holds a function's files.
public enum Package: Hashable, Sendable, Codable {
    /// Nothing but the node's own root file system.
    case none
    /// A tar archive in the node's code store, by its SHA-256 in lower-case hexadecimal. Unpacked at `/function` in the sandbox.
    case bundle(digest: String)
    /// An OCI image: `oci:DIRECTORY:TAG`, `docker://REFERENCE` or a bare reference.
    case image(reference: String)
}

/// How many replicas a function may have, and how long an idle one stays.
public struct Scale: Hashable, Sendable, Codable {
    /// Replicas kept warm without any call.
    public var min: Int
    /// Replicas at most.
    public var max: Int
    /// How long a replica above `min` may stay idle.
    public var keepAlive: Duration

    public init(min: Int = 0, max: Int = 8, keepAlive: Duration = .seconds(600)) {
        self.min = min
        self.max = max
        self.keepAlive = keepAlive
    }
}

/// Everything that was said about a function when it was deployed.
public struct FunctionSpec: Hashable, Sendable, Codable {
    public var id: FunctionID
    public var contract: Contract
    public var package: Package
    /// The image name a client gave, returned to it unchanged in listings.
    public var imageLabel: String
    /// Enforced by the kernel: CPU quota and memory limit of one replica.
    public var limits: Resources
    /// Reserved on the node for one replica; admission adds these up.
    public var requests: Resources
    /// From arrival (or, for an asynchronous attempt, from dispatch) to the end of the reply.
    public var timeout: Duration
    /// Calls that one replica may be in the middle of.
    public var concurrency: Int
    public var scale: Scale
    public var environment: [String: String]
    /// Names of secrets, visible at `/var/openfaas/secrets/NAME`.
    public var secrets: [String]
    /// Whether the sandbox shares the host's network. Off: it has only its own loopback.
    public var network: Bool
    public var readOnlyRootFilesystem: Bool
    public var labels: [String: String]
    public var annotations: [String: String]
    public var constraints: [String]

    public init(
        id: FunctionID, contract: Contract, package: Package = .none, imageLabel: String = "",
        limits: Resources = FunctionSpec.defaultLimits, requests: Resources? = nil, timeout: Duration = FunctionSpec.defaultTimeout,
        concurrency: Int = 1, scale: Scale = Scale(), environment: [String: String] = [:], secrets: [String] = [],
        network: Bool = false, readOnlyRootFilesystem: Bool = false, labels: [String: String] = [:],
        annotations: [String: String] = [:], constraints: [String] = []
    ) {
        self.id = id
        self.contract = contract
        self.package = package
        self.imageLabel = imageLabel
        self.limits = limits
        self.requests = requests ?? Resources(millicores: Swift.min(limits.millicores, 50), memoryBytes: limits.memoryBytes)
        self.timeout = timeout
        self.concurrency = concurrency
        self.scale = scale
        self.environment = environment
        self.secrets = secrets
        self.network = network
        self.readOnlyRootFilesystem = readOnlyRootFilesystem
        self.labels = labels
        self.annotations = annotations
        self.constraints = constraints
    }

    /// One core and 128 MiB for a replica whose deployer named no limits.
    public static let defaultLimits = Resources(millicores: 1000, memoryBytes: 128 << 20)
    /// A minute, as the field's gateways allow by default.
    public static let defaultTimeout = Duration.seconds(60)
    /// Below this an interpreter cannot even start, so a smaller limit is a slip of the unit.
    public static let memoryBytesMin = 4 << 20
    /// Longest timeout: one day; a longer one is a slip of the unit.
    public static let timeoutMax = Duration.seconds(86_400)
    /// Largest uploaded package, bytes of the archive: what a gateway box keeps without noticing. More belongs into an image.
    public static let packageBytesMax = 256 << 20
    /// Most replicas and most concurrent calls of one replica: bounds on what one typing error can start.
    public static let replicasMax = 1000
    public static let concurrencyMax = 1000

    /// Checks every bound that does not depend on the node.
    ///
    /// - Throws: `BrumeError` (`invalid`) with one sentence that says what to write instead.
    public func validate() throws(BrumeError) {
        func require(_ holds: Bool, _ message: @autoclosure () -> String) throws(BrumeError) {
            if !holds { throw BrumeError(.invalid, message()) }
        }
        try require(
            limits.memoryBytes >= Self.memoryBytesMin,
            "A memory limit of \(limits.memoryBytes) bytes is too small; give at least 4Mi, for example --memory 128Mi.")
        try require(limits.millicores >= 1, "The CPU limit must be at least 1m, for example --cpu 500m.")
        try require(requests.millicores >= 0 && requests.memoryBytes >= 0, "Requested resources must not be negative.")
        try require(
            timeout >= .milliseconds(1) && timeout <= Self.timeoutMax, "The timeout must be between 1ms and 24h, for example --timeout 60s."
        )
        try require(
            (1...Self.concurrencyMax).contains(concurrency),
            "The concurrency must be between 1 and \(Self.concurrencyMax) calls per replica.")
        try require(
            contract.allowsConcurrency || concurrency == 1,
            "The \(contract.word) contract takes one call at a time; leave the concurrency at 1 and raise --max instead.")
        try require(
            scale.min >= 0 && scale.max >= 1 && scale.min <= scale.max && scale.max <= Self.replicasMax,
            "Replicas must satisfy 0 <= min <= max <= \(Self.replicasMax) and max >= 1; got min \(scale.min), max \(scale.max).")
        try require(scale.keepAlive >= .zero, "The keep-alive must not be negative.")
        for key in environment.keys.sorted() {
            let name = key.utf8
            try require(
                !name.isEmpty && !name.contains(UInt8(ascii: "=")) && !name.contains(0),
                "The environment variable name '\(key)' is not valid; it must not be empty or hold '='.")
            try require(environment[key]?.utf8.contains(0) == false, "The value of the environment variable '\(key)' holds a NUL byte.")
        }
        for secret in secrets { try FunctionID.validateSecretName(secret) }
        switch contract {
        case .fork(let command):
            try require(command.first?.isEmpty == false, "The fork contract needs a command, for example --command 'cat'.")
        case .http(let command, let port):
            var isImage = false
            if case .image = package { isImage = true }
            try require(
                isImage || command.first?.isEmpty == false, "The http contract needs the server's command, for example --http './server'.")
            try require((1...65_535).contains(port), "The port must be between 1 and 65535.")
        case .handler(_, let file):
            try require(
                !file.isEmpty && !file.hasPrefix("/") && !file.contains(".."), "The handler file must be a path inside the package.")
        case .lambda(let executable):
            try require(!executable.isEmpty && !executable.contains(".."), "The lambda executable must be a path inside the package.")
        }
    }
}

extension FunctionID {
    /// Secret names become file names: letters, digits, `-`, `_` and `.`, not beginning with a dot, at most 253 characters.
    public static func validateSecretName(_ name: String) throws(BrumeError) {
        let allowed = name.utf8.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
                || byte == UInt8(ascii: ".")
        }
        guard allowed, !name.isEmpty, name.utf8.count <= 253, !name.hasPrefix(".") else {
            throw BrumeError(
                .invalid,
                "The secret name '\(name.prefix(64))' is not valid: use letters, digits, '-', '_' and '.', not beginning with a dot.")
        }
    }
}

/// A secret as the sandbox receives it.
public struct Secret: Hashable, Sendable {
    public let name: String
    public let namespace: String
    public let value: [UInt8]

    public init(name: String, namespace: String, value: [UInt8]) {
        self.name = name
        self.namespace = namespace
        self.value = value
    }
}

extension Secret: CustomStringConvertible, CustomReflectable {
    /// Never the value: what is printed ends up in logs.
    public var description: String { "secret \(name) in \(namespace) (\(value.count) bytes)" }
    public var customMirror: Mirror { Mirror(self, children: ["name": name, "namespace": namespace, "size": value.count]) }
}
