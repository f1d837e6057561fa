// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import CBrumeLinux
import Glibc

/// No isolation: a plain process of the node's own user, for development on machines where sandboxes cannot be had.
///
/// There is no root of its own, so the paths that a contract uses inside are replaced by those of the host.
struct DirectLauncher: Launcher {
    let grouped: Bool
    /// Distinguishes the processes of this node from those of another.
    let nodeMark: String
    let summary: String

    func order(_ request: LaunchRequest) throws(BrumeError) -> SpawnOrder {
        guard request.image == nil else {
            throw BrumeError(.unsupported, "Images need isolation; start the node without --isolation none.")
        }
        try HostFiles.makeDirectory(request.directory, mode: 0o700)
        var places = request.plan.binds.map { (inside: $0.inside, host: $0.host) }
        places.append((inside: "/run/brume", host: request.socketDirectory))
        if !request.secrets.isEmpty {
            let directory = "\(request.directory)/secrets"
            try HostFiles.makeDirectory(directory, mode: 0o700)
            for secret in request.secrets { try HostFiles.create("\(directory)/\(secret.name)", secret.value, mode: 0o400) }
            places.append((inside: "/var/openfaas/secrets", host: directory))
        }
        // The longest first, so that a bind inside another bind wins.
        places.sort { $0.inside.utf8.count > $1.inside.utf8.count }
        func translate(_ text: String) -> String {
            if text.hasPrefix("unix://") { return "unix://" + translate(String(text.dropFirst(7))) }
            for place in places where text == place.inside || text.hasPrefix(place.inside + "/") {
                return place.host + text.dropFirst(place.inside.count)
            }
            return text
        }
        var order = SpawnOrder(arguments: request.plan.command.map(translate))
        guard let name = order.arguments.first, !name.isEmpty else {
            throw BrumeError(.invalid, "The function has no command to start.")
        }
        let path = request.plan.environment.first { $0.name == "PATH" }?.value ?? "/usr/bin:/bin"
        if !name.contains("/") {
            guard let found = path.split(separator: ":").map({ "\($0)/\(name)" }).first(where: HostFiles.isExecutable) else {
                throw BrumeError(.invalid, "The program \(name) is not in \(path); install it or give its whole path.")
            }
            order.arguments[0] = found
        }
        order.environment = request.plan.environment.map { "\($0.name)=\(translate($0.value))" }
        order.environment.append("BRUME_REPLICA=\(nodeMark)-\(request.name)")
        order.isMarked = !grouped
        order.workingDirectory = translate(request.plan.workingDirectory)
        order.limits = processLimits(request.spec, grouped: grouped)
        return order
    }

    func forget(_ owner: String) {}
}
