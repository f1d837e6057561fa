// SPDX-License-Identifier: Apache-2.0

extension ReplicatedList {
    /// Uses up one number of a site without writing anything, so that its next write is numbered after it. Returns the delta.
    ///
    /// For a list that takes the place of one that was forgotten, whose numbers must not come again.
    public mutating func skip(_ sequence: UInt64, by site: SiteID) -> ReplicatedList {
        precondition(!isDelta, "a delta is merged into a list, not edited")
        var delta = ReplicatedList()
        delta.isDelta = true
        delta.context.insert(site, sequence..<sequence + 1)
        context.insert(site, sequence..<sequence + 1)
        return delta
    }
}

extension Text {
    /// Uses up one number of a site; see ``ReplicatedList/skip(_:by:)``.
    public mutating func skip(_ sequence: UInt64, by site: SiteID) -> Text {
        var delta = Text()
        delta.scalars = scalars.skip(sequence, by: site)
        return delta
    }
}
