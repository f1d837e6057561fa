// SPDX-License-Identifier: Apache-2.0

package import BrumeModel
import BrumeState

extension StateService {
    /// Takes what the link tells; frames are merged on the link's own thread, what they cause is done in the next turn.
    ///
    /// Frames of other kinds than state and bulk are somebody else's.
    package func take(_ event: LinkEvent) {
        let now = world.now()
        var waits = false
        let wake = core.locked { replica, shell -> Wake in
            switch event {
            case .up(let peer): replica.peerUp(peer, now)
            case .down(let peer, _): replica.peerDown(peer, now)
            case .received(let frame, let kind, let peer):
                guard kind == .state || kind == .bulk else { return .none }
                shell.figures.framesReceived += 1
                shell.figures.bytesReceived += frame.count
                guard !replica.receive(frame, from: peer, now) else { break }
                waits = !mayJoin(&replica, &shell, now)
                if waits { return .none }
            case .writable(let peer, let kind):
                guard kind == .state || kind == .bulk else { return .none }
                replica.writable(peer, kind, now)
            }
            guard !shell.coming.isNow else { return .none }
            shell.coming = .now
            return .now
        }
        if waits { arm() } else { act(on: wake) }
    }

    /// Whether what a frame left to do that asks for nothing at once should be done now, with the frame: acknowledgements and records for
    /// the log wait for a frame to come when the half of their time is over, so that nobody has to wake for them alone.
    ///
    /// So do writes that would wait for a flush of their own: nodes that all write come to flush together, and each wakes once for what the
    /// others send instead of once for every one of them.
    private func mayJoin(_ replica: inout Replica, _ shell: inout StateShell, _ now: StateTime) -> Bool {
        guard !shell.isStopped else { return false }
        if replica.isDirty, shell.spacing > settings.flushSpacing, shell.lastFlush + shell.spacing / 2 <= now.instant {
            shell.isUrgent = true
            return true
        }
        guard replica.hasOutputs else { return false }
        let since = shell.outputsSince ?? now.instant
        shell.outputsSince = since
        return since + settings.replica.streamAckDelay / 2 <= now.instant
    }
}
