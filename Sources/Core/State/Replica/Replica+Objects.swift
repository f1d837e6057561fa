// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel

extension Replica {
    /// The object that a reader of the key sees, or nil.
    func visible(_ key: ObjectKey, _ now: StateTime) -> StateObject? {
        let space = spaces[key.space.index]
        guard let object = space.table.find(space.hash(key.name), key.name) else { return nil }
        let moment = milliseconds(now)
        if !object.flags.contains(.sibling) { return object.isVisible(at: moment) ? object : nil }
        let all = space.table.all(object.hash, key.name)
        return all.filter { $0.isVisible(at: moment) }.min { $0.kind < $1.kind }
    }

    /// The object of the kind under the key for a reader; nil where there is nothing to see.
    ///
    /// - Throws: `StateError` (`wrongType`) where the key shows an object of another kind.
    @inline(__always)
    func reading<Content: ObjectContent>(
        _ key: ObjectKey, _ type: Content.Type, _ now: StateTime
    ) throws(StateError) -> ContentObject<Content>? {
        guard let object = try reading(key, Content.kind, now) else { return nil }
        return unsafe unsafeDowncast(object, to: ContentObject<Content>.self)
    }

    @inline(__always)
    func reading(_ key: ObjectKey, _ kind: ObjectKind, _ now: StateTime) throws(StateError) -> StateObject? {
        let space = spaces[key.space.index]
        guard let object = space.table.find(space.hash(key.name), key.name) else { return nil }
        if object.kind == kind, object.side == nil, !object.flags.contains(.sibling) { return object }
        guard let seen = visible(key, now) else { return nil }
        guard seen.kind == kind else { throw .wrongType(seen.kind, kind) }
        return seen
    }

    /// The object of the kind under the key for a writer, made if need be. The caller changes it and calls ``changed(_:_:_:)``.
    ///
    /// - Throws: `StateError`: `wrongType`, `tooLarge` for the name, `quota` where an object would have to be made.
    @inline(__always)
    mutating func writing<Content: ObjectContent>(
        _ key: ObjectKey, _ type: Content.Type, _ now: StateTime
    ) throws(StateError) -> ContentObject<Content> {
        let space = spaces[key.space.index]
        let hash = space.hash(key.name)
        if let object = space.table.find(hash, key.name), object.kind == Content.kind, object.side == nil,
            object.flags.isDisjoint(with: [.sibling, .shell, .unnumbered]), space.namespace.hasRoom
        {
            return unsafe unsafeDowncast(object, to: ContentObject<Content>.self)
        }
        let object = try writingSlowly(key, space, hash, Content.kind, now)
        return unsafe unsafeDowncast(object, to: ContentObject<Content>.self)
    }

    mutating func writingSlowly(
        _ key: ObjectKey, _ space: Space, _ hash: UInt64, _ kind: ObjectKind, _ now: StateTime
    ) throws(StateError) -> StateObject {
        let all = space.table.all(hash, key.name)
        let moment = milliseconds(now)
        if let seen = all.filter({ $0.isVisible(at: moment) }).min(by: { $0.kind < $1.kind }), seen.kind != kind {
            throw .wrongType(seen.kind, kind)
        }
        if let object = all.first(where: { $0.kind == kind }) {
            if object.hasContent, !object.isVisible(at: moment) { remove(object, now) }
            if !collectIfStable(object) {
                try checkQuota(space, creates: !object.hasContent)
                number(object)
                return object
            }
        }
        guard key.name.count <= settings.keyBytesMax else {
            throw StateError(.tooLarge, "The key has \(key.name.count) bytes; \(settings.keyBytesMax) are allowed.")
        }
        try checkQuota(space, creates: true)
        let object = kind.makeObject(key.name, hash, space.id)
        insert(object, besides: space.table.all(hash, key.name), in: space)
        number(object)
        return object
    }

    /// Makes sure that this site's numbers for the object were never used for an earlier object of its name.
    private func number(_ object: StateObject) {
        guard object.flags.contains(.unnumbered) else { return }
        object.flags.remove(.unnumbered)
        object.beginNumbering(of: site, after: floor)
    }

    /// Puts a new object into its table, beside others of its name and other kinds.
    func insert(_ object: StateObject, besides others: [StateObject], in space: Space) {
        if !others.isEmpty {
            object.flags.insert(.sibling)
            for other in others { other.flags.insert(.sibling) }
        }
        if floor > 0 { object.flags.insert(.unnumbered) }
        space.table.insert(object)
    }

    func checkQuota(_ space: Space, creates: Bool) throws(StateError) {
        let namespace = space.namespace
        if creates, namespace.objects >= namespace.settings.objectsMax {
            throw StateError(
                .quota, "The namespace '\(namespace.name)' holds \(namespace.objects) objects, its quota; delete some or raise the quota.")
        }
        if !namespace.hasRoom {
            throw StateError(
                .quota, "The namespace '\(namespace.name)' takes \(namespace.bytes) bytes, its quota; delete some or raise the quota.")
        }
    }

    func checkSize(_ count: Int, _ what: StaticString) throws(StateError) {
        guard count > settings.valueBytesMax else { return }
        throw StateError(
            .tooLarge, "The \(what) has \(count) bytes; \(settings.valueBytesMax) are allowed. Cut it into several keys.")
    }

    /// Notes that an operation of this node changed the object.
    @inline(__always)
    mutating func changed(_ object: StateObject, _ time: HybridTime, _ now: StateTime) {
        object.updated = time
        let space = spaces[Int(object.space)]
        if !object.flags.contains(.dirty) { markDirty(object, space, now) }
        settle(object, in: space)
        if isWatched { noteChange(object, isLocal: true) }
    }

    private mutating func markDirty(_ object: StateObject, _ space: Space, _ now: StateTime) {
        object.flags.insert(.dirty)
        if space.dirty.isEmpty {
            if dirtySpaces.isEmpty { flushDue = now.instant + settings.flushDelay }
            dirtySpaces.append(space.id.index)
            // Whoever writes uses the namespace, whether it said so or not.
            use(space.id, now)
            space.namespace.isWritten = true
        }
        space.dirty.append(object)
        dirtyCount &+= 1
        if dirtyCount == settings.flushObjects { flushDue = now.instant }
    }

    /// Counts the object if it came to be or ceased to, and marks its digest.
    @inline(__always)
    func settle(_ object: StateObject, in space: Space) {
        space.markStale(object)
        if object.kind.leavesRests, !object.flags.contains(.littered) { space.noteLitter(object) }
        let exists = object.hasContent
        if exists != object.flags.contains(.counted) { recount(object, exists, in: space) }
        if !exists, !object.flags.contains(.shell) {
            object.flags.insert(.shell)
            space.shells.append(object)
        }
    }

    private func recount(_ object: StateObject, _ exists: Bool, in space: Space) {
        if exists {
            object.flags.insert(.counted)
            space.count += 1
            space.namespace.objects += 1
        } else {
            object.flags.remove(.counted)
            space.count -= 1
            space.namespace.objects -= 1
        }
    }

    mutating func noteChange(_ object: StateObject, isLocal: Bool) {
        let key = ObjectKey(SpaceID(Int(object.space)), object.name)
        if let last = changes.last, last.key == key, last.isLocal == isLocal { changes.removeLast() }
        changes.append(StateChange(key: key, kind: object.kind, isLocal: isLocal, isRemoval: !object.hasContent))
    }

    mutating func flushChanges() {
        guard !changes.isEmpty else { return }
        outputs.append(.changed(changes))
        changes = []
    }

    /// Removes what is seen of an object, so that others do the same; the object stays as a shell until that is stable.
    mutating func remove(_ object: StateObject, _ now: StateTime) {
        let stamp = stamp(now).after(object.overwritten)
        if object.needsEpoch {
            object.makeSide().epoch = epochAfter(object, stamp)
            object.resetContent()
            object.side?.isDirty = true
        } else {
            object.removeContent(stamp)
        }
        if let side = object.side, side.expiry != nil {
            side.expiry = Expiry(stamp: stamp, moment: -1)
            side.isDirty = true
        }
        changed(object, stamp.time, now)
    }

    /// Forgets an object without content whose end has reached every member. Answers whether it did.
    mutating func collectIfStable(_ object: StateObject) -> Bool {
        guard !object.hasContent, object.updated <= forgettable, !object.flags.contains(.dirty) else { return false }
        floor = max(floor, object.lastNumber(of: site))
        if hasQuestions { forgotten.note(object, at: clock.last) }
        spaces[Int(object.space)].drop(object)
        counts.collected += 1
        return true
    }
}
