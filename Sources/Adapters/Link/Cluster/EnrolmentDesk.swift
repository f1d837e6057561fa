// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Crypto
import Synchronization

/// Answers nodes that want to join.
final class EnrolmentDesk: Sendable {
    /// Attempts from everywhere within ``windowSeconds``: a few machines joining at once, not somebody who tries secrets.
    static let attemptsMax = 60
    static let windowSeconds: Int64 = 60

    private struct Window {
        var began: Int64 = 0
        var attempts = 0
    }

    private let authority: @Sendable () -> ClusterAuthority?
    private let credentials: NodeCredentials
    private let settings: LinkSettings
    private let members: @Sendable () -> [LinkMember]
    private let notices: @Sendable (LinkNotice) -> Void
    private let window = Mutex(Window())

    init(
        authority: @escaping @autoclosure @Sendable () -> ClusterAuthority?, credentials: NodeCredentials, settings: LinkSettings,
        members: @escaping @Sendable () -> [LinkMember],
        notices: @escaping @Sendable (LinkNotice) -> Void
    ) {
        self.authority = authority
        self.credentials = credentials
        self.settings = settings
        self.members = members
        self.notices = notices
    }

    /// - Throws: `BrumeError` for the node that asks.
    func answer(_ bytes: [UInt8], from remote: String) throws(BrumeError) -> [UInt8] {
        do {
            return try admit(bytes)
        } catch {
            notices(.joinRefused(from: remote, reason: error.message))
            throw error
        }
    }

    private func admit(_ bytes: [UInt8]) throws(BrumeError) -> [UInt8] {
        guard bytes.count <= WireLimits.enrolmentBytesMax else {
            throw BrumeError(.tooLarge, "The request is longer than \(WireLimits.enrolmentBytesMax) bytes.")
        }
        let request = try EnrolRequest(decoding: bytes)
        guard (WireLimits.versionMin...WireLimits.versionMax).contains(request.version) else {
            throw BrumeError(
                .unsupported, "This cluster speaks version \(WireLimits.versionMax) of the link, the new node \(request.version).")
        }
        guard let authority = authority() else {
            throw BrumeError(.unsupported, "This member cannot admit nodes; join at the one that made the token.")
        }
        try countAttempt()
        let key = try CertificateProfile.requestedKey(request.request)
        let node = NodeID(publicKey: key)
        guard !credentials.revocations.contains(node) else {
            throw BrumeError(.permission, "Node \(node) was removed from the cluster; give it a new data directory to let it join again.")
        }
        try authority.spend(number: request.tokenNumber, secret: request.tokenSecret)
        let certificate = try authority.issue(for: key, life: settings.certificateLife)
        notices(.joined(node, address: request.address.isEmpty ? nil : request.address))
        return EnrolReply(
            certificate: certificate, members: members().filter { $0.id != node }, revocations: credentials.revocations.entries
        ).encoded
    }

    private func countAttempt() throws(BrumeError) {
        let now = WallClock.now()
        let attempts = window.withLock { window in
            if now - window.began >= Self.windowSeconds || now < window.began { window = Window(began: now) }
            window.attempts += 1
            return window.attempts
        }
        guard attempts <= Self.attemptsMax else {
            throw BrumeError(.unavailable, "Too many nodes try to join; try again in a minute.")
        }
    }
}
