// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import BrumeCRDT

private let a = SiteID(rawValue: 11)
private let b = SiteID(rawValue: 22)

@Suite("Add-wins set")
struct AddWinsSetTests {
    @Test("an element that was added, spread and removed elsewhere stays removed on both (MISO: x is back)")
    func removeOfSyncedAddIsKept() {
        var left = Causal<AddWinsSet>()
        var right = Causal<AddWinsSet>()
        right.merge(left.add("x", by: a))
        left.merge(right.remove("x"))
        right.merge(left)
        left.merge(right)
        #expect(left.elements.isEmpty)
        #expect(right.elements.isEmpty)
        #expect(left == right)
    }

    @Test("an add wins over a concurrent remove")
    func addWins() {
        var left = Causal<AddWinsSet>()
        var right = Causal<AddWinsSet>()
        right.merge(left.add("x", by: a))
        let removed = right.remove("x")
        let added = left.add("x", by: a)
        left.merge(removed)
        right.merge(added)
        #expect(left.elements == ["x"])
        #expect(left == right)
    }
}
