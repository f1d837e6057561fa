// SPDX-License-Identifier: Apache-2.0

import BrumeHarvest
import BrumeModel
import Testing

/// A node on which calls advance at the speed that their CPU limit allows: no scheduler, no noise between calls, no cold starts.
///
/// Enough to see what the policy does to run times and to utilisation when its predictions are off by as much as the noise.
struct FluidNode {
    struct Arrival {
        let at: Double
        let function: Int
        let multiple: Double
        /// What chance makes of this call: its run time and its peaks, over those of the description.
        let slowness: Double
        let peakFactor: Double
    }

    struct Outcome {
        var latencies: [Double] = []
        var end = 0.0
        var busyCoreSeconds = 0.0
        var safeguards = 0

        var mean: Double { latencies.reduce(0, +) / Double(latencies.count) }
        var p99: Double { latencies.sorted()[Int(Double(latencies.count) * 0.99)] }
    }

    private struct Running {
        let arrival: Int
        var left = 1.0
        var limit = 0
        /// When the safeguard looks at it again.
        var look = Double.infinity
    }

    let functions: [SyntheticFunction]
    let allocations: [Resources]
    var harvester: Harvester
    private var running: [CallID: Running] = [:]
    private var now = 0.0

    init(_ functions: [SyntheticFunction], allocations: [Resources], settings: HarvesterSettings) {
        self.functions = functions
        self.allocations = allocations
        harvester = Harvester(settings: settings, now: .zero)
    }

    /// Runs the arrivals, first come first served. Without `harvests` every call has its allocation and no more.
    mutating func run(_ arrivals: [Arrival], harvests: Bool) -> Outcome {
        var outcome = Outcome(latencies: [Double](repeating: 0, count: arrivals.count))
        var (next, queue, arrived) = (0, [Int](), 0)
        while next < arrivals.count || !queue.isEmpty || !running.isEmpty {
            // Whatever comes first: an arrival, an end, a look.
            var (at, call): (Double, CallID?) = (next < arrivals.count ? arrivals[next].at : .infinity, nil)
            for id in running.keys.sorted() {
                guard let state = running[id] else { continue }
                let end = now + state.left * seconds(arrivals[state.arrival], state.limit)
                if min(end, state.look) < at { (at, call) = (min(end, state.look), id) }
            }
            advance(to: at, arrivals, &outcome)
            if let call, let state = running[call] {
                if state.left < 1e-9 { finish(call, arrivals, &outcome) } else { look(call, arrivals, &outcome) }
            } else {
                queue.append(next)
                next += 1
            }
            while let first = queue.first, begin(first, arrivals[first], harvests, CallID(UInt64(arrived))) {
                queue.removeFirst()
                arrived += 1
            }
        }
        outcome.end = now
        return outcome
    }

    private var instant: Instant { Instant(nanoseconds: Int64(now * 1e9)) }
    private func seconds(_ arrival: Arrival, _ millicores: Int) -> Double {
        functions[arrival.function].seconds(at: arrival.multiple, millicores: max(1, millicores)) * arrival.slowness
    }
    private func cores(_ arrival: Arrival) -> Double { functions[arrival.function].cores(arrival.multiple) * arrival.peakFactor }

    private mutating func advance(to time: Double, _ arrivals: [Arrival], _ outcome: inout Outcome) {
        for id in running.keys.sorted() {
            guard let state = running[id] else { continue }
            let part = (time - now) / seconds(arrivals[state.arrival], state.limit)
            running[id]?.left -= part
            outcome.busyCoreSeconds += (time - now) * min(cores(arrivals[state.arrival]), Double(state.limit) / 1000)
        }
        now = time
    }

    private mutating func begin(_ index: Int, _ arrival: Arrival, _ harvests: Bool, _ id: CallID) -> Bool {
        let size = Double(functions[arrival.function].base) * arrival.multiple
        var call = HarvestCall(
            id: id, function: FunctionHandle(arrival.function), allocation: allocations[arrival.function],
            features: CallFeatures(inputBytes: 30, parameters: [size]))
        if !harvests { call.takesPart = [] }
        var effects = HarvestEffects()
        guard harvester.begin(call, now: instant, into: &effects) else { return false }
        running[id] = Running(arrival: index)
        apply(effects, arrivals: nil)
        return true
    }

    private mutating func finish(_ id: CallID, _ arrivals: [Arrival], _ outcome: inout Outcome) {
        guard let state = running.removeValue(forKey: id) else { return }
        let arrival = arrivals[state.arrival]
        outcome.latencies[state.arrival] = now - arrival.at
        var effects = HarvestEffects()
        let highest = min(cores(arrival), Double(state.limit) / 1000)
        let units = functions[arrival.function].units(arrival.multiple) * arrival.peakFactor
        harvester.end(
            id, .ran(peakMillicores: Int(highest * 1000), peakMemoryBytes: Int(units * Double(DemandClass.memoryUnitBytes))), now: instant,
            into: &effects)
        apply(effects, arrivals: arrivals)
    }

    /// The safeguard sees a window's worth of use at the limit of now.
    private mutating func look(_ id: CallID, _ arrivals: [Arrival], _ outcome: inout Outcome) {
        guard let state = running[id] else { return }
        running[id]?.look = .infinity
        let busy = min(cores(arrivals[state.arrival]), Double(state.limit) / 1000)
        var effects = HarvestEffects()
        for step in 0...2 {
            let sample = UsageSample(
                at: instant - .milliseconds(40) + .milliseconds(20 * step), cpuTime: .nanoseconds(Int64(busy * 2e7) * Int64(step)))
            harvester.sample(id, sample, into: &effects)
        }
        outcome.safeguards += effects.movements.count { if case .safeguarded = $0 { true } else { false } }
        apply(effects, arrivals: arrivals)
    }

    private mutating func apply(_ effects: HarvestEffects, arrivals: [Arrival]?) {
        for change in effects.changes where change.kind == .cpu {
            running[change.call]?.limit = change.to
            // A new limit is looked at after a window.
            running[change.call]?.look = harvester.safeguard.watches(change.call, .cpu) ? now + 0.021 : .infinity
        }
        #expect(harvester.pool.audit().isEmpty)
    }
}
