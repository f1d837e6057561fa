// SPDX-License-Identifier: Apache-2.0

import BrumeEngine
import BrumeHarvest
import BrumeModel

/// FNV-1a over everything that went into the engine and came out, in order: equal digests mean equal runs.
///
/// The encoding is written out here, case by case, and depends on no hash seed, no toolchain and no text form.
struct Digest: Sendable {
    private(set) var value: UInt64 = 0xCBF2_9CE4_8422_2325

    /// Little-endian base 128: small numbers, which are nearly all, cost one or two bytes.
    private mutating func add(_ number: UInt64) {
        var rest = number
        while rest >= 0x80 {
            byte(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        byte(UInt8(truncatingIfNeeded: rest))
    }

    private mutating func byte(_ byte: UInt8) { value = (value ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
    private mutating func add(_ number: Int) { add(UInt64(bitPattern: Int64(number))) }
    private mutating func add(_ instant: Instant) { add(UInt64(bitPattern: instant.nanoseconds)) }
    private mutating func add(_ duration: Duration) { add(UInt64(bitPattern: duration.wholeNanoseconds)) }
    private mutating func add(_ text: String) {
        add(text.utf8.count)
        for unit in text.utf8 { byte(unit) }
    }

    mutating func add(_ input: Input, at now: Instant) {
        add(now)
        switch input {
        case .deploy(let function, let policy):
            byte(1)
            add(function.index)
            add(policy)
        case .remove(let function):
            byte(2)
            add(function.index)
        case .scale(let function, let count):
            byte(3)
            add(function.index)
            add(count)
        case .arrive(let call, let function, let timeout, let features):
            byte(4)
            add(call.number)
            add(function.index)
            add(timeout ?? .zero)
            add(features.inputBytes)
            for parameter in features.parameters { add(parameter.map { "\($0)" } ?? "") }
        case .offer(let call, let function):
            byte(5)
            add(call.number)
            add(function.index)
        case .enqueue(let call, let function, let failed, let notBefore):
            byte(6)
            add(call.number)
            add(function.index)
            add(failed)
            add(notBefore)
        case .abandon(let call):
            byte(7)
            add(call.number)
        case .started(let replica):
            byte(8)
            add(replica.number)
        case .exited(let replica, let exit):
            byte(9)
            add(replica.number)
            add(exit.message)
        case .finished(let call, let end, let usage):
            byte(10)
            add(call.number)
            byte(end == .succeeded ? 0 : end == .failed ? 1 : 2)
            add(usage?.peakMillicores ?? -1)
            add(usage?.peakMemoryBytes ?? -1)
        case .sampled(let samples):
            byte(14)
            for sample in samples {
                add(sample.replica.number)
                add(sample.usage.cpuTime ?? .zero)
                add(sample.usage.throttledPeriods ?? -1)
                add(sample.usage.memoryBytes ?? -1)
            }
        case .limitHeld(let limit, let held, let batch):
            byte(15)
            add(limit)
            add(held)
            for limit in batch { add(limit) }
        case .tick: byte(11)
        case .drain: byte(12)
        case .halt: byte(13)
        }
    }

    private mutating func add(_ limit: ReplicaLimit) {
        add(limit.replica.number)
        add(limit.call?.number ?? 0)
        byte(limit.kind == .cpu ? 0 : 1)
        add(limit.from)
        add(limit.to)
    }

    private mutating func add(_ policy: FunctionPolicy) {
        add(policy.requests.millicores)
        add(policy.requests.memoryBytes)
        add(policy.concurrency)
        add(policy.scale.min)
        add(policy.scale.max)
        add(policy.scale.keepAlive)
        add(policy.timeout)
        byte(policy.prewarm ? 1 : 0)
    }

    mutating func add(_ output: Output) {
        switch output {
        case .start(let replica, let function):
            byte(32)
            add(replica.number)
            add(function.index)
        case .run(let call, let replica, let cold, let deadline):
            byte(cold ? 33 : 34)
            add(call.number)
            add(replica.number)
            add(deadline)
        case .refuse(let call, let refusal):
            byte(35)
            add(call.number)
            add(refusal.httpStatus)
            if case .queueFull(let pause) = refusal { add(pause) } else { add(refusal.sentence) }
        case .fail(let call, let failure):
            byte(36)
            add(call.number)
            add(failure.kind.rawValue)
            add(failure.message)
        case .expire(let call, let replica):
            byte(37)
            add(call.number)
            add(replica?.number ?? 0)
        case .cancel(let call, let replica):
            byte(38)
            add(call.number)
            add(replica.number)
        case .complete(let call):
            byte(39)
            add(call.number)
        case .retry(let call, let failed, let at):
            byte(40)
            add(call.number)
            add(failed)
            add(at)
        case .bury(let call, let failed):
            byte(41)
            add(call.number)
            add(failed)
        case .stop(let replica, let grace):
            byte(42)
            add(replica.number)
            add(grace)
        case .wake(let at):
            byte(43)
            add(at)
        case .limit(let batch):
            byte(44)
            for limit in batch { add(limit) }
        case .note(let note): add(note)
        }
    }

    private mutating func add(_ note: Note) {
        switch note {
        case .queued(let call, let ahead):
            byte(64)
            add(call.number)
            add(ahead)
        case .startedReplica(let replica, let function, let reason):
            byte(65)
            add(replica.number)
            add(function.index)
            add(reason.rawValue)
        case .startDeferred(let function, let reason):
            byte(66)
            add(function.index)
            add(reason.rawValue)
        case .startFailed(let replica, let function, let failures, let message):
            byte(67)
            add(replica.number)
            add(function.index)
            add(failures)
            add(message)
        case .stoppedReplica(let replica, let function, let reason):
            byte(68)
            add(replica.number)
            add(function.index)
            add(reason.rawValue)
        case .resent(let call, let replica):
            byte(69)
            add(call.number)
            add(replica.number)
        case .heldBack(let call, let needs):
            byte(70)
            add(call.number)
            add(needs.millicores)
        case .allotted(let call, let limits, _):
            byte(71)
            add(call.number)
            add(limits.millicores)
            add(limits.memoryBytes)
        case .settled(let statement):
            byte(72)
            add(statement.call.number)
            for kind in ResourceKind.allCases {
                add(UInt64(truncatingIfNeeded: statement[kind].lent.units))
                add(UInt64(truncatingIfNeeded: statement[kind].borrowed.units))
                add(UInt64(truncatingIfNeeded: statement[kind].idle.units))
                add(statement[kind].safeguards)
            }
        }
    }
}
