// SPDX-License-Identifier: Apache-2.0
import FoundationEssentials
import SystemPackage

/// The files of a simulated experiment's report.
enum ReportFiles {
    /// Makes the folder and tries to write into it, so that a wrong path is said before the work and not after it.
    ///
    /// - Throws: `CommandFailure` (words).
    static func makeDirectory(_ path: String) throws(CommandFailure) {
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw .words("The directory '\(path)' cannot be made; check its path and its permissions.")
        }
        let trial = FilePath(path).appending(".brume-\(UUID().uuidString)").string
        do {
            try Data().write(to: URL(filePath: trial))
            try FileManager.default.removeItem(atPath: trial)
        } catch {
            throw .words("Nothing can be written into the directory '\(path)'; name another one with --output.")
        }
    }

    static func write(_ text: String, to path: String) throws {
        do {
            try text.write(toFile: path, atomically: true, encoding: .utf8)
        } catch {
            throw CommandFailure.failed("The report cannot be written to '\(path)'; check the directory and its permissions.")
        }
    }
}
