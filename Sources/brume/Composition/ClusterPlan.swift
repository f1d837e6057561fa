// SPDX-License-Identifier: Apache-2.0

import BrumeMembership
import BrumeModel
import FoundationEssentials
import SystemPackage

/// What `brume up` was told about other nodes.
struct ClusterPlan: Sendable {
    /// Where the link listens.
    enum LinkChoice: Sendable, Equatable {
        /// As at the last start; off at the first, unless the node joins.
        case unsaid
        /// The node works alone, even if it is a member.
        case off
        case at(host: String, port: Int)
    }

    /// The label that says where a node stands: `cloud`, or `edge` where it says nothing.
    static let tierLabel = "tier"

    /// Where a joining node listens that is told nothing else.
    static let defaultPort = 7700

    var link = LinkChoice.unsaid
    var advertised: String?
    var join: String?
    var token: String?
    var labels: [MemberMeta.Label] = []
    /// Where the node stands, `edge` or `cloud`; nil for what it said last.
    var tier: String?
    /// What `PUT /v1/lab/network` may change the network of; only the nodes of a lab.
    var emulatesNetwork = false

    /// Where to listen if nothing was said and nothing kept: where the member to join is on this machine, so are its callers.
    var defaultLink: (host: String, port: Int) {
        guard let join, let place = try? Self.place(join, option: "--join") else { return ("0.0.0.0", Self.defaultPort) }
        let isLocal = place.host == "127.0.0.1" || place.host == "localhost" || place.host == "::1"
        return isLocal ? ("127.0.0.1", 0) : ("0.0.0.0", Self.defaultPort)
    }

    /// Reads `HOST:PORT`, with brackets round an IPv6 address.
    ///
    /// - Throws: `CommandFailure` with the option's name.
    static func place(_ text: String, option: String, allowsZero: Bool = false) throws(CommandFailure) -> (host: String, port: Int) {
        let example = option == "--link" ? "0.0.0.0:7700" : "10.0.0.5:7700"
        let failure = CommandFailure.words("'\(text)' (\(option)) is no HOST:PORT; write for example \(option) \(example).")
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]) else { throw failure }
        guard (allowsZero ? 0 : 1)...65_535 ~= port else { throw failure }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = String(host.dropFirst().dropLast())
        } else if host.contains(":") {
            throw failure
        }
        guard !host.isEmpty, !host.contains(where: \.isWhitespace) else { throw failure }
        return (host, port)
    }

    /// Reads `KEY=VALUE`.
    static func label(_ text: String) throws(CommandFailure) -> MemberMeta.Label {
        guard let sign = text.firstIndex(of: "="), sign != text.startIndex else {
            throw .words("'\(text)' (--label) is no KEY=VALUE; write for example --label tier=cloud.")
        }
        let label = MemberMeta.Label(String(text[..<sign]), String(text[text.index(after: sign)...]))
        if label.key == tierLabel, TierChoice(rawValue: label.value) == nil {
            throw .words("'\(text)' (--label): a node stands at the edge or in the cloud; write --tier edge or --tier cloud.")
        }
        return label
    }
}

/// What a node keeps about its cluster beside its identity, in `DATA-DIR/cluster`.
struct ClusterFiles: Sendable {
    /// How the link was last told to listen, so that a plain `brume up` takes the node back into its cluster.
    struct Link: Codable, Equatable {
        var host: String
        var port: Int
        var advertised: String?
        /// `KEY=VALUE`, as they were said last.
        var labels: [String]?
    }

    private static let linkFile = "link.json"
    private static let membersFile = "members"
    /// More is no file of ours: a thousand records of a kilobyte, in hexadecimal.
    private static let bytesMax = 4 << 20

    private let folder: FilePath

    /// - Throws: `BrumeError` (`permission`) if the folder cannot be made.
    init(_ directory: NodeDirectory) throws(BrumeError) {
        folder = directory.path.appending("cluster")
        do {
            try FileManager.default.createDirectory(
                atPath: folder.string, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw BrumeError(.permission, "\(folder) cannot be made; check the owner of the data directory.", cause: error)
        }
    }

    /// How the link listened last; nil where it never did.
    func link() -> Link? {
        let data = FileManager.default.contents(atPath: folder.appending(Self.linkFile).string)
        return data.flatMap { try? JSONDecoder().decode(Link.self, from: $0) }
    }

    func keep(_ link: Link) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        try write(encoder.encode(link), to: Self.linkFile)
    }

    /// What is said of the node: the labels of the command line, or where there are none those of the last start; and its tier.
    func labels(_ said: [MemberMeta.Label], tier: String?) -> [MemberMeta.Label] {
        var labels = said.isEmpty ? (link()?.labels ?? []).compactMap { try? ClusterPlan.label($0) } : said
        guard let tier else { return labels }
        labels.removeAll { $0.key == ClusterPlan.tierLabel }
        return labels + [MemberMeta.Label(ClusterPlan.tierLabel, tier)]
    }

    /// The members that were known last; lines that make no sense are left out, as a node learns them anew from others.
    func members() -> [MemberRecord] {
        guard let data = FileManager.default.contents(atPath: folder.appending(Self.membersFile).string), data.count <= Self.bytesMax else {
            return []
        }
        return String(decoding: data, as: UTF8.self).split(separator: "\n").compactMap { line in
            Self.bytes(line).flatMap { try? MemberRecord(decoding: $0) }
        }
    }

    func keep(_ members: [MemberRecord]) throws {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for record in members {
            for byte in record.encoded() { text += [digits[Int(byte >> 4)], digits[Int(byte & 0xF)]] }
            text.append(UInt8(ascii: "\n"))
        }
        try write(Data(text), to: Self.membersFile)
    }

    private func write(_ data: Data, to name: String) throws {
        try data.write(to: URL(filePath: folder.appending(name).string), options: .atomic)
    }

    private static func bytes(_ line: Substring) -> [UInt8]? {
        let digits = Array(line.utf8)
        guard digits.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let byte = UInt8(String(decoding: digits[index..<(index + 2)], as: UTF8.self), radix: 16) else { return nil }
            bytes.append(byte)
        }
        return bytes
    }
}
