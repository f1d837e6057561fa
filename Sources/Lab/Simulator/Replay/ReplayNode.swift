// SPDX-License-Identifier: Apache-2.0

import BrumeEngine
import BrumeHarvest
import BrumeModel

/// One virtual node of a replay: an engine, a machine, and a referee that adds up limits.
struct ReplayNode: Sendable {
    /// A sandbox and its limits.
    struct Box: Sendable {
        let function: Int
        var limits: Resources
        /// Whether a call runs on it.
        var isBusy = false
    }

    var engine: Engine
    var machine: VirtualMachine
    var boxes: [ReplicaID: Box] = [:]
    var meter = UtilisationMeter()
    var metered = Instant.zero
    /// When the watcher looks next, or nil while there is nothing to see.
    var lookAt: Instant?
    /// Until when calls are to be looked at: a window after their use changed.
    var lookUntil: [CallID: Instant] = [:]
    /// When each scheduled moment of the machine is; others are stale.
    var machineAt: Instant?
    var tickAt: Instant?
    /// Limits of busy replicas and of all replicas, added up.
    private(set) var busyMillicores = 0
    private(set) var memoryLimits = 0
    let capacity: Resources
    let checksLimits: Bool

    init(_ settings: EngineSettings, sharing: CPUSharing) {
        engine = Engine(settings: settings)
        machine = VirtualMachine(millicores: settings.capacity.millicores, sharing: sharing)
        capacity = settings.capacity
        checksLimits = settings.harvest != nil
    }

    mutating func start(_ replica: ReplicaID, _ function: Int, _ limits: Resources) {
        boxes[replica] = Box(function: function, limits: limits)
        memoryLimits += limits.memoryBytes
    }

    mutating func exit(_ replica: ReplicaID) {
        guard let box = boxes.removeValue(forKey: replica) else { return }
        memoryLimits -= box.limits.memoryBytes
        if box.isBusy { busyMillicores -= box.limits.millicores }
    }

    mutating func setBusy(_ replica: ReplicaID, _ busy: Bool) {
        guard let box = boxes[replica], box.isBusy != busy else { return }
        boxes[replica]?.isBusy = busy
        busyMillicores += busy ? box.limits.millicores : -box.limits.millicores
    }

    /// - Returns: what is wrong, if the limits now add up to more than there is.
    mutating func setLimit(_ limit: ReplicaLimit) -> String? {
        guard let box = boxes[limit.replica] else { return nil }
        let change = limit.to - box.limits[limit.kind]
        boxes[limit.replica]?.limits[limit.kind] = limit.to
        if limit.kind == .memory { memoryLimits += change } else if box.isBusy { busyMillicores += change }
        if limit.kind == .cpu, limit.call != nil { setBusy(limit.replica, true) }
        machine.setLimit(limit.kind, to: limit.to, of: limit.replica)
        guard checksLimits else { return nil }
        if busyMillicores > capacity.millicores { return "limits add up to \(busyMillicores)m of \(capacity.millicores)m" }
        if memoryLimits > capacity.memoryBytes { return "limits add up to \(memoryLimits) of \(capacity.memoryBytes) bytes" }
        return nil
    }

    /// Lets time pass, and meters it.
    mutating func advance(to time: Instant) {
        guard time > metered else { return }
        let level = UtilisationMeter.Level(
            cores: machine.busyCores, memory: Double(machine.memoryBytes), allocatedCores: Double(busyMillicores) / 1000,
            allocatedMemory: machine.running.reduce(0) { $0 + Double($1.memoryLimit) }, calls: Double(machine.running.count))
        meter.add(level, from: metered, to: time)
        metered = time
        machine.advance(to: time)
    }

    /// What it tells schedulers.
    var status: DestinationStatus {
        let used = machine.running.reduce(0) { $0 + $1.memory }
        return DestinationStatus(
            pool: engine.harvester?.pool.snapshot ?? PoolSnapshot(), activeCalls: engine.view.runningCalls + engine.view.queuedCalls,
            cpuLoadThousandths: Int((machine.busyCores * 1_000_000 / Double(max(1, capacity.millicores))).rounded()),
            memoryLoadThousandths: Int(Double(used) * 1000 / Double(max(1, capacity.memoryBytes))))
    }

    /// What must hold when nothing runs any more.
    func faultsAtRest() -> [String] {
        var faults: [String] = []
        let view = engine.view
        if view.runningCalls + view.queuedCalls != 0 { faults.append("\(view.runningCalls + view.queuedCalls) calls are left") }
        if !machine.running.isEmpty { faults.append("\(machine.running.count) calls still advance") }
        guard let harvester = engine.harvester else { return faults }
        faults += harvester.pool.audit()
        if !harvester.pool.loans(.cpu).isEmpty || !harvester.pool.loans(.memory).isEmpty { faults.append("loans are left") }
        for kind in ResourceKind.allCases {
            let accounts = harvester.ledger.accountedFunctions.map { harvester.ledger.account(of: $0, kind, now: metered) }
            let node = harvester.ledger.nodeAccount(kind, now: metered)
            let lent = accounts.reduce(node.lent) { $0 + $1.lent }
            let borrowed = accounts.reduce(ResourceTime.zero) { $0 + $1.borrowed }
            if lent != borrowed { faults.append("\(kind): lent \(lent.units), borrowed \(borrowed.units)") }
        }
        return faults
    }
}
