// SPDX-License-Identifier: Apache-2.0
import FoundationEssentials

/// The files of a simulated experiment's report.
enum ReportFiles {
    /// Makes the folder, so that a wrong path is said before the work and not after it.
    static func makeDirectory(_ path: String) throws {
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw CommandFailure.failed("The directory '\(path)' cannot be made; check its path and its permissions.")
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
