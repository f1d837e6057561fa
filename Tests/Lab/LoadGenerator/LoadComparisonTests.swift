// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeWorkload
import Synchronization
import Testing

@testable import BrumeLoad

@Suite("Comparisons")
struct LoadComparisonTests {
    private func target(_ server: TestServer) -> LoadTarget { LoadTarget(endpoint: .tcp(host: "127.0.0.1", port: server.port)) }

    @Test("subjects are measured in turn, each round beginning with another one")
    func alternates() async throws {
        try await TestServer.run(.echo) { first in
            try await TestServer.run(.statuses([500])) { second in
                let subjects = [
                    LoadComparison.Subject(name: "good", target: target(first)),
                    LoadComparison.Subject(name: "bad", target: target(second)),
                ]
                let plan = LoadPlan(
                    target: target(first), pace: .open(.constant(rate: 100)), connections: 2, duration: .milliseconds(300), warmUp: .zero)
                let order = Mutex([String]())
                let report = try await LoadComparison(subjects, plan: plan, rounds: 3).run { step in
                    let name = "\(step.subject) \(step.round)/\(step.rounds)"
                    order.withLock { if $0.last != name { $0.append(name) } }
                }
                #expect(order.withLock { $0 } == ["good 1/3", "bad 1/3", "bad 2/3", "good 2/3", "good 3/3", "bad 3/3"])
                #expect(report.rounds == 3)
                #expect(report.subjects.map(\.name) == ["good", "bad"])
                #expect(report.subjects.map(\.runs.count) == [3, 3])
                #expect(report.subjects[0].failed == 0)
                #expect(report.subjects[1].failed == report.subjects[1].due)
                #expect(report.subjects[0].throughputRatio == 1)
                #expect(report.subjects[1].throughputRatio == 0)
                #expect(report.subjects[1].p50Ratio == nil)
            }
        }
    }

    @Test(
        "the median is the middle value, or between both in the middle",
        arguments: [([3, 1, 2], 2), ([4, 1, 2, 9], 3), ([7], 7), ([], 0)] as [([Double], Double)])
    func median(values: [Double], expected: Double) {
        #expect(ComparisonReport.median(values) == expected)
    }

    @Test("what cannot be compared is refused before anything is sent")
    func refused() throws {
        let target = try LoadTarget(parsing: "http://127.0.0.1:1/")
        let remote = try LoadTarget(parsing: "http://192.0.2.1/")
        let plan = LoadPlan(target: target, pace: .closed)
        let one = LoadComparison.Subject(name: "a", target: target)
        #expect(throws: BrumeError.self) { try LoadComparison([], plan: plan, rounds: 1) }
        #expect(throws: BrumeError.self) { try LoadComparison([one, one], plan: plan, rounds: 1) }
        #expect(throws: BrumeError.self) { try LoadComparison([one], plan: plan, rounds: 0) }
        #expect(throws: BrumeError.self) { try LoadComparison([one], plan: plan, rounds: LoadComparison.roundsMax + 1) }
        let error = #expect(throws: BrumeError.self) {
            try LoadComparison([one, LoadComparison.Subject(name: "far", target: remote)], plan: plan, rounds: 1)
        }
        #expect(error?.code == .permission)
    }
}
