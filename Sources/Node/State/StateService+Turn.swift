// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeState
import Logging
import NIOCore

extension StateService {
    /// Shortest wait for a timer; far below any of the replica's own times.
    private static let timerDelayMin = Duration.microseconds(200)

    /// Takes one turn on the loop: tells the replica what the log has done, flushes if it is time, and performs what came of it.
    func turn() {
        world.loop.preconditionInEventLoop()
        let now = world.now()
        let outputs = core.locked { replica, shell -> [StateOutput] in
            // A turn that was put off still comes.
            if !shell.coming.isLater(than: now.instant) { shell.coming = .none }
            guard !shell.isStopped else { return [] }
            shell.figures.turns += 1
            if shell.logged.through > shell.logged.told {
                shell.logged.told = shell.logged.through
                replica.logged(through: shell.logged.told, now)
            }
            if replica.isDirty, shell.isUrgent || shell.lastFlush + shell.spacing <= now.instant || replica.isFlushDue(now) {
                replica.flush(now)
                shell.spacing = shell.runs < settings.busyRuns ? settings.flushSpacing : settings.busyFlushSpacing
                shell.runs = 0
                shell.lastFlush = now.instant
                shell.figures.flushes += 1
            }
            shell.isUrgent = false
            shell.outputsSince = nil
            replica.tick(now)
            return replica.takeOutputs()
        }
        perform(outputs)
        arm()
    }

    /// Sees to it that the next turn comes when the replica's own timers, a flush or what waits to be handed on want it; by one timer, so
    /// that nothing wakes the loop in vain.
    func arm() {
        let now = world.now()
        let wake = core.locked { replica, shell -> Wake in
            guard !shell.coming.isNow else { return .none }
            if !shell.isStopped, replica.hasUrgentOutputs || replica.isFlushDue(now) {
                shell.coming = .now
                return .now
            }
            let next = shell.isStopped ? nil : nextTurn(&replica, &shell, now)
            if let timer = shell.timer, let next, timer.at == next { return .none }
            shell.timer?.scheduled.cancel()
            shell.timer = nil
            guard let next else { return .none }
            // A timer that is due already waits a moment all the same: whatever asks for it cannot keep the loop busy.
            let delay = max(Self.timerDelayMin, next - now.instant)
            let scheduled = world.loop.scheduleTask(in: .nanoseconds(delay.wholeNanoseconds)) { self.timerFired() }
            shell.timer = (next, scheduled)
            return .none
        }
        act(on: wake)
    }

    private func nextTurn(_ replica: inout Replica, _ shell: inout StateShell, _ now: StateTime) -> Instant? {
        let flush = shell.lastFlush + shell.spacing
        // Whoever writes under load need not wake the loop for what is certain to come.
        if replica.isDirty || shell.spacing > settings.flushSpacing && flush > now.instant, shell.coming.isAfter(flush) {
            shell.coming = .later(max(flush, now.instant))
        }
        var next = replica.wake
        func take(_ due: Instant) { next = min(next ?? due, due) }
        if case .later(let turn) = shell.coming { take(turn) }
        if let since = shell.outputsSince { take(since + settings.replica.streamAckDelay) }
        return next
    }

    /// The last turn: everything goes to the log, and nothing after it. Answers whether nothing is held back.
    func lastTurn() -> Bool {
        let now = world.now()
        let (outputs, waiters) = core.locked { replica, shell -> ([StateOutput], [StateWaiter]) in
            replica.flush(now)
            shell.isStopped = true
            shell.coming = .none
            shell.timer?.scheduled.cancel()
            defer { shell.waiters = [:] }
            return (replica.takeOutputs(), shell.waiters.sorted { $0.key < $1.key }.map(\.value))
        }
        perform(outputs)
        for waiter in waiters { waiter.done(StateError(.unavailable, "The node is being stopped; ask another one.")) }
        return held.value == nil
    }

    private func timerFired() {
        core.locked { _, shell in shell.timer = nil }
        turn()
    }

    // MARK: - Performing

    private func perform(_ outputs: [StateOutput]) {
        if held.value != nil {
            held.value?.append(contentsOf: outputs)
            return
        }
        var link: (any PeerLink)?
        for (index, output) in outputs.enumerated() {
            switch output {
            case .send(let frame, let kind, let peer):
                link = link ?? self.link
                send(frame, kind, to: peer, over: link)
            case .log(let record, let number, let isUrgent): append(record, number, isUrgent)
            case .ready(let ticket, let error): finish(ticket, error)
            case .changed(let changes): subscriptions.publish(changes)
            case .note(let note): tell(note)
            case .incarnation(let incarnation):
                // Nothing goes out under a name that a crash could make this node use twice.
                held.value = Array(outputs[(index + 1)...])
                controlInput.yield(.incarnation(incarnation))
                return
            }
        }
    }

    /// Goes on with what waited for the new incarnation.
    func release() {
        guard let outputs = held.value else { return }
        held.value = nil
        perform(outputs)
        turn()
    }

    private func send(_ frame: [UInt8], _ kind: LinkKind, to peer: NodeID, over link: (any PeerLink)?) {
        switch link?.send(frame, kind: kind, to: peer) {
        case .queued:
            core.locked { _, shell in
                shell.figures.framesSent += 1
                shell.figures.bytesSent += frame.count
            }
        case .full:
            core.locked { replica, shell in
                shell.figures.framesRefused += 1
                replica.refused(peer, kind: kind)
            }
        case .tooLarge:
            logger.error("a frame of state is longer than a link carries", metadata: ["bytes": "\(frame.count)", "peer": "\(peer)"])
        case .unknown, nil: break
        }
    }

    private func append(_ record: [UInt8], _ number: UInt64, _ isUrgent: Bool) {
        let position = log.append(record, urgency: isUrgent ? .now : .interval) { settled in
            switch settled {
            case .durable: self.logged(number)
            case .delayed(let error), .lost(let error): self.notLogged(error)
            }
        }
        core.locked { _, shell in
            shell.logged.appended = number
            shell.lastPosition = position
            shell.figures.recordsAppended += 1
            shell.figures.recordBytes += record.count
        }
    }

    private func logged(_ number: UInt64) {
        let begins = core.locked { _, shell -> Bool in
            let before = shell.logged.through
            shell.trouble = nil
            shell.logged.insert(number)
            // Records of one commit are told one after the other; one turn takes them all.
            return before == shell.logged.told && shell.logged.through > before
        }
        if begins { world.loop.execute { self.turn() } }
    }

    /// Whoever waits for the log hears at once that it cannot be written; the log itself goes on trying.
    private func notLogged(_ error: BrumeError) {
        let reason = StateError(.unavailable, "The write is in memory but not on disk. \(error.message)")
        let waiters = core.locked { _, shell -> [StateWaiter] in
            shell.trouble = reason
            let failed = shell.waiters.filter { $0.value.isForLog }
            for number in failed.keys { shell.waiters[number] = nil }
            return failed.sorted { $0.key < $1.key }.map(\.value)
        }
        for waiter in waiters { waiter.done(reason) }
    }

    private func finish(_ ticket: StateTicket, _ error: StateError?) {
        let now = world.now()
        let waiter = core.locked { _, shell -> StateWaiter? in
            guard let waiter = shell.waiters.removeValue(forKey: ticket.number) else { return nil }
            shell.figures.settled += 1
            shell.figures.settleNanoseconds &+= (now.instant - waiter.began).wholeNanoseconds
            return waiter
        }
        waiter?.done(error)
    }

    private func tell(_ note: StateNote) {
        switch note {
        case .duplicateIdentity(let peer, let incarnation):
            logger.error(
                "another node writes under this node's incarnation; was its data directory copied? this node takes a new one",
                metadata: ["peer": "\(peer)", "incarnation": "\(String(incarnation, radix: 16))"])
        case .refusedFrame(let peer, let reason):
            logger.warning("a frame of state was refused", metadata: ["peer": "\(peer)", "reason": "\(reason)"])
        case .newerPeer(let peer, let version):
            logger.warning(
                "a node speaks a newer version of state; update this one", metadata: ["peer": "\(peer)", "version": "\(version)"])
        case .clockAhead(let peer, let milliseconds):
            logger.warning(
                "a node's clock is ahead; this one does not follow it so far",
                metadata: ["peer": "\(peer)", "milliseconds": "\(milliseconds)"])
        case .kindConflict(let key, let visible, let hidden):
            logger.warning(
                "two nodes made one key with two kinds",
                metadata: ["key": "\(key.name)", "visible": "\(visible.name)", "hidden": "\(hidden.name)"])
        }
    }
}
