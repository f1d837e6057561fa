// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
package import BrumeModel
import BrumeState
package import Logging
import NIOCore
import ServiceLifecycle
import Synchronization

extension StateService {
    /// Reads what the log holds, decides under which incarnation the replica goes on, and has that on disk before it returns.
    ///
    /// The incarnation that wrote last goes on only if it ended well, everything was read back, and nothing of it lived in memory alone.
    ///
    /// - Throws: `BrumeError` where the log can neither be read nor written.
    package static func open(
        node: NodeID, settings: StateServiceSettings, world: StateWorld, log: any StateLog,
        logger: Logger = Logger(label: "brume.state")
    ) async throws -> StateService {
        let began = world.now()
        var settings = settings
        // This shell decides when a write travels; the replica's own delay is the net below it.
        settings.replica.flushDelay = max(settings.flushSpacing, settings.busyFlushSpacing)
        let box = RecoveryBox(StateRecovery(node: node, settings: settings.replica, seed: world.random(), now: began))
        let opening = try await log.load { box.take($0) }
        let keepsAll = settings.replica.keepsAll
        let continuing = opening.mayContinue && keepsAll ? opening.incarnation.map { SiteID(rawValue: $0) } : nil
        // Zero stands for nobody.
        let fresh = SiteID(rawValue: max(1, world.random()))
        var replica = box.finish(continuing: continuing, fresh: fresh, now: world.now())
        // What could not be read must be written again from what is left, and from what others send.
        if opening.damagedPieces > 0 { replica.forgetSnapshot() }
        try await log.begin(incarnation: replica.site.rawValue)
        let took = world.now().instant - began.instant
        if opening.parts + opening.records > 0 || opening.damagedPieces > 0 {
            logger.info(
                "state restored",
                metadata: [
                    "parts": "\(opening.parts)", "records": "\(opening.records)", "bytes": "\(opening.bytes)",
                    "milliseconds": "\(Int(took.inMilliseconds))", "incarnation": "\(continuing == nil ? "new" : "continued")",
                ])
        }
        if opening.damagedPieces > 0 {
            logger.error(
                "some of the state could not be read; other nodes that have it send it again",
                metadata: ["pieces": "\(opening.damagedPieces)", "first": "\(opening.damage.first ?? "")"])
        }
        let service = StateService(replica: replica, settings: settings, world: world, log: log, logger: logger)
        service.damagedPieces.store(opening.damagedPieces, ordering: .relaxed)
        world.loop.execute { service.turn() }
        return service
    }

    // MARK: - Running

    /// Keeps snapshots until the service group shuts down, then writes everything down and closes the log.
    package func run() async throws {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.runControl() }
            group.addTask { await self.watchLog() }
            try? await gracefulShutdown()
            controlInput.finish()
            group.cancelAll()
        }
        await stop()
    }

    private func runControl() async {
        for await item in control {
            switch item {
            case .incarnation(let incarnation): await adopt(incarnation)
            case .snapshot: await makeSnapshot()
            }
        }
    }

    /// Has a new incarnation on disk, then lets out what was done under it.
    private func adopt(_ incarnation: UInt64) async {
        do {
            try await log.begin(incarnation: incarnation)
        } catch {
            // Going on would risk that two lives share a name after a crash; staying silent costs replication until the disk works.
            logger.error("the new incarnation is not on disk; trying again", metadata: ["error": "\(error)"])
            try? await Task.sleep(for: settings.snapshotInterval)
            controlInput.yield(.incarnation(incarnation))
            return
        }
        world.loop.execute { self.release() }
    }

    private func watchLog() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: settings.snapshotInterval)
            let figures = log.figures
            guard figures.isIncomplete || figures.recordBytes > max(settings.recordBytesMax, figures.partBytes) else { continue }
            controlInput.yield(.snapshot)
        }
    }

    // MARK: - Ending

    /// Flushes, writes everything down and closes the log, so that the incarnation may go on at the next start.
    package func stop() async {
        let hasEnded = core.locked { _, shell in
            defer { shell.isEnding = true }
            return shell.isEnding
        }
        guard !hasEnded else { return }
        if log.figures.recordBytes > settings.recordBytesMax / 4 { await makeSnapshot() }
        let isQuiet = try? await world.loop.submit { self.lastTurn() }.get()
        do {
            try await log.end(clean: isQuiet == true && settings.replica.keepsAll)
        } catch {
            logger.error("the log of state was not closed", metadata: ["error": "\(error)"])
        }
    }
}

extension StateSettings {
    /// Whether no namespace lives in memory alone: what such a one wrote is in no log, so its numbers might be given out twice.
    fileprivate var keepsAll: Bool {
        standard.durability > .none && namespaces.values.allSatisfy { $0.durability > .none }
    }
}

/// A replica that is being read back.
///
/// `@unchecked Sendable`: a log hands its pieces over one at a time, and is done when `finish` is called.
private final class RecoveryBox: @unchecked Sendable {
    private var recovery: StateRecovery?

    init(_ recovery: consuming StateRecovery) { self.recovery = consume recovery }

    func take(_ piece: StateLogPiece) -> Bool {
        switch piece {
        case .part(let part): recovery?.part(part.name, part.body) ?? false
        case .record(let record, _): recovery?.record(record) ?? false
        }
    }

    func finish(continuing: SiteID?, fresh: SiteID, now: StateTime) -> Replica {
        guard let recovery = recovery.take() else { preconditionFailure("a replica is finished once") }
        return recovery.finish(continuing: continuing, fresh: fresh, now: now)
    }
}
