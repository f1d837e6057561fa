// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// What became of one call of a trace: a line of the per-call CSV.
///
/// Its columns are those of Libra's `_trajectory` and `_delta` logs, in their units (seconds, cores, MB), and the phases that Brume
/// measures. What is not known is left empty.
public struct ReplayRecord: Hashable, Sendable {
    /// Position in the trace, from 0.
    public var index: Int
    /// The id that the node gave the call; empty if it never answered.
    public var requestID: String
    public var function: String
    public var inputSize: Int?
    /// Answered with 2xx.
    public var succeeded: Bool
    public var timedOut: Bool
    /// Status of the answer; nil where there was none.
    public var status: Int?
    /// Why there was no answer, in a word; empty where there was one.
    public var failure: String
    /// When the call was due, from the beginning of the run.
    public var due: Duration
    /// When it went out.
    public var sent: Duration?
    /// From when it was due until its answer was complete (Libra: `completion_time`).
    public var completion: Duration?
    /// Phases on the node.
    public var queued: Duration?
    public var starting: Duration?
    public var running: Duration?
    /// Whether a replica was started for it.
    public var isCold: Bool?
    /// What the node did with its resources, where somebody knows.
    public var resources: Resources

    /// Predicted, used, lent and borrowed.
    public struct Resources: Hashable, Sendable {
        /// Predicted peaks, after they were clipped, and the predicted duration.
        public var millicores: Int?
        public var memoryBytes: Int?
        public var predictedDuration: Duration?
        /// Measured peaks.
        public var peakMillicores: Int?
        public var peakMemoryBytes: Int?
        public var wasSafeguarded: Bool?
        /// Borrowed less lent, times how long.
        public var millicoreSeconds: Int?
        public var memoryByteSeconds: Int?
        /// Lent to the pool and used by nobody, times how long.
        public var idleMillicoreSeconds: Int?
        public var idleMemoryByteSeconds: Int?

        public init() {}
    }

    public init(index: Int, function: String, due: Duration, inputSize: Int? = nil) {
        self.index = index
        self.function = function
        self.due = due
        self.inputSize = inputSize
        requestID = ""
        succeeded = false
        timedOut = false
        failure = ""
        resources = Resources()
    }

    /// The first line of the CSV.
    public static let header = columns.map(\.name).joined(separator: ",")

    /// The record as a line, without its end.
    public var line: String { Self.columns.map { TableText.field($0.value(self)) }.joined(separator: ",") }

    private struct Column: Sendable {
        let name: String
        let value: @Sendable (ReplayRecord) -> String
    }

    private static let columns: [Column] = [
        Column(name: "index") { "\($0.index)" },
        Column(name: "request_id", value: \.requestID),
        Column(name: "function_id", value: \.function),
        Column(name: "input_size") { $0.inputSize.map { "\($0)" } ?? "" },
        Column(name: "success") { $0.succeeded ? "1" : "0" },
        Column(name: "timeout") { $0.timedOut ? "1" : "0" },
        Column(name: "cpu") { cores($0.resources.millicores) },
        Column(name: "memory") { megabytes($0.resources.memoryBytes) },
        Column(name: "cpu_peak") { cores($0.resources.peakMillicores) },
        Column(name: "mem_peak") { megabytes($0.resources.peakMemoryBytes) },
        Column(name: "predict_duration") { seconds($0.resources.predictedDuration) },
        Column(name: "duration") { seconds($0.running) },
        Column(name: "completion_time") { seconds($0.completion) },
        Column(name: "is_safeguard") { $0.resources.wasSafeguarded.map { $0 ? "1" : "0" } ?? "" },
        Column(name: "cpu_delta") { cores($0.resources.millicoreSeconds) },
        Column(name: "mem_delta") { megabytes($0.resources.memoryByteSeconds) },
        Column(name: "cpu_idle") { cores($0.resources.idleMillicoreSeconds) },
        Column(name: "memory_idle") { megabytes($0.resources.idleMemoryByteSeconds) },
        Column(name: "status") { $0.status.map { "\($0)" } ?? "" },
        Column(name: "failure", value: \.failure),
        Column(name: "due_ms") { NumberText.milliseconds($0.due) },
        Column(name: "sent_ms") { milliseconds($0.sent) },
        Column(name: "queued_ms") { milliseconds($0.queued) },
        Column(name: "starting_ms") { milliseconds($0.starting) },
        Column(name: "running_ms") { milliseconds($0.running) },
        Column(name: "cold") { $0.isCold.map { $0 ? "1" : "0" } ?? "" },
    ]

    private static func seconds(_ duration: Duration?) -> String { duration.map(NumberText.seconds) ?? "" }
    private static func milliseconds(_ duration: Duration?) -> String { duration.map(NumberText.milliseconds) ?? "" }
    /// Thousandths as units: millicores as cores, millicore-seconds as core-seconds.
    private static func cores(_ thousandths: Int?) -> String { thousandths.map { NumberText.decimal(Double($0) / 1000, places: 3) } ?? "" }
    /// Libra's MB are 10^6 bytes.
    private static func megabytes(_ bytes: Int?) -> String { bytes.map { NumberText.decimal(Double($0) / 1e6, places: 6) } ?? "" }
}
