// SPDX-License-Identifier: Apache-2.0

package import BrumeModel
import BrumeState

extension StateService {
    /// Takes what the link tells; frames are merged on the link's own thread, what they cause is done in the next turn.
    ///
    /// Frames of other kinds than state and bulk are somebody else's.
    package func take(_ event: LinkEvent) {
        let now = world.now()
        let wake = core.locked { replica, shell -> Wake in
            switch event {
            case .up(let peer): replica.peerUp(peer, now)
            case .down(let peer, _): replica.peerDown(peer, now)
            case .received(let frame, let kind, let peer):
                guard kind == .state || kind == .bulk else { return .none }
                shell.figures.framesReceived += 1
                shell.figures.bytesReceived += frame.count
                guard !replica.receive(frame, from: peer, now) else { break }
                return patientWake(&replica, &shell, now)
            case .writable(let peer, let kind):
                guard kind == .state || kind == .bulk else { return .none }
                replica.writable(peer, kind, now)
            }
            guard !shell.coming.isNow else { return .none }
            shell.coming = .now
            return .now
        }
        act(on: wake)
    }

    /// What must happen after a frame that asks for nothing at once: an acknowledgement and records for the log share a later turn.
    private func patientWake(_ replica: inout Replica, _ shell: inout StateShell, _ now: StateTime) -> Wake {
        guard !shell.isStopped else { return .none }
        if replica.isDirty {
            let wake = self.wake(&replica, &shell, now)
            if case .now = wake { return wake }
        }
        var due = replica.hasOutputs ? now.instant + settings.replica.streamAckDelay : Instant.distantFuture
        if let next = replica.wake, next < shell.timer?.at ?? .distantFuture { due = min(due, next) }
        return due < .distantFuture ? self.wake(at: due, &shell, now) : .none
    }
}
