// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import BrumeModel
import FoundationEssentials

struct Deploy: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "deploy",
        abstract: "Deploy a function, or all functions of an OpenFaaS stack file.",
        discussion: """
            A function has one source: --handler, --command, --http, --lambda or --image. Files are packed and uploaded; deploying a name \
            again replaces the function without a failed call.

            Examples:
              brume deploy upper --command 'tr a-z A-Z'
              brume deploy hello --handler hello.py --memory 64Mi --env WHO=Ada
              brume deploy shop --http './server' --concurrency 16 --min 1
              brume deploy -f stack.yml --filter 'image-*'
            """)

    @Argument(help: ArgumentHelp("Name of the function, or NAME.NAMESPACE.", valueName: "name"))
    var name: String?

    @OptionGroup(title: "Source") var source: SourceOptions
    @OptionGroup(title: "Settings") var settings: SettingOptions
    @OptionGroup var place: NamespaceOption

    @Flag(help: "Do not wait until a replica can take calls.")
    var noWait = false

    @OptionGroup(title: "Node") var node: NodeOptions

    func run() async throws {
        let wanted = try functions()
        for warning in wanted.warnings { Console.standard.complain("\(warning).") }
        // Everything is checked and packed before the first function is sent.
        let plans = try await ProgressDisplay.during("Packing", quiet: node.quiet) { progress in
            var plans: [DeploymentPlan] = []
            for function in wanted.functions {
                progress.now("Packing \(function.id.name)")
                plans.append(try await DeploymentPlan(function))
            }
            return plans
        }
        try await node.withClient(gateway: wanted.gateway) { client in
            for (function, plan) in zip(wanted.functions, plans) {
                let started = ContinuousClock.now
                let text = try await ProgressDisplay.during("Deploying \(function.id.name)", quiet: node.quiet) { progress in
                    try await Deployer(client: client, progress: progress).deploy(plan, as: function.id, waits: !noWait)
                }
                let time = Wording.duration(ContinuousClock.now - started)
                try Console.standard.print("\(Console.standard.outputStyle.good("Deployed")) \(function.id.name) in \(time)\(text)")
                try Console.standard.print("URL: \(client.address.functionURL(function.id.callPath))")
            }
        }
    }

    private func functions() throws -> (functions: [FunctionSettings], gateway: String?, warnings: [String]) {
        guard let file = source.file else { return ([try single()], nil, []) }
        guard name == nil, source.given.isEmpty, !settings.isGiven else {
            throw CommandFailure.words("A stack file says everything about its functions; leave out the name, the source and the settings.")
        }
        let stack = try StackFile(
            path: file, environment: ProcessInfo.processInfo.environment, defaultNamespace: place.namespace)
        guard let filter = source.filter else { return (stack.functions, stack.gateway, stack.warnings) }
        let chosen = stack.functions.filter { GlobPattern(filter).matches($0.id.name) }
        guard !chosen.isEmpty else {
            throw CommandFailure.words(
                "No function of \(file) matches '\(filter)'; it has \(stack.functions.map(\.id.name).joined(separator: ", ")).")
        }
        return (chosen, stack.gateway, stack.warnings)
    }

    private func single() throws -> FunctionSettings {
        guard let name else {
            throw CommandFailure.words("Name the function: brume deploy NAME --handler f.py, or deploy a stack file with -f.")
        }
        guard source.filter == nil else { throw CommandFailure.words("--filter chooses functions of a stack file; give one with -f.") }
        let given = source.given
        guard let first = given.first else {
            throw CommandFailure.words("Say what to run: one of --handler, --command, --http, --lambda, --image or -f.")
        }
        guard given.count == 1 else {
            throw CommandFailure.words("A function has one source; \(given.map(\.option).joined(separator: " and ")) do not go together.")
        }
        return try settings.settings(
            for: FunctionID.said(name, namespace: place.namespace), source: first.source, directory: source.directory)
    }
}

/// Where the code comes from.
struct SourceOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Python or Node file with a handle function.", valueName: "file"), completion: .file())
    var handler: String?

    @Option(help: ArgumentHelp("Command started for each call: body on stdin, reply on stdout.", valueName: "line"))
    var command: String?

    @Option(help: ArgumentHelp("Command of a server that listens on $PORT.", valueName: "line"))
    var http: String?

    @Option(help: ArgumentHelp("Program, directory or zip file for the AWS Lambda runtime API.", valueName: "path"), completion: .file())
    var lambda: String?

    @Option(help: ArgumentHelp("OCI image: oci:DIRECTORY:TAG, docker://NAME:TAG or NAME:TAG.", valueName: "reference"))
    var image: String?

    @Option(name: [.short, .long], help: ArgumentHelp("OpenFaaS stack file.", valueName: "stack.yml"), completion: .file())
    var file: String?

    @Option(help: ArgumentHelp("Only functions of the stack file whose names match, with * and ?.", valueName: "glob"))
    var filter: String?

    @Option(help: ArgumentHelp("Directory whose files go along.", valueName: "directory"), completion: .directory)
    var directory: String?

    /// The sources that were said.
    var given: [(option: String, source: FunctionSource)] {
        let all: [(String, FunctionSource?)] = [
            ("--handler", handler.map { .handler(path: $0) }), ("--command", command.map { .command($0) }),
            ("--http", http.map { .http($0) }), ("--lambda", lambda.map { .lambda(path: $0) }),
            ("--image", image.map { .image($0, command: nil) }),
        ]
        return all.compactMap { entry in entry.1.map { (entry.0, $0) } }
    }
}

/// Everything else about a function.
struct SettingOptions: ParsableArguments {
    @Option(help: ArgumentHelp("CPU limit of a replica: 500m, 2. Default: 1.", valueName: "amount"))
    var cpu: String?

    @Option(help: ArgumentHelp("Memory limit of a replica: 128Mi, 1Gi. Default: 128Mi.", valueName: "amount"))
    var memory: String?

    @Option(help: ArgumentHelp("Longest call: 60s, 5m. Default: 60s.", valueName: "duration"))
    var timeout: String?

    @Option(help: ArgumentHelp("Calls that one replica works on at once. Default: 1.", valueName: "calls"))
    var concurrency: Int?

    @Option(help: ArgumentHelp("Replicas kept warm. Default: 0.", valueName: "replicas"))
    var min: Int?

    @Option(help: ArgumentHelp("Replicas at most. Default: 8.", valueName: "replicas"))
    var max: Int?

    @Option(help: ArgumentHelp("How long an idle replica stays. Default: 10m.", valueName: "duration"))
    var keepAlive: String?

    @Option(name: .shortAndLong, parsing: .singleValue, help: ArgumentHelp("Environment variable.", valueName: "key=value"))
    var env: [String] = []

    @Option(parsing: .singleValue, help: ArgumentHelp("Secret to show at /var/openfaas/secrets/NAME.", valueName: "name"))
    var secret: [String] = []

    @Flag(help: "Let the function use the host's network.")
    var network = false

    @Option(name: .shortAndLong, parsing: .singleValue, help: ArgumentHelp("Label.", valueName: "key=value"))
    var label: [String] = []

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp(
            """
            Annotation. dev.brume.state.keep=POLICY says which nodes keep the function's state beside those where it is deployed: \
            see 'brume state keep --help'.
            """, valueName: "key=value"))
    var annotation: [String] = []

    @Option(help: ArgumentHelp("Port on which an --http or --image server listens. Default: 8080.", valueName: "port"))
    var port: Int?

    @Option(help: ArgumentHelp("Call the function by the clock: '*/5 * * * *'.", valueName: "cron"))
    var schedule: String?

    /// Whether anything was said at all.
    var isGiven: Bool {
        cpu != nil || memory != nil || timeout != nil || concurrency != nil || min != nil || max != nil || keepAlive != nil || !env.isEmpty
            || !secret.isEmpty || network || !label.isEmpty || !annotation.isEmpty || port != nil || schedule != nil
    }

    func settings(for id: FunctionID, source: FunctionSource, directory: String?) throws(CommandFailure) -> FunctionSettings {
        var settings = FunctionSettings(id: id, source: source, directory: directory)
        settings.limits = ResourceWords(cpu: cpu, memory: memory)
        settings.timeout = timeout
        settings.concurrency = concurrency
        settings.min = min
        settings.max = max
        settings.keepAlive = keepAlive
        settings.environment = try KeyValue.dictionary(env, option: "--env")
        settings.secrets = secret
        settings.network = network
        settings.labels = try KeyValue.dictionary(label, option: "--label")
        settings.annotations = try KeyValue.dictionary(annotation, option: "--annotation")
        settings.port = port
        settings.schedule = schedule
        return settings
    }
}

/// Words of the form `KEY=VALUE`.
enum KeyValue {
    static func dictionary(_ words: [String], option: String) throws(CommandFailure) -> [String: String] {
        var pairs: [String: String] = [:]
        for word in words {
            guard let equals = word.firstIndex(of: "="), equals > word.startIndex else {
                throw .words("\(option) takes KEY=VALUE, not '\(word)'.")
            }
            pairs[String(word[..<equals])] = String(word[word.index(after: equals)...])
        }
        return pairs
    }
}

extension FunctionID {
    /// A name as people say it: `NAME`, `NAME.NAMESPACE`, or `NAME` beside `--namespace`.
    ///
    /// - Throws: `CommandFailure` (words) where two different namespaces are named, `BrumeError` for a bad name.
    static func said(_ name: String, namespace: String?) throws -> FunctionID {
        guard let namespace else { return try FunctionID(parsing: name) }
        guard name.contains(".") else { return try FunctionID(name: name, namespace: namespace) }
        let id = try FunctionID(parsing: name)
        guard id.namespace == namespace else {
            throw CommandFailure.words(
                "'\(name)' names the namespace \(id.namespace), but --namespace says \(namespace); give one of them.")
        }
        return id
    }

    /// What follows `/function/`: the namespace only where it is not the default one.
    var callPath: String { namespace == FunctionID.defaultNamespace ? name : description }
}
