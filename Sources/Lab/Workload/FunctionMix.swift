// SPDX-License-Identifier: Apache-2.0

public import BrumeModel

/// What one call asks for.
public struct Demand: Hashable, Sendable {
    /// Which profile of the mix it is drawn from, by position.
    public var function: Int
    /// Time the function works on it.
    public var duration: Duration
    /// Bytes of the request's body.
    public var requestBytes: Int
    /// Bytes of the reply's body.
    public var responseBytes: Int
}

/// One function of a mix: how often it is called and what its calls ask for.
public struct FunctionProfile: Hashable, Sendable {
    /// Name for reports.
    public var name: String
    /// Share of the calls, relative to the other weights.
    public var weight: Int
    /// Nanoseconds of work.
    public var durationNanoseconds: Quantity
    /// Bytes of the request's body.
    public var requestBytes: Quantity
    /// Bytes of the reply's body.
    public var responseBytes: Quantity

    public init(
        name: String, weight: Int = 1, durationNanoseconds: Quantity, requestBytes: Quantity = .fixed(0),
        responseBytes: Quantity = .fixed(0)
    ) {
        self.name = name
        self.weight = weight
        self.durationNanoseconds = durationNanoseconds
        self.requestBytes = requestBytes
        self.responseBytes = responseBytes
    }
}

/// The functions that a workload calls, and in which proportion.
public struct FunctionMix: Sendable {
    /// Functions in one mix at most: draws search the list, and no published trace names more.
    public static let profilesMax = 100_000

    public let profiles: [FunctionProfile]
    /// Running sum of the weights, for one draw and a binary search per call.
    private let bounds: [Int]

    /// - Throws: `BrumeError` (`invalid`) for no profile or too many, a weight below 1, weights that add up past `Int`, an impossible
    ///   quantity.
    public init(_ profiles: [FunctionProfile]) throws(BrumeError) {
        guard !profiles.isEmpty, profiles.count <= Self.profilesMax else {
            throw BrumeError(.invalid, "A mix of \(profiles.count) functions is not possible; give 1 to \(Self.profilesMax).")
        }
        var bounds: [Int] = []
        var sum = 0
        for profile in profiles {
            let (next, overflow) = sum.addingReportingOverflow(profile.weight)
            guard profile.weight >= 1, !overflow else {
                throw BrumeError(
                    .invalid, "The weight \(profile.weight) of '\(profile.name)' is not possible; give a whole number from 1 on.")
            }
            try profile.durationNanoseconds.validate()
            try profile.requestBytes.validate()
            try profile.responseBytes.validate()
            sum = next
            bounds.append(sum)
        }
        self.profiles = profiles
        self.bounds = bounds
    }

    /// Draws which function is called and what the call asks for.
    public func draw(_ generator: inout SeededGenerator) -> Demand {
        let ticket = generator.below(bounds[bounds.count - 1])
        let drawn = bounds.partitioningIndex { ticket < $0 }
        let profile = profiles[drawn]
        return Demand(
            function: drawn,
            duration: .nanoseconds(profile.durationNanoseconds.draw(&generator)),
            requestBytes: profile.requestBytes.draw(&generator),
            responseBytes: profile.responseBytes.draw(&generator))
    }
}
