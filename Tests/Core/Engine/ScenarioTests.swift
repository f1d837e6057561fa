// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Foundation
import Testing

/// What the engine does, as files that a reviewer reads. Run with `UPDATE_SNAPSHOTS=1` to write what comes out now.
@Suite("Scenarios")
struct ScenarioTests {
    static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Scenarios")
    static let names: [String] =
        ((try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []).filter { $0.hasSuffix(".txt") }.sorted()

    @Test("the engine does what the file says", arguments: names)
    func plays(name: String) throws {
        let file = Self.folder.appending(path: name)
        let text = try String(contentsOf: file, encoding: .utf8)
        let now = try Scenario(parsing: text).replayed()
        if ProcessInfo.processInfo.environment["UPDATE_SNAPSHOTS"] == "1" {
            try now.write(to: file, atomically: true, encoding: .utf8)
            return
        }
        let difference = zip(text.split(separator: "\n"), now.split(separator: "\n")).first { $0 != $1 }
        #expect(
            text == now,
            "\(name): expected '\(difference?.0 ?? "end of file")', came '\(difference?.1 ?? "end of file")'; UPDATE_SNAPSHOTS=1 accepts it"
        )
    }

    @Test("there is a file for each part of the engine's behaviour")
    func filesExist() { #expect(Self.names.count >= 20) }
}
