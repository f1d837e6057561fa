// SPDX-License-Identifier: Apache-2.0

import Glibc

@testable import BrumeSandbox

/// What the host shows of sandboxes, for the tests that nothing is left.
enum HostState {
    static func text(_ path: String) -> String {
        guard let file = unsafe fopen(path, "re") else { return "" }
        defer { unsafe fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = unsafe fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes.prefix(count), as: UTF8.self)
    }

    static func write(_ text: String, to path: String) {
        guard let file = unsafe fopen(path, "we") else { return }
        unsafe fputs(text, file)
        unsafe fclose(file)
    }

    /// Pids of all processes whose command line or arguments hold this word.
    static func processes(with word: String) -> [Int] {
        HostFiles.names(in: "/proc").compactMap(Int.init).filter { pid in text("/proc/\(pid)/cmdline").contains(word) }
    }

    /// Control groups of any hierarchy with this parent group, and in it this name if one is given.
    static func groups(in parent: String, named name: String? = nil) -> [String] {
        let roots = ["/sys/fs/cgroup"] + HostFiles.names(in: "/sys/fs/cgroup").map { "/sys/fs/cgroup/\($0)" }
        return roots.map { "\($0)/\(parent)" + (name.map { "/\($0)" } ?? "") }.filter { unsafe access($0, F_OK) == 0 }
    }

    static func remove(_ directory: String) {
        for name in HostFiles.names(in: directory) {
            let path = "\(directory)/\(name)"
            if unsafe unlink(path) != 0 { remove(path) }
        }
        _ = unsafe rmdir(directory)
    }
}
