// SPDX-License-Identifier: Apache-2.0

import Foundation

@testable import BrumeWorkload

/// The files in Fixtures; their SOURCES.md says where they come from.
enum Fixture {
    static func bytes(_ name: String) throws -> [UInt8] {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures")
        return Array(try Data(contentsOf: folder.appending(path: name)))
    }

    static func lines(_ name: String) throws -> [Substring] { Array(TextLines(CollectionOfOne(try bytes(name)))) }
}
