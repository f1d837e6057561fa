// SPDX-License-Identifier: Apache-2.0

import BrumeEngine
import BrumeModel
import HeapModule

/// The functions of the simulated world.
extension Simulation {
    /// Draws a function that meets limits soon, or a roomy one.
    mutating func drawInhabitant(handle: FunctionHandle? = nil) -> Inhabitant {
        if handle == nil { nextHandle += 1 }
        let handle = handle ?? FunctionHandle(nextHandle - 1)
        let policy: FunctionPolicy
        if plan.roomy {
            policy = FunctionPolicy(
                requests: SimulationPlan.unit, concurrency: 4, scale: Scale(min: 1, max: 32, keepAlive: .seconds(60)), timeout: .seconds(60)
            )
        } else {
            // One in twelve is larger than the whole node.
            let size = changes.chance(1, in: 12) ? 4 : changes.draw(1...2)
            let max = changes.draw(1...4)
            policy = FunctionPolicy(
                requests: Resources(
                    millicores: size * SimulationPlan.unit.millicores, memoryBytes: size * SimulationPlan.unit.memoryBytes),
                concurrency: changes.draw(1...3),
                scale: Scale(
                    min: changes.chance(1, in: 4) ? 1 : 0, max: max, keepAlive: changes.draw(.milliseconds(5)...Duration.seconds(1))),
                timeout: changes.draw(.milliseconds(50)...Duration.milliseconds(500)), prewarm: changes.chance(1, in: 2))
        }
        let run = plan.roomy ? 500_000 : changes.draw(1_000_000...20_000_000)
        let start = plan.roomy ? 20_000_000 : changes.draw(2_000_000...30_000_000)
        return Inhabitant(
            handle: handle, policy: policy, meanRunNanoseconds: run, meanStartNanoseconds: start,
            broken: changes.happens(plan.faults.brokenFunctions))
    }

    /// The function with this handle, or nil once it was removed.
    func inhabitant(_ handle: Int32) -> Inhabitant? {
        let index = Int(handle)
        // Until the first removal a function lives at the place of its handle.
        if index < population.count, population[index].handle.index == index { return population[index] }
        return population.first { $0.handle.index == index }
    }
}

extension Heap where Element == Simulation.Appointment {
    func keeping(_ wanted: (Simulation.Appointment.Event) -> Bool) -> Self { Heap(unordered.filter { wanted($0.event) }) }
}
