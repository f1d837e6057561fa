// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// What waits in a spare sandbox to become a function.
package enum SpareKind: String, Sendable, Hashable, CaseIterable {
    /// Brume's agent, which can become any program.
    case agent
    /// An interpreter with Brume's shim, which can load any handler of its language.
    case python, node

    /// Where the program in the spare connects to, inside, and the name of that socket.
    package static let socketName = "spare.sock"
    /// Where the files of a function appear when it takes the spare.
    static let mountPoints = [Inside.functionDirectory, Inside.packagesDirectory, "/var/openfaas/secrets"]
}

/// Everything that a sandbox fixes before it is known which function it is for. Functions of one profile may take each other's spares.
struct SpareProfile: Hashable, Sendable {
    let kind: SpareKind
    /// Its limits, its network and its file system, without anything of a function.
    let spec: FunctionSpec

    /// Nil where only a sandbox of its own will do.
    init?(_ spec: FunctionSpec) {
        if case .image = spec.package { return nil }
        let contract: Contract
        switch spec.contract {
        case .fork: (kind, contract) = (.agent, .fork(command: []))
        case .http, .lambda: (kind, contract) = (.agent, .http(command: [], port: 0))
        case .handler(let language, _):
            // An interpreter that runs reads them no more.
            if spec.environment.keys.contains(where: Self.isReadAtStart) { return nil }
            (kind, contract) = (language == .python ? .python : .node, .handler(language: language, file: ""))
        }
        guard let id = try? FunctionID(name: "spare") else { return nil }
        self.spec = FunctionSpec(
            id: id, contract: contract, limits: spec.limits, network: spec.network, readOnlyRootFilesystem: spec.readOnlyRootFilesystem)
    }

    private static let prefixesReadAtStart = ["LD_", "LC_", "GLIBC_", "MALLOC_", "NODE_", "UV_", "OPENSSL_", "SSL_"]
    private static let namesReadAtStart: Set<String> = ["LANG", "LANGUAGE", "TZ"]

    /// Whether a loader, a C library or an interpreter looks at this variable when it starts. Python's own are ignored by `-I`, and
    /// `NODE_ENV` is for the packages that a handler loads.
    static func isReadAtStart(_ name: String) -> Bool {
        if name == "NODE_ENV" { return false }
        return namesReadAtStart.contains(name) || prefixesReadAtStart.contains { name.hasPrefix($0) }
    }
}
