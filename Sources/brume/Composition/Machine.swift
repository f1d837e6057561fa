// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import FoundationEssentials
import Glibc

/// What this machine has and does, read from the kernel.
enum Machine {
    /// All of it.
    static var resources: Resources { Resources(millicores: coreCount * 1000, memoryBytes: meminfo("MemTotal") ?? 1 << 30) }

    /// All cores and nine tenths of the memory: the rest is for the node and the system under it.
    static func capacity() -> Resources {
        var capacity = resources
        capacity.memoryBytes = capacity.memoryBytes / 10 * 9
        return capacity
    }

    /// Capacity that somebody asked for instead of all of it.
    ///
    /// More CPU than there is only has to be shared, by functions that know of no limit then; memory that is not there ends programs.
    /// - Throws: `BrumeError` (`invalid`) for words that are no amount, `CommandFailure` (words) for memory that the machine has not.
    static func capacity(cpu: String?, memory: String?) throws -> Resources {
        var capacity = capacity()
        if let cpu { capacity.millicores = try Resources.millicores(parsing: cpu) }
        if let memory {
            capacity.memoryBytes = try Resources.bytes(parsing: memory)
            if let total = meminfo("MemTotal"), capacity.memoryBytes > total {
                throw CommandFailure.words(
                    "This machine has \(Wording.bytes(total)) of memory, so that it cannot give \(memory); take --memory down.")
            }
        }
        return capacity
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

    /// Where others reach a socket of this machine: as it listens, or by the first address of a network interface where it listens on all.
    ///
    /// - Returns: nil where the port is not known yet, or the machine has no address but loopback.
    static func reachableAddress(host: String, port: Int) -> String? {
        guard port > 0 else { return nil }
        guard ["0.0.0.0", "::", ""].contains(host) else { return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
        return interfaceAddress().map { "\($0):\(port)" }
    }

    /// The first IPv4 address of an interface that is up and not loopback.
    private static func interfaceAddress() -> String? {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard unsafe getifaddrs(&list) == 0 else { return nil }
        defer { unsafe freeifaddrs(list) }
        var next = unsafe list
        while let entry = unsafe next {
            unsafe next = entry.pointee.ifa_next
            let flags = unsafe entry.pointee.ifa_flags
            guard flags & UInt32(IFF_UP) != 0, flags & UInt32(IFF_LOOPBACK) == 0,
                let address = unsafe entry.pointee.ifa_addr, unsafe address.pointee.sa_family == sa_family_t(AF_INET)
            else { continue }
            var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            let length = socklen_t(MemoryLayout<sockaddr_in>.size)
            guard unsafe getnameinfo(address, length, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0 else { continue }
            return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
        return nil
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
