// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Foundation
import NIOHTTP1
import Testing

/// Real nodes of which two hold the cluster's key.
@Suite("A second signer", .serialized)
struct SignerSystemTests {
    @Test("lets nodes join and removes the first when that one is lost for good", .timeLimit(.minutes(3)))
    func loss() async throws {
        try await ClusterTests.withThree { first, second, third in
            let refused = try await second.brume(["node", "signer", "add", "third"])
            #expect(refused.exitCode == 1 && refused.complaint.contains("first"), "\(refused.complaint)")
            let done = try await first.brume(["node", "signer", "add", "second"])
            #expect(done.exitCode == 0, "\(done.complaint)")
            #expect(try await eventually { try await ClusterTests.cluster(third).nodes.first { $0.name == "second" }?.admits == true })
            // The first is gone with its disk.
            await first.killHard()
            try FileManager.default.removeItem(atPath: first.dataDirectory)
            #expect(try await eventually { try await ClusterTests.sees(second, ["first": "dead"]) })
            // The key outlives a restart.
            await second.stop(keepData: true)
            let again = try await NodeUnderTest(dataDirectory: second.dataDirectory, options: ClusterTests.plain + ["--name", "second"])
            #expect(try await eventually { try await ClusterTests.sees(again, ["third": "alive"]) })
            let fourth = try await ClusterTests.joiner(try await ClusterTests.token(again), "fourth")
            for node in [again, third, fourth] {
                #expect(
                    try await eventually { try await ClusterTests.sees(node, ["second": "alive", "third": "alive", "fourth": "alive"]) })
            }
            let removed = try await again.brume(["node", "remove", "first"])
            #expect(removed.exitCode == 0, "\(removed.complaint)")
            #expect(try await eventually { try await ClusterTests.sees(third, ["first": "removed"]) })
            await fourth.stop()
            await again.stop()
        }
    }
}
