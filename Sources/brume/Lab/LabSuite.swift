// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import BrumeWorkload
import FoundationEssentials
import SystemPackage

/// The functions of an experiment: a folder with `lab.yml`, a stack file whose limits are what their users ask for.
struct LabSuite {
    static let stackName = "lab.yml"
    static let defaultDirectory = "Examples/serverless-suite"

    let functions: [FunctionSettings]

    /// - Throws: `CommandFailure` (words) with the command that mends it.
    init(directory: String) throws {
        let path = FilePath(directory).appending(Self.stackName).string
        guard FileManager.default.fileExists(atPath: path) else {
            throw CommandFailure.words(
                """
                There are no functions to call: \(path) does not exist; run this in the folder of Brume's sources, or name another folder \
                with a \(Self.stackName): --suite DIRECTORY
                """)
        }
        functions = try StackFile(path: path, environment: ProcessInfo.processInfo.environment, defaultNamespace: nil).functions
        let needsFilm = functions.contains { $0.id.name == "video-processing" }
        if needsFilm, !FileManager.default.isExecutableFile(atPath: "/usr/bin/ffmpeg") {
            throw CommandFailure.failed("The suite is not installed here: /usr/bin/ffmpeg is missing; run: \(directory)/install")
        }
    }

    /// What its user asked for, for each function of a trace that goes to this suite.
    ///
    /// - Throws: `CommandFailure` (words) if the trace calls a function that the suite has not.
    func allocations(of trace: Trace) throws -> [Resources] {
        try trace.functions.enumerated().map { index, function in
            guard let settings = functions.first(where: { $0.id.callPath == function.name }) else {
                guard trace.calls.contains(where: { $0.function == index }) else { return FunctionSpec.defaultLimits }
                throw CommandFailure.words(
                    """
                    The trace calls '\(function.name.prefix(40))', which the suite has not; it has \
                    \(functions.map(\.id.callPath).joined(separator: ", ")).
                    """)
            }
            return try settings.allocation
        }
    }
}

extension FunctionSettings {
    var allocation: Resources {
        get throws(BrumeError) {
            var allocation = FunctionSpec.defaultLimits
            if let cpu = limits.cpu { allocation.millicores = try Resources.millicores(parsing: cpu) }
            if let memory = limits.memory { allocation.memoryBytes = try Resources.bytes(parsing: memory) }
            return allocation
        }
    }

    /// Replicas that are to be warm before calls come.
    var warmReplicas: Int { labels["com.openfaas.scale.min"].flatMap { Int($0) } ?? min ?? 0 }

    /// Nil where nothing is said.
    var replicasAtMost: Int? { labels["com.openfaas.scale.max"].flatMap { Int($0) } ?? max }

    /// As a policy wants it.
    func under(_ policy: LabPolicy) -> FunctionSettings {
        var settings = self
        if !policy.lends { settings.annotations[HarvestPolicy.annotation] = "false" }
        return settings
    }

    /// Without replicas: how functions wait in the data directory until the next node takes it.
    var atRest: FunctionSettings {
        var settings = self
        settings.min = nil
        settings.labels["com.openfaas.scale.min"] = "0"
        settings.annotations[Annotation.prewarm] = "false"
        return settings
    }
}
