// SPDX-License-Identifier: Apache-2.0

package import BrumeModel
import Crypto
import NIOCore
import NIOPosix
import Synchronization

extension GRPCLink {
    /// Takes in what a peer says beside frames.
    ///
    /// - Returns: why the connection must end, or nil if it goes on.
    func take(_ message: ControlMessage, on connection: Connection) -> String? {
        switch message {
        case .greeting: return "The peer greeted twice."
        case .moved:
            connection.empty()
            let next = table.withLock { $0.moved(connection) }
            next?.mayRead.give(true)
        case .probe(let number): connection.post(.probed(number))
        case .probed(let number): connection.answered(number)
        case .revocations(let entries): return learn(entries)
        case .certificateRequest(let request): connection.post(renewal(of: connection.peer, request))
        case .certificateReply(let certificate, let refusal): takeRenewed(certificate, refusal)
        case .authorityKey(let key): return takeKey(key)
        case .signs: connection.signs()
        case .goodbye(let reason): return reason.isEmpty ? "The peer ended the connection." : reason
        }
        return nil
    }

    // MARK: Removal

    /// Removes a node from the cluster for good: its links end, it finds no new ones, and its certificate is not renewed.
    ///
    /// - Throws: `BrumeError`: `unsupported` if this node does not hold the cluster's key, `invalid` for this node itself,
    ///   `tooLarge` if the cluster has removed as many as it can remember.
    package func remove(_ node: NodeID) throws(BrumeError) {
        guard let authority else {
            throw BrumeError(.unsupported, "This node does not hold the cluster's key; remove \(node) on the one that does.")
        }
        guard node != id else {
            throw BrumeError(.invalid, "A node cannot remove itself; stop it, or remove it on another holder of the key.")
        }
        guard credentials.revocations.entries.count < Revocations.entriesMax else {
            throw BrumeError(
                .tooLarge, "The cluster remembers \(Revocations.entriesMax) removed nodes already; let this one's certificate run out.")
        }
        let revocation = try authority.revocation(of: node)
        try spread([revocation])
    }

    /// Whether a node was removed from the cluster, as far as this node knows.
    package func wasRemoved(_ node: NodeID) -> Bool { credentials.revocations.contains(node) }

    private func learn(_ entries: [Revocation]) -> String? {
        guard entries.allSatisfy({ credentials.revocations.contains($0.node) || $0.isSigned(by: credentials.authority.publicKey) }) else {
            return "The peer sent a removal that the cluster did not sign."
        }
        do {
            try spread(entries)
            return nil
        } catch {
            return error.message
        }
    }

    /// Stores removals, tells every peer of the new ones, and ends links with the removed.
    private func spread(_ entries: [Revocation]) throws(BrumeError) {
        let added = try credentials.merge(entries)
        guard !added.isEmpty else { return }
        let news = entries.filter { added.contains($0.node) }
        let connections = table.withLock { $0.peers.values.compactMap(\.active) }
        for connection in connections { connection.post(.revocations(news)) }
        for node in added {
            notices(.removed(node))
            guard node != id else { continue }
            if let connection = connections.first(where: { $0.peer == node }) {
                let reason = "Node \(node) was removed from the cluster."
                connection.post(.goodbye(reason))
                expel(connection, reason)
            }
        }
    }

    /// Ends a removed node's connection: it counts no more from now on, but its socket gets a moment for the reason to arrive.
    private func expel(_ connection: Connection, _ reason: String) {
        let other = table.withLock { table in
            table.peers[connection.peer]?.isWanted = false
            return table.close(connection, reason: reason, now: .now)
        }
        if let other { dismiss(other, reason) }
        connection.socket.channel.eventLoop.scheduleTask(in: TimeAmount(settings.farewellTime)) { self.dismiss(connection, reason) }
        delivery.call()
    }

    // MARK: Renewal

    /// Keeps this node's certificate young.
    func renewAll() async {
        renewer.call()
        for await _ in renewer.calls {
            let wait = renewIfDue()
            // A clock that was set wrong or right meanwhile is noticed within the hour.
            renewer.call(after: min(wait, .seconds(3_600)), on: loop)
        }
    }

    /// - Returns: when to look again.
    private func renewIfDue() -> Duration {
        let wait = credentials.certified.renewAt - WallClock.now()
        guard wait <= 0 else { return .seconds(wait) }
        do {
            if let authority {
                try credentials.renew(try authority.issue(for: credentials.identity.key.publicKey, life: settings.certificateLife))
                renewed()
                return .seconds(1)
            }
            guard let signer = table.withLock({ $0.peers.values.lazy.compactMap(\.active).first(where: \.peerSigns) }) else {
                throw BrumeError(.unavailable, "No node that holds the cluster's key is connected.")
            }
            signer.post(.certificateRequest(try CertificateProfile.request(for: credentials.identity)))
        } catch {
            notices(.renewalFailed(reason: FailureText.sentence(error)))
        }
        return settings.renewalRetry
    }

    private func renewal(of peer: NodeID, _ request: [UInt8]) -> ControlMessage {
        do throws(BrumeError) {
            guard let authority else { throw BrumeError(.unsupported, "This node does not hold the cluster's key.") }
            let key = try CertificateProfile.requestedKey(request)
            guard NodeID(publicKey: key) == peer else { throw BrumeError(.permission, "A node renews its own certificate only.") }
            guard !credentials.revocations.contains(peer) else { throw BrumeError(.permission, "The node was removed from the cluster.") }
            return .certificateReply(certificate: try authority.issue(for: key, life: settings.certificateLife), refusal: "")
        } catch {
            return .certificateReply(certificate: [], refusal: error.message)
        }
    }

    private func takeRenewed(_ certificate: [UInt8], _ refusal: String) {
        guard !certificate.isEmpty else { return notices(.renewalFailed(reason: refusal)) }
        do {
            try credentials.renew(certificate)
            renewed()
        } catch {
            notices(.renewalFailed(reason: error.message))
        }
    }

    private func renewed() {
        notices(.renewed(expires: credentials.expires))
        renewer.call()
        dialler.call()
    }
}
