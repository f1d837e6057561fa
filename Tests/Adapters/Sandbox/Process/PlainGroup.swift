// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import BrumeSandbox

/// The files of a cgroup v2 group as plain files in a directory of its own: what is written to them, and what a kernel without one of them
/// is like, on a host of either version.
final class PlainGroup: Sendable {
    /// What a group has to begin with.
    private static let files = [
        "cpu.max": "max 100000", "cpu.max.burst": "0", "cpu.stat": "usage_usec 0\n", "memory.max": "", "memory.high": "max",
        "memory.current": "1048576\n", "memory.events": "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\n", "cgroup.freeze": "0",
    ]

    let parent: String
    let tree: CgroupTree
    let group: ReplicaCgroup

    /// - Parameter missing: files that this kernel does not have.
    init(without missing: Set<String> = []) throws {
        parent = try TestDirectory.make()
        tree = CgroupTree(kind: .unified(parent: parent), cores: 4)
        group = ReplicaCgroup(tree: tree, name: "r1")
        try FileManager.default.createDirectory(atPath: "\(parent)/r1", withIntermediateDirectories: true)
        for (name, text) in Self.files where !missing.contains(name) { try put(text, in: name) }
    }

    deinit { try? FileManager.default.removeItem(atPath: parent) }

    func path(_ name: String) -> String { "\(parent)/r1/\(name)" }

    /// Sets what a file says, in place: whoever has it open reads this next.
    func put(_ text: String, in name: String) throws {
        if !FileManager.default.fileExists(atPath: path(name)) { try Data().write(to: URL(filePath: path(name))) }
        let file = try #require(FileHandle(forWritingAtPath: path(name)))
        try file.truncate(atOffset: 0)
        try file.write(contentsOf: Data(text.utf8))
        try file.close()
    }

    /// What was written to a file since this was asked last; empty if nothing was.
    func taken(_ name: String) throws -> String {
        let text = try String(contentsOfFile: path(name), encoding: .utf8)
        try put("", in: name)
        return text
    }

    /// Has every write to a file that is open refused, until the returned closure is called.
    func refuse(_ name: String) throws -> @Sendable () -> Void {
        let descriptors = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap { CInt($0) }
        let file = try #require(
            descriptors.first { (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")) == path(name) })
        let (real, full) = (dup(file), unsafe open("/dev/full", O_WRONLY))
        dup2(full, file)
        close(full)
        return {
            dup2(real, file)
            close(real)
        }
    }
}
