// SPDX-License-Identifier: Apache-2.0

/// CPU and memory, in whole units so that sums are exact.
public struct Resources: Hashable, Sendable, Codable {
    /// Thousandths of a CPU core.
    public var millicores: Int
    /// Bytes of memory.
    public var memoryBytes: Int

    public init(millicores: Int, memoryBytes: Int) {
        self.millicores = millicores
        self.memoryBytes = memoryBytes
    }

    public static let zero = Resources(millicores: 0, memoryBytes: 0)

    public static func + (left: Resources, right: Resources) -> Resources {
        Resources(millicores: left.millicores + right.millicores, memoryBytes: left.memoryBytes + right.memoryBytes)
    }

    public static func - (left: Resources, right: Resources) -> Resources {
        Resources(millicores: left.millicores - right.millicores, memoryBytes: left.memoryBytes - right.memoryBytes)
    }

    /// Whether a demand of this size fits into `capacity` in both dimensions.
    public func fits(in capacity: Resources) -> Bool {
        millicores <= capacity.millicores && memoryBytes <= capacity.memoryBytes
    }
}

extension Resources {
    /// Reads Kubernetes CPU notation: `500m`, `2`, `0.25`. At least one millicore.
    ///
    /// - Throws: `BrumeError` (`invalid`).
    public static func millicores(parsing text: String) throws(BrumeError) -> Int {
        let error = BrumeError(
            .invalid, "'\(text.prefix(32))' is not an amount of CPU; write thousandths of a core (500m) or cores (2, 0.25).")
        let number = text.hasSuffix("m") ? text.dropLast() : text[...]
        // Digits and a point only: `Double` alone would also read `1e3`, `0x10` and `inf`.
        guard number.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || $0 == UInt8(ascii: ".") }),
            let value = Double(number)
        else { throw error }
        let millicores = text.hasSuffix("m") ? value : value * 1000
        guard millicores >= 1, millicores <= 1_000_000 else { throw error }
        return Int(millicores.rounded(.up))
    }

    /// Reads Kubernetes memory notation: `128Mi`, `1Gi`, `500M`, `4096Ki`, or plain bytes.
    ///
    /// - Throws: `BrumeError` (`invalid`).
    public static func bytes(parsing text: String) throws(BrumeError) -> Int {
        let error = BrumeError(
            .invalid, "'\(text.prefix(32))' is not an amount of memory; write for example 128Mi, 1Gi or a number of bytes.")
        let units: [(suffix: String, factor: Double)] = [
            ("Ki", 1024), ("Mi", 1_048_576), ("Gi", 1_073_741_824), ("Ti", 1_099_511_627_776),
            ("k", 1e3), ("K", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12), ("", 1),
        ]
        for unit in units where text.hasSuffix(unit.suffix) {
            let number = text.dropLast(unit.suffix.count)
            guard !number.isEmpty, number.allSatisfy({ $0.isASCII && ($0.isNumber || $0 == ".") }), let value = Double(number) else {
                throw error
            }
            let bytes = value * unit.factor
            guard bytes >= 1, bytes <= 1e15 else { throw error }
            return Int(bytes)
        }
        throw error
    }

    /// `500m` below a core, `2` for whole cores.
    public static func describe(millicores: Int) -> String {
        millicores % 1000 == 0 ? "\(millicores / 1000)" : "\(millicores)m"
    }

    /// The shortest exact notation: `128Mi`, `1Gi`, or plain bytes.
    public static func describe(bytes: Int) -> String {
        for (suffix, factor) in [("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)] where bytes > 0 && bytes % factor == 0 {
            return "\(bytes / factor)\(suffix)"
        }
        return "\(bytes)"
    }
}
