// SPDX-License-Identifier: Apache-2.0

/// How a kernel shares CPU between groups: in proportion to their weights, none gets more than it can use, nothing that somebody could use
/// stays idle.
public enum WaterFilling {
    /// What each gets of `amount`.
    ///
    /// - Parameters:
    ///   - caps: what each could use.
    ///   - weights: in the same order; one of 0 gets nothing while others want something.
    public static func shares(of amount: Double, caps: [Double], weights: [Double]) -> [Double] {
        precondition(caps.count == weights.count, "each group has a cap and a weight")
        guard caps.reduce(0, +) > amount else { return caps }
        // Those that are full soonest as the level rises come first.
        let order = caps.indices.filter { weights[$0] > 0 }.sorted { caps[$0] * weights[$1] < caps[$1] * weights[$0] }
        var shares = [Double](repeating: 0, count: caps.count)
        var left = amount
        var weight = order.reduce(0) { $0 + weights[$1] }
        for index in order {
            shares[index] = min(caps[index], left * weights[index] / weight)
            left = max(0, left - shares[index])
            weight -= weights[index]
        }
        return shares
    }
}
