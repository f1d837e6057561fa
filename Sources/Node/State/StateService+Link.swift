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
                replica.receive(frame, from: peer, now)
            case .writable(let peer, let kind):
                guard kind == .state || kind == .bulk else { return .none }
                replica.writable(peer, kind, now)
            }
            guard shell.coming != .now else { return .none }
            shell.coming = .now
            return .now
        }
        act(on: wake)
    }
}
