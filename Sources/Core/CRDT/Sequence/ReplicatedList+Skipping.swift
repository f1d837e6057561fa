// SPDX-License-Identifier: Apache-2.0

extension ReplicatedList {
    /// The highest number that the site has used here, for inserts or for removals.
    public func last(of site: SiteID) -> UInt64 { max(context.last(of: site), context.last(of: Self.remover(site))) }

    /// Uses up one number of a site without writing anything, so that its next writes are numbered after it. Returns the delta.
    ///
    /// For a list that takes the place of one that was forgotten, whose numbers must not come again.
    public mutating func skip(_ sequence: UInt64, by site: SiteID) -> ReplicatedList {
        precondition(!isDelta, "a delta is merged into a list, not edited")
        var delta = ReplicatedList()
        delta.isDelta = true
        for site in [site, Self.remover(site)] {
            delta.context.insert(site, sequence..<sequence + 1)
            context.insert(site, sequence..<sequence + 1)
        }
        return delta
    }
}

extension Text {
    /// The highest number that the site has used here; see ``ReplicatedList/last(of:)``.
    public func last(of site: SiteID) -> UInt64 { scalars.last(of: site) }

    /// Uses up one number of a site; see ``ReplicatedList/skip(_:by:)``.
    public mutating func skip(_ sequence: UInt64, by site: SiteID) -> Text {
        var delta = Text()
        delta.scalars = scalars.skip(sequence, by: site)
        return delta
    }
}
