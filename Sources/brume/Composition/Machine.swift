// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import FoundationEssentials
import Glibc

/// What this machine has and does, read from the kernel.
enum Machine {
    /// All cores and nine tenths of the memory: the rest is for the node and the system under it.
    static func capacity() -> Resources {
        let total = meminfo("MemTotal") ?? 1 << 30
        return Resources(millicores: coreCount * 1000, memoryBytes: total / 10 * 9)
    }

    static var coreCount: Int { ProcessInfo.processInfo.activeProcessorCount }

    static func wallClock() -> Instant {
        Instant(nanoseconds: Int64(Date().timeIntervalSince1970 * 1e9))
    }

    /// Resident memory of this process in bytes, or 0 where it cannot be read.
    static func residentBytes() -> Int {
        guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8) else { return 0 }
        let fields = text.split(separator: " ")
        guard fields.count > 1, let pages = Int(fields[1]) else { return 0 }
        return pages * sysconf(Int32(_SC_PAGESIZE))
    }

    static func hostName() -> String { ProcessInfo.processInfo.hostName }

    /// A line of `/proc/meminfo` in bytes.
    private static func meminfo(_ key: String) -> Int? {
        guard let text = try? String(contentsOfFile: "/proc/meminfo", encoding: .utf8) else { return nil }
        for line in text.split(separator: "\n") where line.hasPrefix(key + ":") {
            let words = line.split(separator: " ")
            return words.count > 1 ? Int(words[1]).map { $0 * 1024 } : nil
        }
        return nil
    }
}
