// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel

// Rights of bounded counters, which go from node to node.

extension Replica {
    func hasRights(_ key: ObjectKey, _ amount: Int64, _ now: StateTime) throws(StateError) -> Bool {
        try boundedRights(key, now) >= amount
    }

    /// Asks the nodes that hold most rights for what is missing here.
    mutating func seekRights(_ key: ObjectKey, _ amount: Int64, _ now: StateTime) {
        guard let object = try? reading(key, BoundedCounter.self, now) else { return }
        var missing = amount - object.content.rights(of: site)
        let holders = object.content.holders.filter { $0.site != site }.sorted { ($1.rights, $0.site) < ($0.rights, $1.site) }
        for holder in holders where missing > 0 {
            guard let peer = peers.first(where: { $0.site == holder.site && $0.isUp && $0.isMember }) else { continue }
            let asked = min(missing, holder.rights)
            missing -= asked
            var writer = Frame.writer(.rightsAsked, site: site, time: clock.now(wall: now.wallMilliseconds))
            writer.spaceName(name(of: key.space))
            writer.string(key.name)
            writer.varint(UInt64(asked))
            transmit(writer.bytes, .state, to: peer)
        }
    }

    mutating func answerRights(from peer: Peer, _ reader: inout ByteReader, _ now: StateTime) throws(DecodingFailure) {
        let space = try reader.spaceName()
        let name = try reader.string()
        let asked = Int64(clamping: try reader.varint())
        try reader.finish()
        guard peer.isMember, let receiver = peer.site, let number = spaceNumbers[space] else { return }
        let key = ObjectKey(SpaceID(number), name)
        guard let object = try? reading(key, BoundedCounter.self, now) else { return }
        let held = object.content.rights(of: site)
        // All that is asked if it leaves half here, else half: two that ask by turns must not leave each other nothing.
        let given = min(asked, max(held / 2, held - asked, asked > held / 2 ? held / 2 : 0), held)
        let amount = given > 0 ? given : min(asked, held)
        guard amount > 0 else { return }
        _ = object.change { content, delta in
            try? content.transfer(amount, from: site, to: receiver, into: &delta)
        }
        changed(object, clock.now(wall: now.wallMilliseconds), now)
        counts.transfers += 1
        flush(now)
    }
}
