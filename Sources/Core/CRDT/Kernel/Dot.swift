// SPDX-License-Identifier: Apache-2.0

/// Who writes ("site", because a replica is a sandbox of a function in this project): one incarnation of a node's state, a random number
/// that is never used again once its log was lost.
public struct SiteID: RawRepresentable, Hashable, Comparable, Sendable {
    public var rawValue: UInt64

    public init(rawValue: UInt64) { self.rawValue = rawValue }

    public static func < (left: SiteID, right: SiteID) -> Bool { left.rawValue < right.rawValue }
}

/// One write to one object: the site that made it, and which of its writes to this object it was, from 1.
public struct Dot: Hashable, Comparable, Sendable {
    public var site: SiteID
    public var sequence: UInt64

    public init(site: SiteID, sequence: UInt64) {
        self.site = site
        self.sequence = sequence
    }

    public static func < (left: Dot, right: Dot) -> Bool {
        left.site == right.site ? left.sequence < right.sequence : left.site < right.site
    }
}
