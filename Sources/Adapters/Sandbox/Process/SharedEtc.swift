// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Glibc
import Subprocess
import SystemPackage

/// The `/etc` of every sandbox: made once at the node's start, shown with one mount.
///
/// Showing the host's files one by one costs bubblewrap 0.3 ms each, several milliseconds of every cold start.
enum SharedEtc {
    /// What programs need and what tells nothing about the host's users or services. Private keys are not among it.
    private static let shown = [
        "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "nsswitch.conf", "localtime", "timezone", "pki", "alternatives", "mime.types",
        "protocols",
        "services",
    ]
    /// The name of every sandbox's machine; one for all, so that the shared `hosts` can resolve it.
    static let hostname = "sandbox"
    private static let shownOfSSL = ["certs", "openssl.cnf"]

    /// Makes the directory anew, so that it follows the host's changes from start to start.
    static func make(_ directory: String) async throws(BrumeError) {
        HostFiles.remove(directory)
        try HostFiles.makeDirectory("\(directory)/ssl")
        try await copy(shown.map { "/etc/\($0)" }, to: directory)
        try await copy(shownOfSSL.map { "/etc/ssl/\($0)" }, to: "\(directory)/ssl")
        let id = BubblewrapCommand.insideID
        let files = [
            "passwd": """
            root:x:0:0:root:/root:/usr/sbin/nologin
            app:x:\(id):\(id):app:/home/app:/bin/sh
            nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin

            """,
            "group": "root:x:0:\napp:x:\(id):\nnogroup:x:65534:\n",
            "hosts": "127.0.0.1 localhost \(hostname)\n::1 localhost\n",
            "resolv.conf": "# This sandbox has no network.\n",
        ]
        for name in files.keys.sorted() { try HostFiles.create("\(directory)/\(name)", Array((files[name] ?? "").utf8), mode: 0o444) }
    }

    private static func copy(_ paths: [String], to directory: String) async throws(BrumeError) {
        let present = paths.filter(HostFiles.exists)
        guard !present.isEmpty else { return }
        do {
            let result = try await Subprocess.run(
                .path("/bin/cp"), arguments: Arguments(["-a", "--no-preserve=ownership", "-t", directory] + present),
                output: .discarded, error: .string(limit: 1 << 16))
            // A file that this user may not read is one that its functions may not read either.
            guard !result.terminationStatus.isSuccess, geteuid() == 0 else { return }
            throw BrumeError(.failed, "Cannot copy the host's /etc: \(result.standardError.prefix(300))")
        } catch let error as BrumeError {
            throw error
        } catch {
            throw BrumeError(.failed, "Cannot copy the host's /etc.", cause: error)
        }
    }
}
