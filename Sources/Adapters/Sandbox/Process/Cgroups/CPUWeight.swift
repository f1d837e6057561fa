// SPDX-License-Identifier: Apache-2.0

/// The kernel's words for what a replica counts where all together want more CPU than there is: in proportion to its allocation.
struct CPUWeight: Hashable, Sendable {
    /// A core counts as one thread of the host does.
    private static let legacyOfCore = 1024
    private static let unifiedOfCore = 100
    /// The kernel takes nothing outside of these.
    private static let legacyRange = 2...262_144
    private static let unifiedRange = 1...10_000

    /// For `cpu.shares`.
    let legacy: Int
    /// For `cpu.weight`.
    let unified: Int

    init(millicores: Int) {
        // More than any machine has, and far from an overflow.
        let millicores = min(max(0, millicores), 1_000_000)
        legacy = min(max(Self.legacyRange.lowerBound, millicores * Self.legacyOfCore / 1000), Self.legacyRange.upperBound)
        unified = min(max(Self.unifiedRange.lowerBound, millicores * Self.unifiedOfCore / 1000), Self.unifiedRange.upperBound)
    }
}
