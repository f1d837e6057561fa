// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Glibc

/// Keeps one spawner running: if it ever dies, its sandboxes die with it and the next start gets a new one.
actor SpawnerKeeper {
    private let path: String
    private let joinFast: Bool
    private var current: SpawnerClient

    /// How long the spawner may take to end after its last sandbox.
    private static let endLimit = Duration.seconds(6)

    init(path: String, joinFast: Bool) async throws(BrumeError) {
        (self.path, self.joinFast) = (path, joinFast)
        current = try await SpawnerClient.launch(path: path, joinFast: joinFast)
    }

    /// What the spawner is able to do: `BRUME_CAN_` bits.
    var can: UInt32 { current.can }

    /// A running spawner.
    func client() async throws(BrumeError) -> SpawnerClient {
        if current.ended.value == nil { return current }
        let fresh = try await SpawnerClient.launch(path: path, joinFast: joinFast)
        // Another start may have been here during the launch.
        if current.ended.value == nil {
            fresh.close()
        } else {
            current = fresh
        }
        return current
    }

    /// Ends the spawner and waits until it is gone.
    func close() async {
        current.close()
        if await current.ended.wait(atMost: Self.endLimit) == nil { kill(current.pid, SIGKILL) }
    }
}
