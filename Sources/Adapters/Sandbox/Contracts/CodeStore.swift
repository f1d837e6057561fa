// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import FoundationEssentials
import Glibc

/// The directory tree of unpacked code. Everything in it appears by one rename, so what is there is complete.
///
///     code/DIGEST        a bundle, unpacked; bound at /function
///     packages/KEY       installed Python requirements; shared by every bundle with the same list
///     uses/DIGEST        a link to the packages of that bundle
///     shims/KEY          Brume's own handler programs
///     stage/             what is being made; emptied by whoever finds it old
struct CodeStore {
    let root: String

    func function(_ digest: String) -> String { "\(root)/code/\(digest)" }
    func packagesDirectory(_ key: String) -> String { "\(root)/packages/\(key)" }
    func use(_ digest: String) -> String { "\(root)/uses/\(digest)" }
    var shims: String { "\(root)/shims/\(Self.key(Shims.python + Shims.node + Shims.state))" }
    var stage: String { "\(root)/stage" }

    /// The installed requirements of a function's bundle, or nil if it has none.
    func packages(of spec: FunctionSpec) -> String? {
        guard case .bundle(let digest) = spec.package else { return nil }
        return Self.linkTarget(use(digest)).map { packagesDirectory($0) }
    }

    /// A short name for a content (64-bit FNV-1a). Not for strangers' content: whoever uses it compares the content as well.
    static func key(_ bytes: [UInt8]) -> String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
        return String(hash, radix: 16)
    }

    static func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

    static func linkTarget(_ path: String) -> String? {
        try? FileManager.default.destinationOfSymbolicLink(atPath: path)
    }

    static func content(_ path: String) -> [UInt8]? {
        FileManager.default.contents(atPath: path).map { [UInt8]($0) }
    }

    static func write(_ bytes: [UInt8], to path: String) throws(BrumeError) {
        guard FileManager.default.createFile(atPath: path, contents: Data(bytes)) else {
            throw BrumeError(.failed, "The node could not write \(path); see that its disk is not full.")
        }
    }

    static func makeDirectory(_ path: String) throws(BrumeError) {
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw BrumeError(.failed, "The node could not make the directory \(path).", cause: error)
        }
    }

    static func remove(_ path: String) { try? FileManager.default.removeItem(atPath: path) }

    /// A new empty directory below `stage`.
    func makeStage() throws(BrumeError) -> String {
        let path = "\(stage)/\(UInt64.random(in: 0...UInt64.max))"
        try Self.makeDirectory(path)
        return path
    }

    /// Moves something finished to its place. Somebody else's equal result is as good.
    static func publish(_ staged: String, as path: String) throws(BrumeError) {
        let parent = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
        try makeDirectory(parent)
        guard unsafe rename(staged, path) != 0 else { return }
        let reason = errno
        remove(staged)
        guard reason == ENOTEMPTY || reason == EEXIST else {
            throw BrumeError(.failed, "The node could not move \(staged) to \(path): \(unsafe String(cString: strerror(reason))).")
        }
    }

    /// Removes what none of these bundles needs: unpacked code, installed requirements, shims of other versions, unfinished work.
    ///
    /// Only while nothing is being prepared and no replica runs: at the start of a node.
    ///
    /// - Returns: how many bundles were removed.
    func removeAll(but digests: Set<String>) -> Int {
        let unused = Self.names(in: "\(root)/code").filter { !digests.contains($0) }
        for name in unused { Self.remove(function(name)) }
        for name in Self.names(in: "\(root)/uses") where !digests.contains(name) { Self.remove(use(name)) }
        let keys = Set(digests.compactMap { Self.linkTarget(use($0)) })
        for name in Self.names(in: "\(root)/packages") where !keys.contains(name) { Self.remove(packagesDirectory(name)) }
        for name in Self.names(in: "\(root)/shims") where "\(root)/shims/\(name)" != shims { Self.remove("\(root)/shims/\(name)") }
        for name in Self.names(in: stage) { Self.remove("\(stage)/\(name)") }
        return unused.count
    }

    private static func names(in path: String) -> [String] { (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [] }

    /// Gives a tree to a user (installers do not run as root), or back to root.
    static func give(_ path: String, to user: UInt32) {
        guard geteuid() == 0 else { return }
        var directories = [path]
        _ = unsafe lchown(path, user, user)
        while let directory = directories.popLast() {
            for name in (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? [] {
                let entry = "\(directory)/\(name)"
                _ = unsafe lchown(entry, user, user)
                var status = stat()
                if unsafe lstat(entry, &status) == 0, status.st_mode & S_IFMT == S_IFDIR { directories.append(entry) }
            }
        }
    }

    /// Whether other users can reach a directory; root's own home is often closed.
    static func isReachable(_ path: String) -> Bool {
        var prefix = ""
        for part in path.split(separator: "/") {
            prefix += "/" + part
            var status = stat()
            guard unsafe stat(prefix, &status) == 0, status.st_mode & 0o001 != 0 else { return false }
        }
        return true
    }
}

/// Brume's own programs for the `handler` contract, built into the node.
enum Shims {
    static var python: [UInt8] { PackageResources.handler_py }
    static var node: [UInt8] { PackageResources.handler_mjs }
    /// What handlers get by `import brume`.
    static var state: [UInt8] { PackageResources.brume_py }
}
