// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeState
import Logging
import NIOCore

extension StateService {
    /// Parts for one write, each taken under a lock of its own, so that nobody waits for more than one.
    private func nextParts() -> [SnapshotPart] {
        var parts: [SnapshotPart] = []
        var bytes = 0
        while bytes < settings.snapshotBytes {
            let now = world.now()
            let some = core.locked { replica, _ in replica.changedParts(bytesMax: 1, now) }
            if some.isEmpty { break }
            parts += some
            bytes += some.reduce(0) { $0 + $1.body.count + $1.name.count }
        }
        return parts
    }

    /// Hands to the log what the replica has to write down at the moment.
    private func appendRecords() async throws {
        let isHeld = try await world.loop.submit {
            self.turn()
            return self.held.value != nil
        }.get()
        guard !isHeld else { throw BrumeError(.unavailable, "The replica takes a new incarnation; the snapshot is made after that.") }
    }

    /// Writes the parts that changed since the last snapshot, a few at a time beside everything else, then forgets the records before them.
    func makeSnapshot() async {
        let began = world.now().instant
        let (number, position) = core.locked { replica, shell in
            replica.beginSnapshot()
            return (shell.logged.appended, shell.lastPosition)
        }
        var parts = 0
        var bytes = 0
        do {
            while true {
                let next = nextParts()
                if next.isEmpty { break }
                // What the parts hold must be in records before it: a part with half of what was written as one must not be all there is.
                try await appendRecords()
                try await log.replace(next.map { StateLogPart(name: $0.name, body: $0.body) })
                parts += next.count
                bytes += next.reduce(0) { $0 + $1.body.count }
            }
            try await log.truncate(through: position)
        } catch {
            core.locked { replica, _ in replica.forgetSnapshot() }
            logger.warning("a snapshot of state was not finished; trying again", metadata: ["error": "\(error)"])
            return
        }
        let begins = core.locked { _, shell in
            shell.figures.snapshots += 1
            shell.figures.snapshotParts = parts
            shell.logged.cover(through: number)
            return shell.logged.through > shell.logged.told
        }
        if begins { world.loop.execute { self.turn() } }
        logger.debug(
            "snapshot of state",
            metadata: [
                "parts": "\(parts)", "bytes": "\(bytes)", "milliseconds": "\(Int((world.now().instant - began).inMilliseconds))",
            ])
    }
}
