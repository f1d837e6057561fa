// SPDX-License-Identifier: Apache-2.0

import BrumeBroker
import BrumeModel

/// Functions: deployment, replacement, scaling by hand, removal.
extension Engine {
    mutating func deploy(_ handle: FunctionHandle, _ policy: FunctionPolicy, _ outputs: inout [Output]) {
        guard functions.place(of: handle) != nil else {
            functions.insert(FunctionState(policy: policy, queueLimit: settings.queueLimitPerFunction), for: handle)
            functions[handle]?.prewarmPending = policy.prewarm
            if policy.requests.fits(in: ledger.capacity) { ensureReplicas(handle, &outputs) }
            return
        }
        functions[handle]?.policy = policy
        functions[handle]?.revision += 1
        functions[handle]?.pinned = nil
        functions[handle]?.startFailures = 0
        functions[handle]?.startBlockedUntil = .zero
        functions[handle]?.problem = ""
        functions[handle]?.prewarmPending = policy.prewarm
        // A replica that is still starting has served nobody yet: the new revision takes its place at once.
        for member in functions[handle]?.members ?? [] where replicas[member]?.phase == .starting {
            drain(member, .replaced, &outputs)
        }
        guard let function = functions[handle] else { return }
        let older = function.members.count { isOlder($0, function) }
        functions[handle]?.replacementTarget = Swift.min(Swift.max(older, function.floor), policy.scale.max)
        if policy.requests.fits(in: ledger.capacity) { ensureReplicas(handle, &outputs) }
    }

    mutating func scale(_ handle: FunctionHandle, to count: Int, _ outputs: inout [Output]) {
        guard let function = functions[handle], !function.removed else { return }
        functions[handle]?.pinned = count
        functions[handle]?.prewarmPending = false
        let members = function.members.filter { replicas[$0]?.phase == .ready || replicas[$0]?.phase == .starting }
        var surplus = members.count - Swift.min(count, function.policy.scale.max)
        // Idle ones go first; a busy one ends its calls before it stops.
        for member in members.filter({ replicas[$0]?.calls.isEmpty == true }) + members.filter({ replicas[$0]?.calls.isEmpty == false })
        where surplus > 0 {
            drain(member, .scaledDown, &outputs)
            surplus -= 1
        }
        ensureReplicas(handle, &outputs)
        retryBlocked(&outputs)
    }

    mutating func remove(_ handle: FunctionHandle, _ outputs: inout [Output]) {
        guard functions[handle]?.removed == false else { return }
        functions[handle]?.removed = true
        failWaiting(handle, CallFailure(.stopped, "The function was removed while the call waited."), &outputs)
        buryBackingOff(handle, &outputs)
        for member in functions[handle]?.members ?? [] { drain(member, .removed, &outputs) }
        blocked.removeAll { $0 == handle }
        if functions[handle]?.members.isEmpty == true { functions.remove(handle) }
        retryBlocked(&outputs)
    }
}
