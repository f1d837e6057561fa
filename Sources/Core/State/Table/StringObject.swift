// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT

/// A string: kept apart from the other kinds because there are most of them, and because what changed can be told from the content.
final class StringObject: StateObject {
    private(set) var content = StringRegister()
    /// Which parts of the content were not flushed.
    private var pending = Pending.nothing
    private var site = SiteID(rawValue: 0)

    private enum Pending: UInt8 { case nothing, increment, all }

    init(name: Bytes, hash: UInt64, space: SpaceID) {
        super.init(name: name, hash: hash, space: space, kind: .string)
    }

    @inline(__always) func set(_ value: Bytes, at stamp: Stamp) {
        var delta = StringRegister()
        content.set(value, at: stamp, into: &delta)
        pending = .all
    }

    @inline(__always) func add(_ amount: Int64, by site: SiteID) throws(CRDTError) -> Int64 {
        let wasPresent = content.isPresent
        let sum = try content.count(amount, by: site)
        // Counting by nothing leaves no increment, but a base: that is told with the whole.
        if amount == 0, !wasPresent { pending = .all } else if pending == .nothing { pending = .increment }
        self.site = site
        return sum
    }

    override var hasContent: Bool { content.isPresent }
    override var contentDigest: UInt64 { content.digest }
    override var contentBytes: Int { MemoryLayout<StringRegister>.size + 16 + content.memoryBytes }
    override var overwritten: Stamp { content.stamp }
    override var hasDelta: Bool { pending != .nothing }
    override func resendAll() { pending = .all }
    override func forgetDelta() { pending = .nothing }

    override func encodeDelta(into writer: inout ByteWriter) {
        if pending == .increment, let part = ownIncrement() { part.encode(into: &writer) } else { content.encode(into: &writer) }
        pending = .nothing
    }

    /// The epoch with this site's increments alone: what one that counts has to tell, however many others count too.
    private func ownIncrement() -> StringRegister? {
        guard let entry = content.increments.entries.first(where: { $0.site == site }), entry.up <= UInt64(Int64.max),
            entry.down <= UInt64(Int64.max), content.increments.entries.count > 1
        else { return nil }
        var part = StringRegister()
        if content.stamp > .zero { part = part.set(content.base, at: content.stamp) }
        var delta = StringRegister()
        do throws(CRDTError) {
            // Adding nothing to nothing would begin a new epoch.
            if entry.up > 0 { _ = try part.add(Int64(entry.up), by: site, into: &delta) }
            if entry.down > 0 { _ = try part.add(-Int64(entry.down), by: site, into: &delta) }
        } catch {
            return nil
        }
        return delta
    }

    override func encodeContent(into writer: inout ByteWriter) { content.encode(into: &writer) }

    override func mergeContent(from reader: inout ByteReader) throws(DecodingFailure) {
        let other = try StringRegister(from: &reader)
        content.merge(other)
    }

    override func checkContent(from reader: inout ByteReader) throws(DecodingFailure) { _ = try StringRegister(from: &reader) }

    override func removeContent(_ stamp: Stamp) {
        var delta = StringRegister()
        content.set(nil, at: stamp, into: &delta)
        pending = .all
    }

    override func resetContent() {
        content = StringRegister()
        if pending != .nothing { pending = .all }
    }
}
