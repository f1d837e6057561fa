// SPDX-License-Identifier: Apache-2.0
import FoundationEssentials
import SystemPackage

/// `node.json`: where the node of a data directory listens. Written when it listens, removed at its end.
///
/// The registry file of a machine has the same form and names the data directory too.
struct NodeFile: Codable, Equatable {
    static let name = "node.json"
    /// The file through which a command finds a node whose data directory it does not know.
    static let registryPath = "/run/brume/node.json"

    var pid: Int32
    /// The address the node was told to listen on.
    var address: String
    var port: Int
    /// Absolute path of the data directory.
    var dataDirectory: String?
    /// Where it serves Redis' protocol over TCP, as HOST:PORT; nil where it does not.
    var redis: String?

    /// The URL for a client on the same machine: a wildcard address is reached over loopback.
    var url: String {
        let host =
            switch address {
            case "", "0.0.0.0", "*": "127.0.0.1"
            case "::", "[::]": "[::1]"
            case let address where address.contains(":") && !address.hasPrefix("["): "[\(address)]"
            default: address
            }
        return "http://\(host):\(port)"
    }

    /// Reads a file; nil where there is none or it makes no sense (a node writes it in one step, so that is an old or foreign file).
    init?(path: String) {
        guard let data = FileManager.default.contents(atPath: path), let file = try? JSONDecoder().decode(NodeFile.self, from: data) else {
            return nil
        }
        self = file
    }

    init(pid: Int32, address: String, port: Int, dataDirectory: String?, redis: String? = nil) {
        self.pid = pid
        self.address = address
        self.port = port
        self.dataDirectory = dataDirectory
        self.redis = redis
    }

    /// Writes the file in one step, so that a reader never sees half of it.
    func write(to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        try encoder.encode(self).write(to: URL(filePath: path), options: .atomic)
    }
}

/// The name and password of a node, and where they came from.
struct Credentials: Equatable {
    static let folder = "credentials"
    static let userFile = "basic-auth-user"
    static let passwordFile = "basic-auth-password"
    static let defaultUser = "admin"

    var user: String
    var password: String
    /// For the sentence after a 401.
    var origin: String

    /// What goes after `Authorization: `.
    var header: String { "Basic " + Data("\(user):\(password)".utf8).base64EncodedString() }

    /// The two files of a data directory; nil where the password cannot be read.
    init?(dataDirectory: String) {
        let folder = FilePath(dataDirectory).appending(Self.folder)
        func read(_ name: String) -> String? {
            guard let data = FileManager.default.contents(atPath: folder.appending(name).string) else { return nil }
            let text = String(decoding: data, as: UTF8.self)
            return String(text.prefix { !$0.isNewline })
        }
        guard let password = read(Self.passwordFile) else { return nil }
        self.init(user: read(Self.userFile) ?? Self.defaultUser, password: password, origin: folder.string)
    }

    init(user: String, password: String, origin: String) {
        self.user = user
        self.password = password
        self.origin = origin
    }
}
