// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Synchronization

/// Keeps spare sandboxes of the profiles that functions of this node have, so that a cold start finds the slow part done.
///
/// Each spare belongs to one keeper: a task that makes it, waits until it is taken or dies, and makes the next one.
final class SparePool: Sendable {
    typealias Planner = @Sendable (SpareKind) -> LaunchPlan?

    private struct Shelf {
        var ready: [Spare] = []
        var keepers: [Int]
        /// Grows with every use; the smallest is the one to give up.
        var lastUse = 0
    }

    private struct State {
        var shelves: [SpareProfile: Shelf] = [:]
        var uses = 0
        var made = 0
        var nextKeeper = 0
        /// Until they have ended, which is later than they are told to.
        var keepers: [Int: Task<Void, Never>] = [:]
        /// Where spares failed, the latest last; a limit may be too small for what waits.
        var givenUp: [SpareProfile] = []
        var closed = false
        var watchers: [OneShot<Void>] = []
    }

    /// Profiles with spares at once: the four kinds of program in two sizes. Together they hold at most 50 MB, with the largest kinds.
    static let profilesMax = 8
    /// Spares that may fail in a row before a profile is given up, until a function of it is deployed again.
    static let failuresMax = 3
    /// Profiles remembered as given up; one that is forgotten is tried again.
    private static let givenUpMax = 64

    private let perProfile: Int
    private let plan: Planner
    private let state = Mutex(State())

    /// How long a spare must have waited for its end not to count as a failure of the profile.
    private static let steadyAfter = Duration.seconds(60)

    /// For the node's status.
    var summary: String {
        perProfile == 0 ? "" : ", \(perProfile) spare sandbox\(perProfile == 1 ? "" : "es") for each kind of function"
    }

    /// - Parameter perProfile: spares kept of each profile; 0 keeps none.
    init(perProfile: Int, plan: @escaping Planner) { (self.perProfile, self.plan) = (perProfile, plan) }

    /// Sees to it that the function's next start finds a spare.
    ///
    /// - Parameter again: whether to try anew what was given up.
    func want(_ spec: FunctionSpec, again: Bool, _ host: Replica.Host) {
        guard perProfile > 0, let profile = SpareProfile(spec), let plan = plan(profile.kind) else { return }
        state.withLock { state in
            if again { state.givenUp.removeAll { $0 == profile } }
            guard !state.closed, !state.givenUp.contains(profile) else { return }
            state.uses += 1
            guard state.shelves[profile] == nil else {
                state.shelves[profile]?.lastUse = state.uses
                return
            }
            let keepers = state.nextKeeper..<state.nextKeeper + perProfile
            state.nextKeeper += perProfile
            state.shelves[profile] = Shelf(keepers: Array(keepers), lastUse: state.uses)
            for keeper in keepers { state.keepers[keeper] = Task { await self.keep(keeper, profile, plan, host) } }
            guard state.shelves.count > Self.profilesMax else { return }
            guard let oldest = state.shelves.min(by: { $0.value.lastUse < $1.value.lastUse }) else { return }
            for keeper in oldest.value.keepers { state.keepers[keeper]?.cancel() }
            state.shelves[oldest.key] = nil
        }
    }

    /// A spare that this function may become, or nil. It is the caller's from then on, who says `settled` once.
    func take(for spec: FunctionSpec) -> Spare? {
        guard perProfile > 0, let profile = SpareProfile(spec) else { return nil }
        return state.withLock { state in
            state.uses += 1
            state.shelves[profile]?.lastUse = state.uses
            while let spare = state.shelves[profile]?.ready.popLast() {
                if spare.isAlive, spare.end.set(.taken) { return spare }
                spare.end.set(.died)
            }
            return nil
        }
    }

    /// Waits until the function's next start would find a spare.
    ///
    /// - Returns: false where there will be none.
    func waitForSpare(_ spec: FunctionSpec) async -> Bool {
        guard let profile = SpareProfile(spec) else { return false }
        while true {
            let watcher = OneShot<Void>()
            let isReady: Bool? = state.withLock { state in
                guard !state.closed, let shelf = state.shelves[profile] else { return false }
                if shelf.ready.contains(where: \.isAlive) { return true }
                state.watchers.append(watcher)
                return nil
            }
            if let isReady { return isReady }
            guard await watcher.wait() != nil else { return false }
        }
    }

    /// Spares that wait now.
    var count: Int { state.withLock { $0.shelves.values.reduce(0) { $0 + $1.ready.count } } }

    private func keep(_ keeper: Int, _ profile: SpareProfile, _ plan: LaunchPlan, _ host: Replica.Host) async {
        var failures = 0
        while failures < Self.failuresMax, !Task.isCancelled {
            let number = state.withLock { state in
                state.made += 1
                return state.made
            }
            guard let spare = try? await Spare.make(profile, plan, number: number, host) else {
                failures += 1
                continue
            }
            let isWanted = state.withLock { state in
                guard !state.closed, state.shelves[profile] != nil, !Task.isCancelled else { return false }
                state.shelves[profile]?.ready.append(spare)
                for watcher in state.watchers { watcher.set(()) }
                state.watchers = []
                return true
            }
            guard isWanted else {
                await spare.discard()
                break
            }
            let began = ContinuousClock.now
            if await Self.fate(of: spare) == .taken {
                failures = 0
                _ = await spare.settled.wait()
            } else {
                state.withLock { state in state.shelves[profile]?.ready.removeAll { $0 === spare } }
                await spare.discard()
                failures = began.duration(to: .now) > Self.steadyAfter ? 1 : failures + 1
            }
        }
        state.withLock { state in
            state.keepers[keeper] = nil
            if failures == Self.failuresMax {
                state.givenUp.append(profile)
                if state.givenUp.count > Self.givenUpMax { state.givenUp.removeFirst() }
            }
            state.shelves[profile]?.keepers.removeAll { $0 == keeper }
            if state.shelves[profile]?.keepers.isEmpty == true { state.shelves[profile] = nil }
            for watcher in state.watchers { watcher.set(()) }
            state.watchers = []
        }
    }

    /// Waits for what becomes of it; a cancelled wait ends it, unless it was taken in that moment.
    private static func fate(of spare: Spare) async -> Spare.End {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { _ = await spare.end.wait() }
            group.addTask { _ = await spare.program.exit.wait() }
            await group.next()
            group.cancelAll()
        }
        return spare.end.set(.died) ? .died : spare.end.value ?? .died
    }

    /// Ends all spares and waits until they are gone.
    func close() async {
        let keepers = state.withLock { state in
            state.closed = true
            state.shelves = [:]
            return Array(state.keepers.values)
        }
        for keeper in keepers { keeper.cancel() }
        for keeper in keepers { await keeper.value }
    }
}
