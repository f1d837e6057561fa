// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel

/// A promise to keep a namespace that waits for this node's disk.
struct PendingPromise {
    let node: NodeID
    let nonce: UInt64
    let namespace: String
    /// The record up to which everything of the namespace is written.
    let record: UInt64
}

// Letting go of what nothing keeps here. A node asks those that keep the namespace whether they have the same; each that has it on its disk
// promises to keep it for a while, and only then it is dropped here.

extension Replica {
    /// How long answers are waited for: a node writes its log within a fraction of a second.
    private static let answerLimit = Duration.seconds(10)
    /// How long a node that says it keeps a namespace keeps it for the one that asked: until that one has either dropped it or given up,
    /// and half as long again for clocks that run at different speeds.
    private static let promise = Duration.seconds(15)
    /// How often the same is asked again at once because something came while others wrote what they had to their disks.
    private static let turnsMax = 20
    /// How long a node waits that was not promised enough, in milliseconds: at random, since two may have asked each other.
    private static let pauseMilliseconds: ClosedRange<Int> = 1_000...10_000

    /// Whether nothing keeps the namespace here any more. What a policy kept and nobody used need not be idle first.
    private func isUnneeded(_ namespace: Namespace, _ now: StateTime) -> Bool {
        let interest = namespace.interest
        return !interest.isPinned && interest.users == 0
            && (!interest.wasUsed || now.instant - interest.lastUsed >= namespace.settings.idle)
    }

    /// How many other nodes must have a namespace before this one drops it: one, or as many as the policy asks for.
    private func promisesNeeded(_ namespace: Namespace) -> Int {
        guard case .copies(let count) = namespace.settings.interest else { return 1 }
        return max(1, min(count, membership.others.count))
    }

    /// Asks others to keep what nothing keeps here.
    mutating func releaseIdle(_ now: StateTime) {
        for namespace in namespaces where namespace.interest.isHeld && isUnneeded(namespace, now) {
            let interest = namespace.interest
            guard interest.promisedUntil <= now.instant, interest.isFilled, interest.quietUntil <= now.instant,
                (interest.release?.until ?? .zero) <= now.instant
            else { continue }
            beginRelease(namespace, turn: 0, now)
        }
    }

    private mutating func beginRelease(_ namespace: Namespace, turn: Int, _ now: StateTime) {
        namespace.interest.release = nil
        let others = peers.filter { $0.isMember && $0.isUp && $0.interest.keeps(namespace.name) }
        let needed = promisesNeeded(namespace)
        guard others.count >= needed else { return }
        nextNonce += 1
        namespace.interest.release = LocalInterest.Release(
            nonce: nextNonce, until: now.instant + Self.answerLimit, needed: needed, roots: roots(of: namespace), turn: turn,
            waiting: others.map(\.node))
        for peer in others { askRelease(namespace, peer, now) }
    }

    private func roots(of namespace: Namespace) -> [UInt64] { spaces.filter { $0.namespace === namespace }.map(\.root) }

    private mutating func askRelease(_ namespace: Namespace, _ peer: Peer, _ now: StateTime) {
        var writer = Frame.writer(.releaseAsked, site: site, time: clock.now(wall: now.wallMilliseconds))
        writer.varint(nextNonce)
        writer.string(Bytes(namespace.name))
        let mine = spaces.filter { $0.namespace === namespace && $0.count > 0 }
        writer.count(mine.count)
        for space in mine {
            writer.spaceName(space.name)
            writer.fixed(space.root)
        }
        transmit(writer.bytes, .bulk, to: peer)
    }

    /// Promises to keep a namespace if this node has all that the other one has of it, as soon as that is on its disk.
    mutating func answerRelease(from peer: Peer, _ reader: inout ByteReader, _ now: StateTime) throws(DecodingFailure) {
        let nonce = try reader.varint()
        let name = try reader.string().text
        var isEqual = true
        for _ in 0..<(try reader.count(entryBytes: 10)) {
            let space = try reader.spaceName()
            let root = try reader.fixed()
            isEqual = isEqual && spaceNumbers[space].map { spaces[$0].root } == root
        }
        try reader.finish()
        guard let namespace = knownNamespace(name), isEqual, namespace.interest.isHeld, namespace.interest.isFilled,
            namespace.interest.release == nil
        else { return tellRelease(nonce, name, promises: false, to: peer, now) }
        namespace.interest.promisedUntil = now.instant + Self.promise
        if isDirty { flush(now) }
        let isWritten = namespace.settings.durability == .none || loggedRecord + 1 >= nextRecord
        if isWritten { return tellRelease(nonce, name, promises: true, to: peer, now) }
        // One for each peer and namespace: whoever asks again has given up its earlier question.
        promises.removeAll { $0.node == peer.node && $0.namespace == name }
        promises.append(PendingPromise(node: peer.node, nonce: nonce, namespace: name, record: nextRecord - 1))
    }

    /// Gives the promises that waited for records which are on disk now.
    mutating func settlePromises(_ now: StateTime) {
        guard !promises.isEmpty else { return }
        let settled = promises.filter { $0.record <= loggedRecord }
        promises.removeAll { $0.record <= loggedRecord }
        for promise in settled {
            guard let peer = find(promise.node), let namespace = knownNamespace(promise.namespace) else { continue }
            let stands = namespace.interest.isHeld && namespace.interest.promisedUntil > now.instant
            tellRelease(promise.nonce, promise.namespace, promises: stands, to: peer, now)
        }
    }

    private mutating func tellRelease(_ nonce: UInt64, _ name: String, promises: Bool, to peer: Peer, _ now: StateTime) {
        var writer = Frame.writer(.releaseAnswered, site: site, time: clock.now(wall: now.wallMilliseconds))
        writer.varint(nonce)
        writer.string(Bytes(name))
        writer.byte(promises ? 1 : 0)
        transmit(writer.bytes, .bulk, to: peer)
    }

    mutating func takeRelease(from peer: Peer, _ reader: inout ByteReader, _ now: StateTime) throws(DecodingFailure) {
        let nonce = try reader.varint()
        let name = try reader.string().text
        let promises = try reader.byte() == 1
        try reader.finish()
        guard let namespace = knownNamespace(name), var release = namespace.interest.release, release.nonce == nonce,
            release.until > now.instant, release.waiting.contains(peer.node)
        else { return }
        release.waiting.removeAll { $0 == peer.node }
        if promises { release.promised.append(peer.node) }
        namespace.interest.release = release
        if release.promised.count >= release.needed {
            if mayDrop(namespace, release, now) {
                drop(namespace, now)
                announceInterestSoon()
            } else if isUnneeded(namespace, now), release.turn < Self.turnsMax {
                // Something came while they wrote to their disks. That is done, so that the next answer comes at once.
                beginRelease(namespace, turn: release.turn + 1, now)
            } else {
                giveUpRelease(namespace, now)
            }
        } else if release.promised.count + release.waiting.count < release.needed {
            giveUpRelease(namespace, now)
        }
    }

    private mutating func giveUpRelease(_ namespace: Namespace, _ now: StateTime) {
        namespace.interest.release = nil
        namespace.interest.quietUntil = now.instant + .milliseconds(Int64(random.draw(Self.pauseMilliseconds)))
    }

    /// Whether nothing has happened since the others were asked that they may not have.
    private func mayDrop(_ namespace: Namespace, _ release: LocalInterest.Release, _ now: StateTime) -> Bool {
        let isClean = !spaces.contains { $0.namespace === namespace && !$0.dirty.isEmpty }
        return isUnneeded(namespace, now) && isClean && roots(of: namespace) == release.roots && durableBatch + 1 >= nextBatch
            && release.promised.allSatisfy { find($0).map { $0.durable >= $0.sent } ?? false }
    }

    /// Forgets a namespace's objects here; other nodes have them.
    private mutating func drop(_ namespace: Namespace, _ now: StateTime) {
        let wasWritten = namespace.isWritten
        namespace.interest = LocalInterest()
        namespace.isWritten = false
        counts.droppedNamespaces += 1
        forgetObjects(of: namespace)
        logInterest(in: namespace)
        // This replica's counts in them are forgotten too, so it must never count on under the same identity.
        if wasWritten { reincarnate(as: SiteID(rawValue: random.next()), now) }
    }

    /// Takes every object of a namespace out, without a word to anybody.
    mutating func forgetObjects(of namespace: Namespace) {
        for space in spaces where space.namespace === namespace {
            var all: [StateObject] = []
            space.table.forEach { all.append($0) }
            for object in all { space.drop(object) }
            space.stale = []
            space.shells = []
            space.unsaved.fill()
        }
    }
}
