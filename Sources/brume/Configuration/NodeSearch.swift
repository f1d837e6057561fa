// SPDX-License-Identifier: Apache-2.0
import FoundationEssentials
import Glibc
import SystemPackage

/// Which node a command talks to, and how it knows.
struct NodeAddress: Equatable {
    /// Without a slash at the end.
    var url: String
    /// For sentences: `--url`, `BRUME_URL`, a `node.json`, or `the default`.
    var origin: String
    var credentials: Credentials?
    /// Why there are none, for the sentence after a 401; empty where there are some.
    var withoutCredentials = ""

    /// The address with which a function is called from outside.
    func functionURL(_ path: String) -> String { url + "/function/" + path }
}

/// Finds the node: what was said on the command line, then the environment, then the files of nodes on this machine.
struct NodeSearch {
    /// What was said on the command line.
    struct Wishes: Equatable {
        var url: String?
        var user: String?
        var password: String?
        var dataDirectory: String?
        /// A stack file's `provider.gateway`: used where nothing better is known.
        var gateway: String?
    }

    static let defaultURL = "http://127.0.0.1:8080"

    var environment: [String: String] = ProcessInfo.processInfo.environment
    var localDataDirectory = "brume-data"
    var systemDataDirectory = "/var/lib/brume"
    var registryPath = NodeFile.registryPath
    /// A file left behind by a node that was killed names a process that is gone.
    var processExists: @Sendable (Int32) -> Bool = { kill($0, 0) == 0 || errno == EPERM }

    /// - Throws: `CommandFailure` where what was said cannot be right: no URL, or a data directory without a running node.
    func find(_ wishes: Wishes) throws(CommandFailure) -> NodeAddress {
        var address = try location(wishes)
        if let credentials = try credentials(wishes, for: &address) {
            address.credentials = credentials
            address.withoutCredentials = ""
        }
        return address
    }

    // MARK: Address

    private func location(_ wishes: Wishes) throws(CommandFailure) -> NodeAddress {
        if let url = wishes.url { return NodeAddress(url: try Self.checked(url, origin: "--url"), origin: "--url") }
        if let directory = wishes.dataDirectory { return try location(inNamed: directory) }
        for name in ["BRUME_URL", "OPENFAAS_URL"] {
            if let url = environment[name], !url.isEmpty { return NodeAddress(url: try Self.checked(url, origin: name), origin: name) }
        }
        for candidate in candidates() where processExists(candidate.file.pid) {
            return NodeAddress(url: candidate.file.url, origin: candidate.path)
        }
        if let gateway = wishes.gateway, !gateway.isEmpty {
            return NodeAddress(url: try Self.checked(gateway, origin: "provider.gateway"), origin: "the stack file's provider.gateway")
        }
        return NodeAddress(url: Self.defaultURL, origin: "the default")
    }

    private func location(inNamed directory: String) throws(CommandFailure) -> NodeAddress {
        let path = FilePath(directory).appending(NodeFile.name).string
        guard let file = NodeFile(path: path) else {
            throw .failed("No node runs on the data directory \(directory) (it has no \(NodeFile.name)); \(Self.startHint(directory)).")
        }
        guard processExists(file.pid) else {
            throw .failed(
                "No node runs on the data directory \(directory) (its process \(file.pid) has ended); \(Self.startHint(directory)).")
        }
        return NodeAddress(url: file.url, origin: path)
    }

    private static func startHint(_ directory: String) -> String { "start one with: brume up --data-dir \(directory)" }

    /// The nodes this machine knows of, best first.
    private func candidates() -> [(file: NodeFile, path: String, directory: String?)] {
        var found: [(file: NodeFile, path: String, directory: String?)] = []
        for directory in [localDataDirectory, systemDataDirectory] {
            let path = FilePath(directory).appending(NodeFile.name).string
            if let file = NodeFile(path: path) { found.append((file, path, directory)) }
        }
        if let file = NodeFile(path: registryPath) { found.append((file, registryPath, file.dataDirectory)) }
        return found
    }

    /// Checks that a URL can be used, and takes the slash at its end away.
    private static func checked(_ text: String, origin: String) throws(CommandFailure) -> String {
        let url = text.contains("://") ? text : "http://" + text
        guard let parsed = URL(string: url), let scheme = parsed.scheme, ["http", "https"].contains(scheme), parsed.host()?.isEmpty == false
        else { throw .words("'\(text)' (\(origin)) is not the address of a node; write for example http://127.0.0.1:8080.") }
        return String(url.reversed().drop { $0 == "/" }.reversed())
    }

    // MARK: Credentials

    private func credentials(_ wishes: Wishes, for address: inout NodeAddress) throws(CommandFailure) -> Credentials? {
        let inURL = Self.takeUserInfo(from: &address.url, origin: address.origin)
        if let password = wishes.password {
            return Credentials(user: wishes.user ?? inURL?.user ?? Credentials.defaultUser, password: password, origin: "--password")
        }
        if let inURL { return inURL }
        if let password = environment["BRUME_PASSWORD"], !password.isEmpty {
            let user = wishes.user ?? environment["BRUME_USER"] ?? Credentials.defaultUser
            return Credentials(user: user, password: password, origin: "BRUME_PASSWORD")
        }
        guard let directory = dataDirectory(wishes, of: address) else {
            address.withoutCredentials = "none were given and no data directory of this node is known here"
            return nil
        }
        guard var credentials = Credentials(dataDirectory: directory) else {
            address.withoutCredentials = "those in \(directory)/\(Credentials.folder) cannot be read by this user"
            return nil
        }
        if let user = wishes.user { credentials.user = user }
        return credentials
    }

    /// The data directory whose node listens at the address: a URL alone is enough on the node's own machine.
    private func dataDirectory(_ wishes: Wishes, of address: NodeAddress) -> String? {
        if let directory = wishes.dataDirectory { return directory }
        if let candidate = candidates().first(where: { $0.path == address.origin }) { return candidate.directory }
        let wanted = address.url.replacing("//localhost:", with: "//127.0.0.1:")
        if let match = candidates().first(where: { $0.file.url == wanted && processExists($0.file.pid) }) { return match.directory }
        guard wanted == Self.defaultURL else { return nil }
        // A node that could write no node.json still has its credentials where the defaults say.
        return [localDataDirectory, systemDataDirectory].first { directory in
            FileManager.default.fileExists(atPath: FilePath(directory).appending(Credentials.folder).string)
        }
    }

    /// Takes `user:password@` out of a URL, so that it appears in no message.
    private static func takeUserInfo(from url: inout String, origin: String) -> Credentials? {
        guard let slashes = url.firstRange(of: "://") else { return nil }
        let rest = url[slashes.upperBound...]
        let authority = rest.prefix { $0 != "/" }
        guard let at = authority.lastIndex(of: "@") else { return nil }
        let parsed = URL(string: url)
        url.removeSubrange(slashes.upperBound...at)
        guard let user = parsed?.user(percentEncoded: false), let password = parsed?.password(percentEncoded: false) else { return nil }
        return Credentials(user: user, password: password, origin: origin)
    }
}
