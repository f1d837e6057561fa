// SPDX-License-Identifier: Apache-2.0

package import BrumeModel
package import NIOCore

/// Where the two halves of the sandbox meet: `Process/` starts and ends sandboxes, `Contracts/` speaks to what runs inside.

/// What a contract wants to run inside the sandbox.
package struct LaunchPlan: Sendable {
    /// A host path made visible inside.
    package struct Bind: Sendable {
        package var host: String
        package var inside: String
        package var writable: Bool

        package init(host: String, inside: String, writable: Bool = false) {
            self.host = host
            self.inside = inside
            self.writable = writable
        }
    }

    /// Paths are those inside the sandbox. Empty: the image's own entry point.
    package var command: [String]
    /// Complete: nothing is inherited from the node.
    package var environment: [(name: String, value: String)]
    package var binds: [Bind]
    package var workingDirectory: String
    /// Empty directories inside, at which something can be mounted later.
    package var mountPoints: [String] = []
    /// Root directory of an unpacked image, or nil for the host's read-only `/usr`.
    package var imageRoot: String?

    package init(
        command: [String], environment: [(name: String, value: String)] = [], binds: [Bind] = [], workingDirectory: String = "/",
        imageRoot: String? = nil
    ) {
        self.command = command
        self.environment = environment
        self.binds = binds
        self.workingDirectory = workingDirectory
        self.imageRoot = imageRoot
    }
}

/// A sandbox as contracts see it.
package protocol SandboxProcess: Sendable {
    var replica: ReplicaID { get }
    /// Host path of a directory that is visible, writable for sockets, at `/run/brume` inside.
    var socketDirectory: String { get }
    /// How many processes inside the kernel has killed for memory so far; a contract with a process for each call tells with it why one
    /// died.
    var memoryKills: Int { get }
    /// A connected TCP socket (non-blocking, close-on-exec) to a port on the sandbox's own loopback.
    func connect(port: Int) async throws(BrumeError) -> CInt
    /// A TCP socket listening on the sandbox's own loopback (non-blocking, close-on-exec); port 0 lets the kernel choose.
    func listen(port: Int) async throws(BrumeError) -> CInt
}

extension SandboxProcess {
    package var memoryKills: Int { 0 }
}

/// One contract's way to talk to one replica. Made before the sandbox starts, fed with the started process.
package protocol ReplicaChannel: Sendable {
    /// What to start; called once, before the process exists. May create the Unix socket that the shim connects back to.
    func plan(socketDirectory: String) throws(BrumeError) -> LaunchPlan
    /// Returns when the replica can take its first call. The driver cancels the task when the process dies first.
    func ready(_ process: any SandboxProcess) async throws(BrumeError)
    /// Carries one call; `reply` once, then `finished` once (see `SandboxDriver.invoke`).
    func invoke(
        _ call: CallID, _ request: CallRequest<ByteBuffer>, deadline: Instant,
        reply: @escaping @Sendable (Result<CallResponse<ByteBuffer>, CallFailure>) -> Void,
        finished: @escaping @Sendable (CallFailure?) -> Void)
    /// The caller no longer waits.
    func cancel(_ call: CallID)
    /// The process is gone: every unfinished call fails with this, then all sockets are closed.
    func terminated(_ failure: CallFailure)
}
