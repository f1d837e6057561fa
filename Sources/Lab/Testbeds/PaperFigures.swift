// SPDX-License-Identifier: Apache-2.0

/// What Libra's paper (HPDC 2023) publishes, as numbers. "fig" means read off the vector data of a figure, good to about one percent.
public enum PaperFigures {
    /// One platform on the single node, 165 calls (section 8.3, figures 6 and 7).
    public struct Single: Sendable {
        public let name: String
        /// Seconds, fig.
        public let p99: Double
        public let mean: Double
        public let median: Double
        /// Parts of the time with the user's allocation that were saved, fig.
        public let medianSpeedup: Double
        public let meanSpeedup: Double
        /// Percent, from the text.
        public let worstDegradation: Double
        /// Libra's average use over this platform's, from the text.
        public let libraCPUTimes: Double
        public let libraMemoryTimes: Double
        /// Until the last call had ended, seconds, fig; nil where the figure does not show it.
        public let completion: Double?
    }

    public static let single = [
        Single(
            name: "Default", p99: 127.7, mean: 56.2, median: 56.3, medianSpeedup: 0, meanSpeedup: 0, worstDegradation: 0,
            libraCPUTimes: 3.82, libraMemoryTimes: 2.09, completion: 375),
        Single(
            name: "Freyr", p99: 104.0, mean: 49.7, median: 50.6, medianSpeedup: 0.08, meanSpeedup: 0.05, worstDegradation: 180,
            libraCPUTimes: 2.93, libraMemoryTimes: 2.48, completion: 320),
        Single(
            name: "Libra", p99: 65.0, mean: 21.9, median: 18.5, medianSpeedup: 0.63, meanSpeedup: 0.59, worstDegradation: 2,
            libraCPUTimes: 1, libraMemoryTimes: 1, completion: 185),
        Single(
            name: "NS", p99: 82.5, mean: 25.1, median: 19.9, medianSpeedup: 0.54, meanSpeedup: 0.49, worstDegradation: 42,
            libraCPUTimes: 1.21, libraMemoryTimes: 1.40, completion: nil),
        Single(
            name: "NP", p99: 110.5, mean: 48.1, median: 45.2, medianSpeedup: 0.13, meanSpeedup: 0.13, worstDegradation: 6,
            libraCPUTimes: 1.84, libraMemoryTimes: 1.60, completion: nil),
        Single(
            name: "NSP", p99: 131.3, mean: 55.9, median: 54.8, medianSpeedup: -0.01, meanSpeedup: -0.02, worstDegradation: 197,
            libraCPUTimes: 2.05, libraMemoryTimes: 2.00, completion: nil),
    ]
    /// Libra's highest CPU use, of all cores, fig 7.
    public static let singlePeakCPU = 0.8

    // MARK: Four nodes of 32 cores and 32 GB, all with Libra's harvesting (section 8.4, figures 9 to 11)

    public static let rates = [10, 20, 30, 40, 50, 60, 120, 180, 240, 300]

    /// One scheduler: P99 in seconds by rate, and what is published at 120 and 300 calls a minute.
    public struct Scheduler: Sendable {
        public let name: String
        public let p99: [Double]
        /// Seconds, at 120 and at 300.
        public let completion: (at120: Double, at300: Double)
        /// Core-seconds.
        public let idleCPU: (at120: Double, at300: Double)
        /// Thousands of MB-seconds at 300.
        public let idleMemory: Double
        /// Percent at 60 and at 300, and the highest at 300.
        public let cpu: (at60: Double, at300: Double, peak: Double)
        /// Percent at 300: average and highest.
        public let memory: (average: Double, peak: Double)
    }

    public static let schedulers = [
        Scheduler(
            name: "Default", p99: [32.9, 46.9, 52.8, 56.3, 65.9, 65.5, 75.9, 84.4, 95.5, 94.6], completion: (164, 413),
            idleCPU: (796, 3056), idleMemory: 270, cpu: (22.9, 38.1, 80.0), memory: (21.0, 50.0)),
        Scheduler(
            name: "RR", p99: [28.2, 33.1, 35.8, 35.2, 42.2, 40.1, 55.0, 82.8, 87.6, 92.2], completion: (121, 351),
            idleCPU: (615, 2620), idleMemory: 256, cpu: (30.9, 37.4, 83.5), memory: (19.2, 47.0)),
        Scheduler(
            name: "JSQ", p99: [27.7, 30.5, 32.0, 31.2, 33.3, 38.0, 50.8, 78.3, 87.5, 93.5], completion: (115, 318),
            idleCPU: (834, 2543), idleMemory: 224, cpu: (30.4, 37.6, 85.1), memory: (19.8, 53.6)),
        Scheduler(
            name: "MWS", p99: [24.1, 31.1, 32.6, 32.8, 36.3, 40.2, 43.8, 73.2, 80.7, 86.1], completion: (122, 285),
            idleCPU: (575, 2183), idleMemory: 228, cpu: (28.6, 37.8, 87.6), memory: (18.3, 50.5)),
        Scheduler(
            name: "Libra", p99: [23.3, 28.8, 27.6, 29.3, 30.1, 32.5, 37.0, 68.6, 76.1, 82.0], completion: (106, 258),
            idleCPU: (525, 1853), idleMemory: 173, cpu: (31.3, 39.3, 92.8), memory: (21.1, 56.4)),
    ]

    // MARK: 10 to 50 nodes of 24 cores and 24 GB (section 8.5, figure 12)

    public static let nodeCounts = [10, 20, 30, 40, 50]
    /// Completion in seconds by nodes, for 1 to 4 schedulers: a thousand concurrent calls.
    public static let strongScaling: [[Double]] = [
        [295, 279, 229, 221, 205], [259, 239, 208, 190, 182], [243, 211, 197, 176, 165], [231, 192, 182, 160, 151],
    ]
    /// The same with twenty calls for each node.
    public static let weakScaling: [[Double]] = [
        [186, 188, 187, 189, 198], [179, 180, 179, 184, 190], [169, 162, 166, 169, 173], [143, 141, 142, 152, 148],
    ]

    // MARK: Sensitivity (figures 14 and 16)

    /// By thresholds of 0 to 1 in tenths: calls safeguarded in percent, and P99 in seconds.
    public static let thresholdSafeguarded: [Double] = [85, 81, 76, 76, 62, 52, 38, 15, 8, 5, 1]
    public static let thresholdP99: [Double] = [118, 104, 97, 96, 89, 88, 77, 73, 65, 75, 75]
    /// By weights of 0 to 1 in tenths, at 120 calls a minute: P99 in seconds.
    public static let weightP99: [Double] = [100, 88, 89, 79, 76, 75, 72, 68, 71, 61, 66]

    // MARK: Mix of the workload (section 8.7, figure 13)

    /// P99 below Default's, as a part (text); mean speedup (fig, nil where it does not show it).
    public static let mix: [(name: String, p99Below: Double, meanSpeedup: Double?)] = [
        ("size-related", 0.94, 0.57), ("hybrid", 0.50, 0.59), ("unrelated", 0.13, 0.11),
    ]
}
