// SPDX-License-Identifier: Apache-2.0

import BrumeHarvest
import BrumeModel
import Synchronization

/// Statements of calls find their records.
///
/// A caller is answered before the replica is through with the call, so that most records wait some microseconds for their statement.
extension NodeService {
    /// Takes what harvesting did to a call. The record is handed to the store under the lock, which never waits, so that a call that is
    /// looked for is in one place or the other.
    func settle(_ statement: CallStatement, _ books: inout Books) {
        let call = statement.call
        let harvest = callHarvest(statement, books)
        countSafeguards(statement, books)
        if var waiting = books.harvest.unsettled.removeValue(forKey: call) {
            books.harvest.peers.remember(call, waiting.record.label)
            waiting.record.harvest = harvest
            if waiting.isWritten { store.record(waiting.record) } else { books.recent.append(waiting.record) }
        } else if let entry = books.calls[call] {
            books.harvest.peers.remember(call, entry.label)
            books.harvest.settled[call] = harvest
        }
    }

    /// A statement in the words of records: other calls by the ids that their callers know.
    func callHarvest(_ statement: CallStatement, _ books: Books) -> CallHarvest {
        let expected = statement.prediction.map { prediction in
            CallHarvest.Expectation(
                millicores: prediction.known.contains(.cpu) ? prediction.peak.millicores : nil,
                memoryBytes: prediction.known.contains(.memory) ? prediction.peak.memoryBytes : nil,
                runMs: prediction.expectedDuration(millicores: statement.limits.millicores).inMilliseconds)
        }
        return CallHarvest(
            allocation: statement.allocation, began: statement.limits, expected: expected, peakMillicores: statement.peakMillicores,
            peakMemoryBytes: statement.peakMemoryBytes, killedAtBytes: statement.killedAtBytes, cpu: HarvestTotals(statement.cpu, .cpu),
            memory: HarvestTotals(statement.memory, .memory),
            movements: statement.events.map { event in
                let peer: CallID? = if case .call(let call) = event.peer { call } else { nil }
                return CallHarvest.Movement(
                    atMs: (event.at - statement.began).inMilliseconds, kind: event.kind, amount: event.amount,
                    peer: peer.flatMap { label(of: $0, books) }, peerFunction: event.peerFunction.flatMap { name(of: $0, books) },
                    ended: event.ended?.rawValue)
            },
            movementsOmitted: statement.eventsOmitted)
    }

    /// The caller-visible id of a call that runs or has run lately.
    func label(of call: CallID, _ books: Books) -> String? {
        books.calls[call]?.label ?? books.harvest.unsettled[call]?.record.label ?? books.harvest.peers[call]
    }

    func name(of function: FunctionHandle, _ books: Books) -> String? { books.functions[function]?.stored.spec.id.description }

    private func countSafeguards(_ statement: CallStatement, _ books: Books) {
        for kind in ResourceKind.allCases where statement[kind].safeguards > 0 {
            guard let name = name(of: statement.function, books) else { continue }
            harvestMetrics?.countSafeguards(statement[kind].safeguards, of: name, kind)
        }
    }
}
