// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Metrics
import Synchronization

/// The figures that OpenFaaS dashboards rely on, under their names there.
package final class GatewayMetrics: Sendable {
    /// Functions that have figures of their own: those of removed functions stay, so there has to be an end.
    static let functionsMax = 10_000

    /// What each figure says, by name.
    package static let descriptions = [
        "gateway_function_invocation_total": "Calls that ended, by function and status.",
        "gateway_function_invocation_started": "Calls that began, by function.",
        "gateway_functions_seconds": "Time from a call's arrival to its reply, by function and status.",
        "gateway_service_count": "Replicas that can take calls, by function.",
    ]

    private let meters = Mutex<[FunctionID: FunctionMeters]>([:])

    /// The figures of a function that has been called before.
    func known(_ function: FunctionID) -> FunctionMeters? { meters.withLock { $0[function] } }

    /// The figures of one function, made at its first call.
    func meters(of function: FunctionID) -> FunctionMeters {
        meters.withLock { meters in
            if let known = meters[function] { return known }
            let made = FunctionMeters(function)
            if meters.count < Self.functionsMax { meters[function] = made }
            return made
        }
    }

    /// Brings `gateway_service_count` up to date; called before the figures are read.
    func setReplicas(_ functions: [FunctionStatus]) {
        for function in functions {
            Gauge(label: "gateway_service_count", dimensions: [("function_name", "\(function.spec.id)")])
                .record(function.availableReplicas)
        }
    }
}

/// The figures of one function.
final class FunctionMeters: Sendable {
    private struct Ended: Sendable {
        let total: Counter
        let seconds: Metrics.Timer

        init(name: String, status: Int) {
            let dimensions = [("function_name", name), ("code", "\(status)")]
            total = Counter(label: "gateway_function_invocation_total", dimensions: dimensions)
            seconds = Metrics.Timer(label: "gateway_functions_seconds", dimensions: dimensions)
        }
    }

    private let name: String
    private let begun: Counter
    private let succeeded: Ended
    private let others = Mutex<[Int: Ended]>([:])

    init(_ function: FunctionID) {
        name = "\(function)"
        begun = Counter(label: "gateway_function_invocation_started", dimensions: [("function_name", name)])
        succeeded = Ended(name: name, status: 200)
    }

    func began() { begun.increment() }

    func ended(status: Int, after nanoseconds: Int64) {
        let figures =
            status == 200
            ? succeeded
            : others.withLock { others in
                if let known = others[status] { return known }
                let made = Ended(name: name, status: status)
                others[status] = made
                return made
            }
        figures.total.increment()
        figures.seconds.recordNanoseconds(nanoseconds)
    }
}
