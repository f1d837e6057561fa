// SPDX-License-Identifier: Apache-2.0
import BrumeModel

/// How amounts that calls lend each other are written.
extension Wording {
    /// `400m` or `64.0 MiB`.
    static func amount(_ amount: Int, _ kind: ResourceKind) -> String {
        kind == .cpu ? Resources.describe(millicores: amount) : bytes(amount)
    }

    /// `+400m`, `-64.0 MiB`.
    static func signed(_ amount: Int, _ kind: ResourceKind) -> String {
        (amount < 0 ? "-" : "+") + Self.amount(abs(amount), kind)
    }

    /// `1.250 core-s` or `64.0 MiB-s`, out of core-seconds or byte-seconds.
    static func overTime(_ amount: Double, _ kind: ResourceKind) -> String {
        kind == .cpu ? "\(decimal(amount, places: 3)) core-s" : "\(decimal(amount / 1_048_576, places: 1)) MiB-s"
    }

    /// `in 340 ms`, `overdue by 12 ms`; what the node lends ends when a call reserves it.
    static func ending(in milliseconds: Double?) -> String {
        guard let milliseconds else { return "when it is reserved" }
        return milliseconds < 0 ? "overdue by \(Self.milliseconds(-milliseconds))" : "in \(Self.milliseconds(milliseconds))"
    }

    /// `97.5 %`.
    static func percent(_ share: Double) -> String { "\(decimal(share * 100, places: 1)) %" }

    /// Whole numbers as they are, others with four digits or so: `1.254e-6`, `12.500`, `31457280`.
    static func number(_ value: Double) -> String {
        guard value.isFinite else { return "\(value)" }
        let size = abs(value)
        if size < 1e15, value == value.rounded() { return decimal(value, places: 0) }
        if size >= 0.1, size < 1e6 { return decimal(value, places: size < 100 ? 3 : size < 10_000 ? 1 : 0) }
        guard size < 1e-3 || size >= 1e15 else { return decimal(value, places: size < 1 ? 5 : 0) }
        var (mantissa, exponent) = (value, 0)
        // Doubles end at 308 decimal places either way.
        while abs(mantissa) >= 10, exponent < 400 { (mantissa, exponent) = (mantissa / 10, exponent + 1) }
        while abs(mantissa) < 1, exponent > -400 { (mantissa, exponent) = (mantissa * 10, exponent - 1) }
        return "\(decimal(mantissa, places: 3))e\(exponent)"
    }

    /// What a function's annotations say about lending: `CPU and memory; demand follows size, rows`.
    static func harvest(_ annotations: [String: String]) -> String {
        guard let policy = try? HarvestPolicy(annotations: annotations) else { return "" }
        let named = policy.parameterNames.isEmpty ? "" : "; demand may follow \(policy.parameterNames.joined(separator: ", "))"
        guard !policy.takesPart.isEmpty else { return "nothing (\(HarvestPolicy.annotation)=false)" }
        return kinds(ResourceKind.allCases.filter { policy.takesPart.contains($0) }) + named
    }

    static func kinds(_ kinds: [ResourceKind]) -> String {
        kinds.isEmpty ? "nothing" : kinds.map { $0 == .cpu ? "CPU" : "memory" }.joined(separator: " and ")
    }
}
