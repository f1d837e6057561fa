// SPDX-License-Identifier: Apache-2.0

public import BrumeModel

/// What a node's replicas have reserved. Reserved never exceeds capacity: that is checked here and nowhere else.
public struct CapacityLedger: Sendable {
    public let capacity: Resources
    public private(set) var reserved = Resources.zero

    public init(capacity: Resources) { self.capacity = capacity }

    public var free: Resources { capacity - reserved }

    /// Whether the demand fits beside what is reserved now.
    public func fits(_ demand: Resources) -> Bool { demand.fits(in: free) }

    /// Takes the demand if it fits. - Returns: false, changing nothing, if it does not.
    public mutating func reserve(_ demand: Resources) -> Bool {
        precondition(demand.millicores >= 0 && demand.memoryBytes >= 0, "a demand is never negative")
        guard fits(demand) else { return false }
        reserved = reserved + demand
        return true
    }

    public mutating func release(_ demand: Resources) {
        reserved = reserved - demand
        precondition(reserved.millicores >= 0 && reserved.memoryBytes >= 0, "more was released than was reserved")
    }
}
