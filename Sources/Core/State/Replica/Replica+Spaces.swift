// SPDX-License-Identifier: Apache-2.0

import BrumeModel

extension Replica {
    /// Opens a key space, making it if this replica does not know it.
    ///
    /// - Throws: `StateError` (`quota`) when there are more than ``StateSettings/spacesMax``.
    public mutating func space(_ name: SpaceName) throws(StateError) -> SpaceID {
        if let index = spaceNumbers[name] { return SpaceID(index) }
        guard spaces.count < settings.spacesMax else {
            throw StateError(.quota, "This node holds \(spaces.count) key spaces already; it is set to hold no more.")
        }
        return makeSpace(name).id
    }

    /// The key space of the name, made if need be; whoever calls keeps the limit.
    mutating func makeSpace(_ name: SpaceName) -> Space {
        if let index = spaceNumbers[name] { return spaces[index] }
        let space = Space(id: SpaceID(spaces.count), name: name, namespace: namespace(name.namespace))
        spaceNumbers[name] = spaces.count
        spaces.append(space)
        return space
    }

    /// The namespace of the name, made if need be.
    mutating func namespace(_ name: String) -> Namespace {
        let index = namespaces.partitioningIndex { $0.name >= name }
        if index < namespaces.count, namespaces[index].name == name { return namespaces[index] }
        let made = Namespace(name: name, settings: settings.settings(for: name))
        if made.isOwn {
            // Every node follows what stands there.
            made.settings.interest = .all
            made.settings.durability = .sync
        }
        namespaces.insert(made, at: index)
        // What a policy keeps was kept before anybody named it: others have sent all there is.
        made.interest.isPinned = isPinned(name, made.settings.interest)
        made.interest.isHeld = made.interest.isPinned
        // Unless this node has still to compare with some: who has just joined, or was away.
        if made.interest.isHeld, replaying == .max, !membership.holds.isEmpty { expectAll(of: made) }
        return made
    }

    /// The namespace of the name if this replica knows it.
    func knownNamespace(_ name: String) -> Namespace? {
        let index = namespaces.partitioningIndex { $0.name >= name }
        return index < namespaces.count && namespaces[index].name == name ? namespaces[index] : nil
    }

    public func name(of space: SpaceID) -> SpaceName { spaces[space.index].name }

    public func settings(of space: SpaceID) -> NamespaceSettings { spaces[space.index].namespace.settings }

    /// Every key space of this replica that is not Brume's own, by name.
    public func allSpaces() -> [SpaceID] {
        spaces.filter { !$0.namespace.isOwn && ($0.count > 0 || $0.table.count > 0) }.sorted { $0.name < $1.name }.map(\.id)
    }

    /// What an awaited write to the key space waits for, unless the call says more.
    public func settlement(of space: SpaceID) -> Settlement {
        spaces[space.index].namespace.settings.durability == .sync ? .durable : .accepted
    }

    /// Changes what holds for a namespace on this node from now on; a policy that was said for all nodes stays.
    public mutating func configure(_ name: String, _ value: NamespaceSettings, now: StateTime) {
        settings.namespaces[name] = value
        let changed = namespace(name)
        let policy = changed.hasPolicy ? changed.settings.interest : value.interest
        changed.settings = value
        changed.settings.interest = policy
        decideInterest(in: changed)
        announceInterestSoon()
    }
}
