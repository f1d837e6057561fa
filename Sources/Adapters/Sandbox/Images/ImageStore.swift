// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import CBrumeLinux
import FoundationEssentials
import Glibc
import Subprocess
import Synchronization
import SystemPackage

/// An image on this node: its root directory and what its maker said about running it.
struct UnpackedImage: Sendable, Hashable {
    var rootDirectory: String
    var arguments: [String]
    var environment: [String]
    var workingDirectory: String
    var user: UInt32
    var group: UInt32
    /// Host uid that stands for the image's root; 65,536 follow it. Nil where the node is not root.
    var firstHostID: UInt32?
}

/// Fetches and unpacks images with skopeo and umoci, each manifest once.
final class ImageStore: Sendable {
    private let root: String
    private let images = Mutex<[String: UnpackedImage]>([:])

    /// Longest that fetching or unpacking may take: a gigabyte over a slow line.
    private static let toolLimit = Duration.seconds(900)
    /// Output of one tool: a few lines; more would be a list of its troubles.
    private static let outputBytes = 1 << 20
    /// Text of a failed tool kept for the message.
    private static let messageBytes = 4096
    /// Where the images' host uids begin: far above users' and the functions' own. Each image has 65,536 of them.
    private static let firstHostID: UInt32 = 0x1000_0000
    private static let hostIDsPerImage: UInt32 = 0x1_0000
    /// Ranges given by the manifest's digest; two images in one range would still be apart by all namespaces.
    private static let hostIDRanges: UInt32 = 0x6000
    /// Directories that the sandbox mounts something on, made once because the root is read-only later.
    static let mountPoints = ["/proc", "/dev", "/tmp", "/run/brume", "/home/app", "/var/openfaas/secrets", "/function", "/opt/brume"]

    /// - Parameter root: directory of the store; made when the first image comes.
    init(root: String) { self.root = root }

    /// What a prepared image is like.
    func image(of reference: String) throws(BrumeError) -> UnpackedImage {
        if let image = images.withLock({ $0[reference] }) { return image }
        throw BrumeError(.notFound, "The image \(reference) is not on this node; deploy the function again.")
    }

    /// Fetches an image, or what is new of it, and unpacks it.
    ///
    /// - Throws: `BrumeError` (`unsupported` where a tool is missing, `invalid` where the reference is wrong or cannot be fetched).
    func prepare(_ reference: String) async throws(BrumeError) {
        let skopeo = try Self.tool("skopeo")
        let umoci = try Self.tool("umoci")
        let source = try Self.source(reference)
        try HostFiles.makeDirectory(root, mode: 0o700)
        let layout = "\(root)/layout"
        let tag = Self.tag(reference)
        _ = try await Self.run(
            skopeo, ["copy", "--quiet", source, "oci:\(layout):\(tag)"],
            failing: "The image \(reference) cannot be fetched; check its name and that this node can reach the registry")
        let digest = try Self.digest(of: tag, in: layout)
        let directory = "\(root)/\(digest)"
        let range = UInt32(digest.prefix(6), radix: 16) ?? 0
        let base = geteuid() == 0 ? Self.firstHostID + range % Self.hostIDRanges * Self.hostIDsPerImage : nil
        if !HostFiles.exists(directory) {
            try await unpack(umoci, "\(layout):\(tag)", base, into: directory, reference)
        }
        let image = try Self.read(directory, base)
        images.withLock { $0[reference] = image }
    }

    /// Removes what none of these images needs: unpacked roots, and from the layout what was fetched for them.
    ///
    /// Only while nothing is being prepared and no replica runs: at the start of a node.
    ///
    /// - Returns: how many unpacked images were removed.
    func removeAll(but references: Set<String>) async -> Int {
        guard HostFiles.exists(root) else { return 0 }
        let layout = "\(root)/layout"
        let tags = Set(references.map(Self.tag))
        let index = try? Self.decode(Index.self, "\(layout)/index.json")
        var kept: Set<String> = []
        var isStale = false
        for manifest in index?.manifests ?? [] {
            let tag = manifest.annotations?[Self.tagKey] ?? ""
            if tags.contains(tag) {
                kept.insert(manifest.digest.split(separator: ":").last.map(String.init) ?? "")
            } else {
                isStale = true
                await Self.tidy(["rm", "--image", "\(layout):\(tag)"])
            }
        }
        let unused = HostFiles.names(in: root).filter { $0 != "layout" && !kept.contains($0) }
        for name in unused { HostFiles.remove("\(root)/\(name)") }
        if kept.isEmpty {
            HostFiles.remove(layout)
        } else if isStale {
            await Self.tidy(["gc", "--layout", layout])
        }
        return unused.count
    }

    /// Where it fails, some disk stays in use until the next start.
    private static func tidy(_ arguments: [String]) async {
        guard let umoci = HostFiles.program("umoci") else { return }
        _ = try? await run(umoci, arguments, failing: "The image store cannot be tidied")
    }

    private func unpack(
        _ umoci: String, _ image: String, _ base: UInt32?, into directory: String, _ reference: String
    ) async throws(BrumeError) {
        let staged = directory + ".new"
        HostFiles.remove(staged)
        var arguments = ["unpack", "--image", image]
        if let base {
            let map = "0:\(base):\(Self.hostIDsPerImage)"
            arguments += ["--uid-map", map, "--gid-map", map]
        } else {
            arguments.append("--rootless")
        }
        do throws(BrumeError) {
            _ = try await Self.run(umoci, arguments + [staged], failing: "The image \(reference) cannot be unpacked")
            for point in Self.mountPoints {
                let error = unsafe -brume_make_directory_inside("\(staged)/rootfs", point)
                if error != 0 { throw HostFiles.failure("make \(point) in", staged, error) }
            }
            // Complete only under its final name: a node that is killed here unpacks again.
            guard unsafe rename(staged, directory) == 0 else { throw HostFiles.failure("rename", staged, errno) }
        } catch {
            HostFiles.remove(staged)
            throw error
        }
    }

    private static func tool(_ name: String) throws(BrumeError) -> String {
        if let path = HostFiles.program(name) { return path }
        throw BrumeError(.unsupported, "Images need \(name), which is not installed; run: apt-get install \(name).")
    }

    /// `oci:DIRECTORY:TAG` and `docker://REFERENCE` as they are; a bare reference means a registry.
    static func source(_ reference: String) throws(BrumeError) -> String {
        let isPlain = !reference.isEmpty && !reference.hasPrefix("-") && reference.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f }
        guard isPlain else { throw BrumeError(.invalid, "'\(reference.prefix(80))' is not the name of an image.") }
        if reference.hasPrefix("docker://") { return reference }
        if reference.hasPrefix("oci:") {
            let parts = reference.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count >= 2, !parts[1].isEmpty, HostFiles.exists("\(parts[1])/index.json") else {
                throw BrumeError(
                    .invalid, "'\(reference)' names no OCI layout on this node; write oci:DIRECTORY:TAG with an absolute directory.")
            }
            return reference
        }
        return "docker://\(reference)"
    }

    /// A tag of its own for each reference: colons and slashes have meanings in tags.
    private static func tag(_ reference: String) -> String {
        "r" + String(reference.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }, radix: 16)
    }

    // MARK: What the tools wrote

    private static let tagKey = "org.opencontainers.image.ref.name"

    private struct Index: Decodable {
        struct Manifest: Decodable {
            var digest: String
            var annotations: [String: String]?
        }
        var manifests: [Manifest]
    }

    private struct RuntimeConfig: Decodable {
        struct User: Decodable {
            var uid: UInt32
            var gid: UInt32
        }
        struct Process: Decodable {
            var user: User
            var args: [String]?
            var env: [String]?
            var cwd: String?
        }
        var process: Process
    }

    /// Largest JSON file of a layout or a bundle.
    private static let documentBytes = 8 << 20

    private static func decode<Document: Decodable>(_ type: Document.Type, _ path: String) throws(BrumeError) -> Document {
        do {
            return try JSONDecoder().decode(type, from: Data((HostFiles.read(path, limit: documentBytes) ?? "").utf8))
        } catch {
            throw BrumeError(.corrupt, "The file \(path) cannot be read; remove its directory and deploy again.", cause: error)
        }
    }

    /// The hexadecimal part of the manifest's digest.
    private static func digest(of tag: String, in layout: String) throws(BrumeError) -> String {
        let index = try decode(Index.self, "\(layout)/index.json")
        let manifest = index.manifests.last { $0.annotations?[tagKey] == tag }
        guard let digest = manifest?.digest.split(separator: ":").last, digest.count == 64, digest.allSatisfy(\.isHexDigit) else {
            throw BrumeError(.corrupt, "The image store \(layout) does not hold what was fetched; remove it and deploy again.")
        }
        return String(digest)
    }

    private static func read(_ directory: String, _ base: UInt32?) throws(BrumeError) -> UnpackedImage {
        let process = try decode(RuntimeConfig.self, "\(directory)/config.json").process
        return UnpackedImage(
            rootDirectory: "\(directory)/rootfs", arguments: process.args ?? [], environment: process.env ?? [],
            workingDirectory: process.cwd ?? "/", user: process.user.uid, group: process.user.gid, firstHostID: base)
    }

    /// What to do about a trouble whose words do not say it.
    private static func hint(_ said: String) -> String {
        guard said.contains("server gave HTTP response to HTTPS client") else { return "" }
        return "; where a registry has no TLS, a file in /etc/containers/registries.conf.d has to say 'insecure = true' of it."
    }

    /// Runs a tool, never through a shell.
    private static func run(_ tool: String, _ arguments: [String], failing message: String) async throws(BrumeError) -> String {
        let (text, succeeded): (String, Bool)
        do {
            (text, succeeded) = try await withThrowingTaskGroup(of: (String, Bool).self) { group in
                group.addTask {
                    let result = try await Subprocess.run(
                        .path(FilePath(tool)), arguments: Arguments(arguments),
                        environment: .custom(["PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/root", "TMPDIR": "/tmp"]),
                        output: .string(limit: outputBytes), error: .string(limit: outputBytes))
                    let succeeded = result.terminationStatus.isSuccess
                    return (succeeded ? result.standardOutput : result.standardError, succeeded)
                }
                group.addTask {
                    try await Task.sleep(for: toolLimit)
                    return ("it took longer than \(Int(toolLimit.inSeconds)) seconds", false)
                }
                // Ending the group early ends the tool with it.
                defer { group.cancelAll() }
                return try await group.next() ?? ("", false)
            }
        } catch {
            throw BrumeError(.failed, "\(message).", cause: error)
        }
        guard succeeded else {
            let said = text.split(separator: "\n").last.map(String.init) ?? "no reason given"
            throw BrumeError(.invalid, "\(message): \(said.prefix(messageBytes))\(hint(text))")
        }
        return text
    }
}
