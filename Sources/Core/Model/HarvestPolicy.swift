// SPDX-License-Identifier: Apache-2.0

/// What a function's spec says about harvesting.
public struct HarvestPolicy: Hashable, Sendable {
    /// `true` (as without it), `false`, `cpu` or `memory`: what its calls may lend and borrow.
    public static let annotation = "dev.brume.harvest"
    /// Names of numeric parameters at the top of a JSON body, with commas between them: what demand may follow beside the size.
    public static let parametersAnnotation = "dev.brume.harvest.parameters"

    /// What its calls lend and borrow.
    public var takesPart: Set<ResourceKind> = [.cpu, .memory]
    /// At most ``CallFeatures/parametersMax``, in the order in which ``CallFeatures/parameters`` has their values.
    public var parameterNames: [String] = []

    public init() {}

    /// Reads the annotations of a spec.
    ///
    /// - Throws: `BrumeError` (`invalid`) for another word, and for too many, empty or repeated names.
    public init(annotations: [String: String]) throws(BrumeError) {
        switch annotations[Self.annotation] {
        case nil, "true": break
        case "false": takesPart = []
        case "cpu": takesPart = [.cpu]
        case "memory": takesPart = [.memory]
        case let word?:
            throw BrumeError(
                .invalid, "The annotation \(Self.annotation) is '\(word.prefix(32))'; write true, false, cpu or memory.")
        }
        guard let list = annotations[Self.parametersAnnotation] else { return }
        parameterNames = list.split(separator: ",", omittingEmptySubsequences: false).map { name in
            String(name.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
        }
        let distinct = Set(parameterNames).count == parameterNames.count
        guard parameterNames.count <= CallFeatures.parametersMax, distinct, parameterNames.allSatisfy({ !$0.isEmpty }) else {
            throw BrumeError(
                .invalid,
                """
                The annotation \(Self.parametersAnnotation) is '\(list.prefix(64))'; name 1 to \(CallFeatures.parametersMax) different \
                parameters with commas between them, for example size,rows.
                """)
        }
    }
}
