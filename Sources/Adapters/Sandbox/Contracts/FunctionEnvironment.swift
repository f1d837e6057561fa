// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// Where things are inside a sandbox, and what a function finds in its environment.
enum Inside {
    static let functionDirectory = "/function"
    static let packagesDirectory = "/opt/brume/packages"
    static let agent = "/opt/brume/brume-agent"
    static let shims = "/opt/brume/shims"
    static let socket = "/run/brume/replica.sock"
    static let socketName = "replica.sock"
    /// Where a function's namespace of state listens, for any client of Redis.
    static let stateSocketName = "state.sock"
    static let stateURL = "unix:///run/brume/\(stateSocketName)"
    static let searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
}

/// A function's environment: a small fixed base, what its contract adds, and last what its deployer said. Nothing of the node's own.
struct FunctionEnvironment {
    private var entries: [(name: String, value: String)]

    init(_ spec: FunctionSpec, replica: ReplicaID, contract: [(name: String, value: String)] = []) {
        entries = [
            ("PATH", Inside.searchPath),
            ("HOME", "/tmp"),
            ("TMPDIR", "/tmp"),
            ("HOSTNAME", "\(spec.id.name)-\(replica)"),
            ("BRUME_FUNCTION", spec.id.description),
        ]
        // A program that is started for each call would read a dozen locale files each time, a tenth of what its start costs.
        if case .fork = spec.contract {} else { entries.append(("LANG", "C.UTF-8")) }
        for entry in contract { set(entry.name, entry.value) }
        for name in spec.environment.keys.sorted() { set(name, spec.environment[name] ?? "") }
    }

    private mutating func set(_ name: String, _ value: String) {
        if let index = entries.firstIndex(where: { $0.name == name }) {
            entries[index].value = value
        } else {
            entries.append((name, value))
        }
    }

    var all: [(name: String, value: String)] { entries }
}
