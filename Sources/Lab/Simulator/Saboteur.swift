// SPDX-License-Identifier: Apache-2.0

import BrumeEngine
import BrumeModel

/// Makes a right engine wrong, now and then: the referee has to notice each of these, or its silence means nothing.
enum Saboteur: String, Sendable, CaseIterable {
    case dropsFinished, runsTwice, runsElsewhere, forgetsExpiry, forgetsStart, stopsTwice, forgetsVerdict, completesFailures
    case swallowsArrivals, refusesWithoutReason, forgetsWake, repeatsFailure

    /// The engine does not hear of this input.
    func swallows(_ input: Input, _ count: inout Int) -> Bool {
        switch (self, input) {
        case (.dropsFinished, .finished), (.swallowsArrivals, .arrive):
            count += 1
            return count % 7 == 0
        default: return false
        }
    }

    /// The world does not hear what the engine said.
    func spoil(_ outputs: inout [Output], _ count: inout Int) {
        var spoiled: [Output] = []
        for output in outputs {
            switch (self, output) {
            case (.runsTwice, .run): spoiled += [output, output]
            case (.runsElsewhere, .run(let call, let replica, let cold, let deadline)):
                spoiled.append(.run(call, on: ReplicaID(replica.number % 3 + 1), cold: cold, deadline: deadline))
            case (.forgetsExpiry, .expire), (.forgetsStart, .start), (.forgetsVerdict, .complete), (.forgetsVerdict, .retry): break
            case (.forgetsWake, .wake):
                count += 1
                if count < 5 { spoiled.append(output) }
            case (.stopsTwice, .stop), (.repeatsFailure, .fail): spoiled += [output, output]
            case (.completesFailures, .retry(let call, _, _)): spoiled.append(.complete(call))
            case (.refusesWithoutReason, .note(.queued(let call, _))): spoiled.append(.refuse(call, .queueFull(retryAfter: .seconds(1))))
            default: spoiled.append(output)
            }
        }
        outputs = spoiled
    }
}
