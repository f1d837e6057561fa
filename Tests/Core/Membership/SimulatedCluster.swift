// SPDX-License-Identifier: Apache-2.0

import BrumeMembership
import BrumeModel

/// Many memberships on a network that loses, repeats, delays and parts, in virtual time drawn from a seed.
struct SimulatedCluster {
    struct Weather {
        /// Of a thousand frames.
        var lost = 0
        var repeated = 0
        var delayMilliseconds = 1...10
    }

    struct Process {
        let id: NodeID
        var membership: Membership
        var isUp = true
        /// It neither reads nor ticks until then; frames wait.
        var stopped: Instant?
        var group = 0
        fileprivate(set) var wake = Instant.zero
    }

    struct Sighting {
        let at: Instant
        let process: Int
        let event: MembershipEvent
    }

    private struct Delivery {
        let at: Instant
        let order: Int
        let from: Int
        let to: Int
        let bytes: [UInt8]
    }

    private(set) var now = Instant(nanoseconds: 1_000_000_000)
    var weather = Weather()
    var settings = MembershipSettings()
    var processes: [Process] = []
    private(set) var sightings: [Sighting] = []
    /// Frames that arrived, of which the wildest delays passed others.
    private(set) var delivered = 0
    private var chance: SeededGenerator
    private var queue: [Delivery] = []
    private var order = 0

    init(seed: UInt64) { chance = SeededGenerator(seed: seed) }

    static func node(_ number: Int) -> NodeID {
        let digits = String(number, radix: 16)
        let text = String(repeating: "0", count: NodeID.length - digits.count) + digits
        guard let id = try? NodeID(text) else { preconditionFailure("\(text) is an identity") }
        return id
    }

    /// Starts a process; it joins through `seeds`.
    @discardableResult
    mutating func start(
        _ number: Int, incarnation: UInt64 = 1, known: [MemberRecord] = [], meta: MemberMeta = .empty, joining seeds: [Int] = []
    ) -> Int {
        let identity = Membership.Identity(id: Self.node(number), session: chance.next(), incarnation: incarnation, meta: meta)
        let membership = Membership(identity, known: known, settings: settings, seed: chance.next(), now: now)
        processes.append(Process(id: identity.id, membership: membership))
        let position = processes.count - 1
        if !seeds.isEmpty { step(position) { $0.join(seeds.map(Self.node), now: $1) } }
        return position
    }

    /// A cluster of `count` whose members all know each other.
    static func formed(_ count: Int, seed: UInt64, settings: MembershipSettings = MembershipSettings()) -> SimulatedCluster {
        var cluster = SimulatedCluster(seed: seed)
        cluster.settings = settings
        for number in 0..<count { cluster.start(number, joining: number == 0 ? [] : [0]) }
        cluster.run(for: .seconds(10))
        return cluster
    }

    var isAgreed: Bool {
        let up = processes.filter { $0.isUp }
        return up.allSatisfy { $0.membership.digest == up[0].membership.digest }
    }

    /// Whether everybody that runs holds everybody that runs for alive.
    var isWhole: Bool {
        let up = processes.filter { $0.isUp }
        return up.allSatisfy { process in
            up.allSatisfy { process.membership.member($0.id)?.status == .alive }
        }
    }

    mutating func step(_ position: Int, _ body: (inout Membership, Instant) -> MembershipOutput) {
        let output = body(&processes[position].membership, now)
        for event in output.events { sightings.append(Sighting(at: now, process: position, event: event)) }
        for frame in output.frames { send(frame, from: position) }
        processes[position].wake = processes[position].membership.nextWake
    }

    private mutating func send(_ frame: MembershipFrame, from: Int) {
        let targets = processes.indices.filter { $0 != from && processes[$0].isUp && processes[$0].id == frame.to }
        guard !targets.isEmpty else { return }
        let to = targets[chance.below(targets.count)]
        guard processes[to].group == processes[from].group else { return }
        let copies = chance.chance(weather.repeated, in: 1_000) ? 2 : 1
        for _ in 0..<copies where !chance.chance(weather.lost, in: 1_000) {
            order += 1
            let delay = Duration.microseconds(chance.draw(weather.delayMilliseconds) * 1_000 + chance.below(1_000))
            push(Delivery(at: now + delay, order: order, from: from, to: to, bytes: frame.bytes))
        }
    }

    mutating func run(for time: Duration, until done: (SimulatedCluster) -> Bool = { _ in false }) {
        let end = now + time
        while !done(self) {
            let wake = nextWake
            let delivery = queue.first
            let next = min(wake?.at ?? .distantFuture, delivery?.at ?? .distantFuture)
            guard next <= end else {
                now = end
                return
            }
            now = max(now, next)
            if let delivery, delivery.at <= next {
                pop()
                deliver(delivery)
            } else if let wake {
                step(wake.process) { $0.tick(now: $1) }
            }
        }
    }

    private var nextWake: (at: Instant, process: Int)? {
        var first: (at: Instant, process: Int)?
        for position in processes.indices where processes[position].isUp {
            let at = max(processes[position].wake, processes[position].stopped ?? .zero)
            if at < first?.at ?? .distantFuture { first = (at, position) }
        }
        return first
    }

    private mutating func deliver(_ delivery: Delivery) {
        guard processes[delivery.to].isUp, processes[delivery.to].group == processes[delivery.from].group else { return }
        if let stopped = processes[delivery.to].stopped, stopped > now {
            order += 1
            // Read after it goes on, behind its overdue tick.
            return push(
                Delivery(at: stopped + .milliseconds(1), order: order, from: delivery.from, to: delivery.to, bytes: delivery.bytes))
        }
        delivered += 1
        let from = processes[delivery.from].id
        step(delivery.to) { $0.receive(delivery.bytes, from: from, now: $1) }
    }

    // MARK: A heap by time, then by order of sending

    private func isBefore(_ left: Delivery, _ right: Delivery) -> Bool {
        left.at == right.at ? left.order < right.order : left.at < right.at
    }

    private mutating func push(_ delivery: Delivery) {
        queue.append(delivery)
        var child = queue.count - 1
        while child > 0, isBefore(queue[child], queue[(child - 1) / 2]) {
            queue.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    private mutating func pop() {
        queue.swapAt(0, queue.count - 1)
        queue.removeLast()
        var parent = 0
        while true {
            let children = [2 * parent + 1, 2 * parent + 2].filter { $0 < queue.count }
            guard let least = children.min(by: { isBefore(queue[$0], queue[$1]) }), isBefore(queue[least], queue[parent]) else { return }
            queue.swapAt(least, parent)
            parent = least
        }
    }

    // MARK: Questions

    /// When each process that still runs first held `id` for dead, after `since`.
    func deaths(of id: NodeID, since: Instant) -> [Int: Duration] {
        var times: [Int: Duration] = [:]
        for sighting in sightings where sighting.at >= since {
            if case .dead(let record) = sighting.event, record.id == id, times[sighting.process] == nil {
                times[sighting.process] = sighting.at - since
            }
        }
        return times
    }

    func count(_ isMeant: (MembershipEvent) -> Bool) -> Int { sightings.count { isMeant($0.event) } }

    func saw(_ process: Int, _ isMeant: (MembershipEvent) -> Bool) -> Bool {
        sightings.contains { $0.process == process && isMeant($0.event) }
    }
}
