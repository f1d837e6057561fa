// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import CBrumeLinux
import Glibc

/// Turns a plan into what the spawner executes: the one place where the kinds of isolation differ.
protocol Launcher: Sendable {
    /// Takes what the replica needs (a host uid); `forget` gives it back, once for each call of this, also after an error.
    func order(_ request: LaunchRequest) throws(BrumeError) -> SpawnOrder
    func forget(_ owner: String)
    /// One sentence for the node's status.
    var summary: String { get }
}

struct LaunchRequest: Sendable {
    /// The sandbox's name, unique on this node.
    var name: String
    /// Who shares a host uid: all sandboxes of the same owner.
    var owner: String
    var spec: FunctionSpec
    var plan: LaunchPlan
    var image: UnpackedImage?
    var secrets: [Secret]
    var socketDirectory: String
    /// The replica's own directory in the node's state directory; not made yet, removed after its end.
    var directory: String
}

/// Limits that hold for one process where control groups cannot.
func processLimits(_ spec: FunctionSpec, grouped: Bool) -> [(resource: Int, amount: Int)] {
    var limits = [(Int(RLIMIT_CORE.rawValue), 0), (Int(RLIMIT_NOFILE.rawValue), SandboxLimits.openFiles)]
    if !grouped {
        limits.append((Int(__RLIMIT_NPROC.rawValue), SandboxLimits.processesOfUser))
        // Writable memory of one process; not the address space, of which some interpreters reserve far more than they use.
        limits.append((Int(RLIMIT_DATA.rawValue), spec.limits.memoryBytes))
    }
    return limits.map { (resource: $0.0, amount: $0.1) }
}

/// Namespaces and a system call filter by bubblewrap.
struct BubblewrapLauncher: Launcher {
    let program: String
    let seccomp: [UInt8]
    let etcDirectory: String
    let ids: HostIDs?
    let grouped: Bool
    let summary: String

    func order(_ request: LaunchRequest) throws(BrumeError) -> SpawnOrder {
        let hostID = try ids?.take(for: request.owner)
        guard request.secrets.count <= SandboxLimits.secrets else {
            throw BrumeError(.tooLarge, "The function uses \(request.secrets.count) secrets; \(SandboxLimits.secrets) are allowed.")
        }
        guard request.plan.command.first?.isEmpty == false else {
            throw BrumeError(.invalid, "The function has no command to start.")
        }
        let command = BubblewrapCommand(
            spec: request.spec, plan: request.plan, secrets: request.secrets, socketDirectory: request.socketDirectory, hostID: hostID,
            seccomp: seccomp, etcDirectory: etcDirectory)
        var order = command.order(program: program)
        order.limits = processLimits(request.spec, grouped: grouped)
        return order
    }

    func forget(_ owner: String) { ids?.giveBack(owner) }
}
