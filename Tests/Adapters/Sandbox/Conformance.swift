// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Testing

/// What every driver must keep, real or simulated: the events of `SandboxDriver` and their order.
struct SandboxConformance<Driver: SandboxDriver> {
    /// What a function of the suite does.
    enum Behaviour: CaseIterable {
        /// Answers every call.
        case answers
        /// Ends by itself with exit code 3 in the middle of a call.
        case crashes
        /// Never answers.
        case hangs
        /// Never comes up.
        case failsToStart
    }

    let driver: Driver
    let recorder: EventRecorder
    /// The function that a replica is started of.
    let spec: (Behaviour) throws -> FunctionSpec
    /// What a call must carry for it.
    let payload: (Behaviour) -> Driver.Payload
    /// Lets virtual time pass; nothing for a real driver.
    var pump: () async -> Void = {}

    /// Runs every rule, each with replicas of its own.
    func run() async throws {
        try await answersOnce()
        try await failedStartIsOneExit()
        try await crashFailsTheCallFirst()
        try await stopFailsRunningCalls()
        try await unknownReplicaAnswers()
        try await stopTwiceIsOneExit()
        try await shutdownEndsAll()
    }

    private func begin(_ number: UInt64, _ behaviour: Behaviour) async throws -> ReplicaID {
        let replica = ReplicaID(number)
        driver.start(replica, of: try spec(behaviour), secrets: [])
        await pump()
        return replica
    }

    private func invoke(_ number: UInt64, _ behaviour: Behaviour, on replica: ReplicaID) throws -> OneAnswer<Driver.Payload> {
        let answer = OneAnswer<Driver.Payload>()
        let request = CallRequest(function: try spec(behaviour).id, body: .whole(payload(behaviour)), label: "\(number)")
        driver.invoke(CallID(number), request, on: replica, deadline: .distantFuture) { answer.set($0) }
        return answer
    }

    private func finished(_ number: UInt64) async -> CallFailure? {
        let event = await recorder.first { if case .finished(CallID(number), _, _) = $0 { true } else { false } }
        if case .finished(_, _, let failure) = event { return failure }
        return nil
    }

    private func events(of replica: ReplicaID) -> [String] {
        recorder.events.compactMap { event in
            switch event {
            case .started(replica): "started"
            case .finished(let call, replica, let failure): "finished \(call) \(failure?.kind.rawValue ?? "well")"
            case .exited(replica, let exit): "exited \(exit.cause)"
            default: nil
            }
        }
    }

    func answersOnce() async throws {
        let replica = try await begin(101, .answers)
        #expect(await recorder.starts(replica))
        for number in [1001, 1002] as [UInt64] {
            let answer = try invoke(number, .answers, on: replica)
            await pump()
            _ = try await answer.wait().get()
            #expect(await finished(number) == nil)
            #expect(answer.count == 1)
        }
        driver.stop(replica, grace: .zero)
        await pump()
        _ = await recorder.exit(of: replica)
        #expect(events(of: replica) == ["started", "finished c1001 well", "finished c1002 well", "exited stopped"])
    }

    func failedStartIsOneExit() async throws {
        let replica = try await begin(102, .failsToStart)
        let exit = await recorder.exit(of: replica)
        #expect(exit.cause == .startFailed)
        #expect(!exit.message.isEmpty)
        #expect(events(of: replica) == ["exited startFailed"])
    }

    func crashFailsTheCallFirst() async throws {
        let replica = try await begin(103, .crashes)
        #expect(await recorder.starts(replica))
        let answer = try invoke(1003, .crashes, on: replica)
        await pump()
        _ = await recorder.exit(of: replica)
        let failure = await #expect(throws: CallFailure.self) { try await answer.wait().get() }
        #expect(failure?.kind == .exited)
        #expect(events(of: replica) == ["started", "finished c1003 exited", "exited exited(code: 3)"])
    }

    func stopFailsRunningCalls() async throws {
        let replica = try await begin(104, .hangs)
        #expect(await recorder.starts(replica))
        let answer = try invoke(1004, .hangs, on: replica)
        driver.stop(replica, grace: .zero)
        await pump()
        let failure = await #expect(throws: CallFailure.self) { try await answer.wait().get() }
        #expect(failure?.kind == .stopped)
        _ = await recorder.exit(of: replica)
        #expect(events(of: replica) == ["started", "finished c1004 stopped", "exited stopped"])
        #expect(answer.count == 1)
    }

    func unknownReplicaAnswers() async throws {
        let answer = try invoke(1005, .answers, on: ReplicaID(999))
        await pump()
        await #expect(throws: CallFailure.self) { try await answer.wait().get() }
        #expect(await finished(1005) != nil)
        #expect(driver.usage(of: ReplicaID(999)) == nil)
        driver.stop(ReplicaID(999), grace: .zero)
        driver.cancel(CallID(1005), on: ReplicaID(999))
    }

    func stopTwiceIsOneExit() async throws {
        let replica = try await begin(106, .answers)
        #expect(await recorder.starts(replica))
        driver.stop(replica, grace: .zero)
        driver.stop(replica, grace: .zero)
        await pump()
        _ = await recorder.exit(of: replica)
        #expect(events(of: replica) == ["started", "exited stopped"])
    }

    func shutdownEndsAll() async throws {
        let replicas = [try await begin(107, .answers), try await begin(108, .hangs)]
        for replica in replicas { #expect(await recorder.starts(replica)) }
        await driver.shutdown()
        for replica in replicas { #expect(events(of: replica) == ["started", "exited stopped"]) }
        let late = try await begin(109, .answers)
        #expect(await recorder.exit(of: late).cause == .startFailed)
    }
}
