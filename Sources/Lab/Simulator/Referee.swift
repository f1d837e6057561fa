// SPDX-License-Identifier: Apache-2.0

import BrumeEngine
import BrumeModel
import DequeModule

/// Watches what goes into an engine and what comes out, keeps books of its own, and says which promise was broken.
///
/// It knows nothing of how the engine decides: queues, slots and reservations are derived from inputs and outputs alone.
struct Referee: Sendable {
    struct CallBook: Sendable {
        enum Phase: UInt8, Sendable { case unknown, arriving, refused, offered, waiting, backingOff, running, overdue, ended }

        var phase = Phase.unknown
        var asynchronous = false
        /// An attempt of an asynchronous call is over, and the engine owes a verdict in the same step.
        var verdictDue = false
        var lastEndSucceeded = false
        /// Nobody has told the caller anything yet.
        var callerWaits = false
        var cancelDue = false
        var function: Int32 = -1
        /// Attempts handed to a replica.
        var runs: UInt32 = 0
        var replica: UInt64 = 0
        var waitingSince = Instant.zero
        var arrived = Instant.zero
        var deadline = Instant.distantFuture
    }

    struct ReplicaBook: Sendable {
        enum Phase: UInt8, Sendable { case starting, ready, gone }

        var phase = Phase.starting
        /// Takes calls: ready, and the engine has not said otherwise.
        var rotating = true
        var stopped = false
        var function: Int
        var revision: Int
        var slots: Int
        var reserved: Resources
        var calls = 0
        var running = 0
        var readySince = Instant.zero
    }

    struct FunctionBook: Sendable {
        var deployed = false
        var removed = false
        var policy: FunctionPolicy
        var revision = 0
        var pinned: Int?
        var callers = Deque<CallID>()
        var due = Deque<CallID>()
        var asynchronous = 0
        var freeSlots = 0
        /// Starting or rotating replicas of the newest revision, of older ones.
        var newest = 0
        var floor: Int { Swift.min(pinned ?? policy.scale.min, policy.scale.max) }
    }

    let settings: EngineSettings
    var calls: ContiguousArray<CallBook> = []
    var replicas: ContiguousArray<ReplicaBook> = []
    var functions: ContiguousArray<FunctionBook> = []
    var backingOff: [(at: Instant, call: CallID)] = []
    var reserved = Resources.zero
    var livingReplicas = 0
    var starting = 0
    var waitingCallers = 0
    var waitingDue = 0
    var running = 0
    var asynchronous = 0
    var living = 0
    var peakLiving = 0
    var draining = false
    var halted = false
    /// Of the step that is being watched.
    var now = Instant.zero
    var arriving: CallID?
    var owesVerdict: CallID?
    var owesCancel: CallID?
    var touched = -1
    /// The first promise that was broken.
    private(set) var violation: String?

    init(settings: EngineSettings) { self.settings = settings }

    /// A promise was broken; only the first one counts, what follows may be its consequence.
    mutating func breach(_ rule: String) {
        if violation == nil { violation = rule }
    }

    // MARK: Books

    func book(_ call: CallID) -> CallBook {
        let index = Int(call.number)
        return index < calls.count ? calls[index] : CallBook()
    }

    private mutating func open(_ call: CallID, _ function: FunctionHandle, asynchronous: Bool, _ phase: CallBook.Phase) {
        let index = Int(call.number)
        while calls.count <= index { calls.append(CallBook()) }
        var book = CallBook()
        book.phase = phase
        book.asynchronous = asynchronous
        book.function = Int32(function.index)
        book.runs = calls[index].runs
        book.waitingSince = now
        book.arrived = now
        calls[index] = book
        living += 1
        peakLiving = Swift.max(peakLiving, living)
    }

    func knowsFunction(_ index: Int) -> Bool {
        index >= 0 && index < functions.count && functions[index].deployed && !functions[index].removed
    }
    func knows(_ replica: ReplicaID) -> Bool { replica.number >= 1 && replica.number <= UInt64(replicas.count) }

    mutating func end(_ call: CallID, _ phase: CallBook.Phase = .ended) {
        let index = Int(call.number)
        calls[index].phase = phase
        calls[index].verdictDue = false
        living -= 1
        if calls[index].asynchronous {
            asynchronous -= 1
            functions[Int(calls[index].function)].asynchronous -= 1
        }
    }

    /// Takes a call out of the queue it waits in.
    mutating func unqueue(_ call: CallID) {
        let book = calls[Int(call.number)]
        let function = Int(book.function)
        if book.asynchronous {
            guard let index = functions[function].due.firstIndex(of: call) else { return }
            functions[function].due.remove(at: index)
            waitingDue -= 1
        } else {
            guard let index = functions[function].callers.firstIndex(of: call) else { return }
            functions[function].callers.remove(at: index)
            waitingCallers -= 1
        }
    }

    mutating func queue(_ call: CallID, atFront: Bool = false) {
        let index = Int(call.number)
        let function = Int(calls[index].function)
        calls[index].phase = .waiting
        if calls[index].asynchronous {
            if atFront { functions[function].due.prepend(call) } else { functions[function].due.append(call) }
            waitingDue += 1
        } else {
            if atFront { functions[function].callers.prepend(call) } else { functions[function].callers.append(call) }
            waitingCallers += 1
        }
    }

    // MARK: Inputs

    mutating func observe(_ input: Input, at time: Instant) {
        now = time
        touched = -1
        switch input {
        case .deploy(let handle, let policy):
            while functions.count <= handle.index { functions.append(FunctionBook(policy: policy)) }
            functions[handle.index].deployed = true
            functions[handle.index].policy = policy
            functions[handle.index].revision += 1
            functions[handle.index].newest = 0
            functions[handle.index].pinned = nil
        case .remove(let handle): if knowsFunction(handle.index) { functions[handle.index].removed = true }
        case .scale(let handle, let count): if knowsFunction(handle.index) { functions[handle.index].pinned = count }
        case .arrive(let call, let handle, let timeout, _):
            open(call, handle, asynchronous: false, .arriving)
            calls[Int(call.number)].callerWaits = true
            arriving = call
            guard knowsFunction(handle.index) else { return }
            let limit = functions[handle.index].policy.timeout
            calls[Int(call.number)].deadline = now + Swift.min(timeout ?? limit, limit)
            touched = handle.index
        case .offer(let call, let handle):
            open(call, handle, asynchronous: true, .offered)
            asynchronous += 1
            if handle.index < functions.count { functions[handle.index].asynchronous += 1 }
        case .enqueue(let call, let handle, _, let notBefore): enqueue(call, handle, notBefore)
        case .abandon(let call): abandon(call)
        case .started(let replica): started(replica)
        case .exited(let replica, _): exited(replica)
        case .finished(let call, let end, _): finished(call, end)
        case .sampled, .limitHeld: break
        case .tick: wakeBackingOff()
        case .drain: draining = true
        case .halt: (draining, halted) = (true, true)
        }
    }

    private mutating func enqueue(_ call: CallID, _ handle: FunctionHandle, _ notBefore: Instant) {
        touched = handle.index
        if book(call).phase != .offered {
            open(call, handle, asynchronous: true, .offered)
            asynchronous += 1
            functions[handle.index].asynchronous += 1
        }
        if !knowsFunction(handle.index) {
            calls[Int(call.number)].verdictDue = true
            owesVerdict = call
        } else if notBefore > now {
            calls[Int(call.number)].phase = .backingOff
            backingOff.append((notBefore, call))
        } else {
            calls[Int(call.number)].waitingSince = now
            queue(call)
        }
        if knowsFunction(handle.index), functions[handle.index].pinned == 0 { functions[handle.index].pinned = nil }
    }

    private mutating func abandon(_ call: CallID) {
        let index = Int(call.number)
        switch book(call).phase {
        case .offered, .backingOff: end(call)
        case .waiting:
            unqueue(call)
            end(call)
        case .running:
            calls[index].phase = .overdue
            replicas[Int(calls[index].replica) - 1].running -= 1
            owesCancel = call
        case .unknown, .arriving, .refused, .overdue, .ended: break
        }
    }

    private mutating func started(_ replica: ReplicaID) {
        guard knows(replica) else { return }
        let index = Int(replica.number) - 1
        guard replicas[index].phase == .starting else { return }
        replicas[index].phase = .ready
        replicas[index].readySince = now
        guard replicas[index].rotating else { return }
        starting -= 1
        touched = replicas[index].function
        functions[touched].freeSlots += replicas[index].slots
    }

    private mutating func exited(_ replica: ReplicaID) {
        guard knows(replica) else { return }
        let index = Int(replica.number) - 1
        guard replicas[index].phase != .gone else { return }
        leaveRotation(index)
        replicas[index].phase = .gone
        touched = replicas[index].function
        reserved = reserved - replicas[index].reserved
        livingReplicas -= 1
    }

    mutating func leaveRotation(_ index: Int) {
        guard replicas[index].rotating else { return }
        replicas[index].rotating = false
        let function = replicas[index].function
        if replicas[index].phase == .starting { starting -= 1 }
        if replicas[index].phase == .ready { functions[function].freeSlots -= replicas[index].slots - replicas[index].calls }
        if replicas[index].revision == functions[function].revision { functions[function].newest -= 1 }
    }

    private mutating func finished(_ call: CallID, _ callEnd: CallEnd) {
        let index = Int(call.number)
        let before = book(call)
        guard before.phase == .running || before.phase == .overdue else { return }
        running -= 1
        let replica = Int(before.replica) - 1
        replicas[replica].calls -= 1
        if before.phase == .running { replicas[replica].running -= 1 }
        touched = Int(before.function)
        if replicas[replica].rotating { functions[touched].freeSlots += 1 }
        calls[index].lastEndSucceeded = callEnd == .succeeded && before.phase == .running
        if callEnd == .unsent, before.phase == .running, knowsFunction(touched), before.asynchronous || !halted {
            queue(call, atFront: true)
        } else if before.asynchronous {
            calls[index].verdictDue = true
            owesVerdict = call
        } else if callEnd == .unsent, before.phase == .running {
            // Nowhere to go: a failure has to follow.
            queue(call, atFront: true)
            arriving = call
            calls[index].phase = .arriving
        } else {
            end(call)
        }
    }

    private mutating func wakeBackingOff() {
        guard backingOff.contains(where: { $0.at <= now }) else { return }
        // The sort is stable: equal times keep the order in which they were announced.
        let due = backingOff.filter { $0.at <= now }.sorted { $0.at < $1.at }
        backingOff.removeAll { $0.at <= now }
        for entry in due where book(entry.call).phase == .backingOff {
            calls[Int(entry.call.number)].waitingSince = now
            queue(entry.call)
        }
    }

    /// The node was killed: replicas, waiting callers and everything not on disk are gone.
    mutating func restart() {
        replicas.removeAll()
        backingOff.removeAll()
        for index in calls.indices {
            switch calls[index].phase {
            case .arriving, .offered, .waiting, .backingOff, .running, .overdue: calls[index].phase = .ended
            case .unknown, .refused, .ended: break
            }
        }
        for index in functions.indices {
            functions[index].callers.removeAll()
            functions[index].due.removeAll()
            functions[index].asynchronous = 0
            functions[index].freeSlots = 0
            functions[index].newest = 0
            functions[index].pinned = nil
        }
        (reserved, livingReplicas, starting, waitingCallers, waitingDue) = (.zero, 0, 0, 0, 0)
        (running, asynchronous, living) = (0, 0, 0)
    }
}
