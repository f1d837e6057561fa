// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// Turns a spec into what is started inside the sandbox.
struct LaunchPlanner {
    let settings: ContractChannels.Settings
    let spec: FunctionSpec
    let replica: ReplicaID

    func fork(_ command: [String]) -> LaunchPlan {
        let agent = [Inside.agent, "--socket", Inside.socket, "--connections", String(connectionsOnEachLoop), "--"]
        return plan(
            agent + command, environment: [("fprocess", command.joined(separator: " "))],
            binds: [.init(host: settings.agentPath, inside: Inside.agent)])
    }

    /// As many connections on each event loop as there can be calls, so that a call finds one on its own loop and wakes no other thread.
    ///
    /// For what serves them all from one thread and has no state for each; Python's workers have threads of their own.
    private var connectionsOnEachLoop: Int { spec.concurrency * settings.loopCount }

    func http(_ command: [String], port: Int) -> LaunchPlan {
        plan(
            command,
            environment: [
                ("PORT", String(port)), ("K_SERVICE", spec.id.name), ("K_REVISION", "\(spec.id.name)-\(replica)"),
                ("K_CONFIGURATION", spec.id.name),
            ])
    }

    func handler(_ language: Contract.Language, file: String) throws(BrumeError) -> LaunchPlan {
        let store = CodeStore(root: settings.codeRoot)
        let connections = language == .node ? connectionsOnEachLoop : spec.concurrency
        let arguments = [Inside.socket, String(connections), Inside.functionDirectory + "/" + file]
        var binds: [LaunchPlan.Bind] = []
        if let packages = store.packages(of: spec) { binds.append(.init(host: packages, inside: Inside.packagesDirectory)) }
        switch language {
        case .python:
            var name = "handler.py"
            // The byte code fits the host's interpreter only.
            if case .image = spec.package {} else if CodeStore.exists(store.shims + "/handler.pyc") { name = "handler.pyc" }
            let interpreter = if case .image = spec.package { "python3" } else { "/usr/bin/python3" }
            binds.append(.init(host: store.shims, inside: Inside.shims))
            return plan(
                [interpreter, "-I", "-S", "-B", "\(Inside.shims)/\(name)"] + arguments,
                environment: [("PYTHONDONTWRITEBYTECODE", "1"), ("BRUME_PACKAGES", Inside.packagesDirectory)], binds: binds)
        case .node:
            binds.append(.init(host: store.shims, inside: Inside.shims))
            return plan(["node", "\(Inside.shims)/handler.mjs"] + arguments, environment: [("NODE_ENV", "production")], binds: binds)
        }
    }

    func lambda(_ executable: String, port: Int) -> LaunchPlan {
        let program = executable.hasPrefix("/") ? executable : Inside.functionDirectory + "/" + executable
        return plan(
            [Inside.agent, "--gate", Inside.socket, "--", program],
            environment: [
                ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:\(port)"), ("_HANDLER", "handler"), ("LAMBDA_TASK_ROOT", Inside.functionDirectory),
                ("LAMBDA_RUNTIME_DIR", Inside.functionDirectory), ("AWS_LAMBDA_FUNCTION_NAME", spec.id.name),
                ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"), ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", String(spec.limits.memoryBytes >> 20)),
                ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/\(spec.id.name)"), ("AWS_LAMBDA_LOG_STREAM_NAME", "\(replica)"),
                ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"), ("AWS_REGION", "us-east-1"), ("AWS_DEFAULT_REGION", "us-east-1"),
                ("LD_LIBRARY_PATH", "\(Inside.functionDirectory):\(Inside.functionDirectory)/lib"), ("TZ", ":UTC"),
            ], binds: [.init(host: settings.agentPath, inside: Inside.agent)])
    }

    /// What waits in a spare sandbox; it says so on `socket` and gets what it is to become there. Nil where it cannot be had.
    static func spare(_ kind: SpareKind, _ settings: ContractChannels.Settings) -> LaunchPlan? {
        let shims = CodeStore(root: settings.codeRoot).shims
        let socket = "/run/brume/\(SpareKind.socketName)"
        var environment = [("PATH", Inside.searchPath), ("LANG", "C.UTF-8")]
        let command: [String]
        let bind: LaunchPlan.Bind
        switch kind {
        case .agent:
            command = [Inside.agent, "--spare", socket]
            bind = .init(host: settings.agentPath, inside: Inside.agent)
        case .python:
            let name = CodeStore.exists(shims + "/handler.pyc") ? "handler.pyc" : "handler.py"
            command = ["/usr/bin/python3", "-I", "-S", "-B", "\(Inside.shims)/\(name)", "--spare", socket]
            environment.append(("PYTHONDONTWRITEBYTECODE", "1"))
            bind = .init(host: shims, inside: Inside.shims)
        case .node:
            command = ["node", "\(Inside.shims)/handler.mjs", "--spare", socket]
            environment.append(("NODE_ENV", "production"))
            bind = .init(host: shims, inside: Inside.shims)
        }
        guard CodeStore.exists(bind.host) else { return nil }
        var plan = LaunchPlan(command: command, environment: environment, binds: [bind])
        plan.mountPoints = SpareKind.mountPoints
        return plan
    }

    func plan(
        _ command: [String], environment: [(name: String, value: String)] = [], binds: [LaunchPlan.Bind] = []
    ) -> LaunchPlan {
        var binds = binds
        var environment = environment
        if settings.offersState { environment.append(("REDIS_URL", Inside.stateURL)) }
        var directory = "/"
        if case .bundle(let digest) = spec.package {
            binds.append(.init(host: CodeStore(root: settings.codeRoot).function(digest), inside: Inside.functionDirectory))
            directory = Inside.functionDirectory
        }
        return LaunchPlan(
            command: command, environment: FunctionEnvironment(spec, replica: replica, contract: environment).all, binds: binds,
            workingDirectory: directory)
    }
}
