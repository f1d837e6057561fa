// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT

/// Objects that must be seen together, by their names: as they stand in answers, records and snapshots.
///
/// Batches need no such list, since they say themselves whether their objects belong together. What came by a comparison, or was read
/// from a snapshot, would otherwise be handed on in halves.
struct NamedGroup {
    var time: HybridTime
    var members: [(space: SpaceName, address: ObjectAddress)]

    static func encode(_ groups: [NamedGroup], into writer: inout ByteWriter) {
        writer.count(groups.count)
        for group in groups {
            writer.value(group.time)
            writer.count(group.members.count)
            for member in group.members {
                writer.spaceName(member.space)
                member.address.encode(into: &writer)
            }
        }
    }

    static func decode(from reader: inout ByteReader) throws(DecodingFailure) -> [NamedGroup] {
        var groups: [NamedGroup] = []
        for _ in 0..<(try reader.count(entryBytes: 9)) {
            var group = NamedGroup(time: try HybridTime(from: &reader), members: [])
            for _ in 0..<(try reader.count(entryBytes: 11)) {
                group.members.append((try reader.spaceName(), try ObjectAddress(from: &reader)))
            }
            groups.append(group)
        }
        return groups
    }
}

extension Replica {
    /// The groups of some objects, or of all, as far as somebody keeps their namespaces.
    func namedGroups(of objects: [StateObject]? = nil, where keeps: (String) -> Bool = { _ in true }) -> [NamedGroup] {
        guard !groups.isEmpty else { return [] }
        return groups.all(with: objects).compactMap { group in
            let members = group.objects.filter { !$0.flags.contains(.dropped) && keeps(spaces[Int($0.space)].name.namespace) }
            guard members.count > 1 else { return nil }
            return NamedGroup(time: group.time, members: members.map { (spaces[Int($0.space)].name, ObjectAddress($0)) })
        }
    }

    /// Remembers groups that came with their objects.
    mutating func adopt(_ named: [NamedGroup]) {
        for group in named where group.time > stable {
            groups.add(group.members.compactMap { find($0.address, in: $0.space) }, at: group.time)
        }
    }

    /// Writes groups down that came with objects which were written down.
    mutating func log(_ named: [NamedGroup]) {
        guard !named.isEmpty else { return }
        var writer = logWriter(.groups)
        NamedGroup.encode(named, into: &writer)
        record(writer, now: false)
    }

    func find(_ address: ObjectAddress, in name: SpaceName) -> StateObject? {
        guard let number = spaceNumbers[name] else { return nil }
        let bucket = ObjectTable.bucket(address.hash)
        var found: StateObject?
        spaces[number].table.forEach(in: bucket..<(bucket + 1)) { object in
            if object.hash == address.hash, object.kind.rawValue == address.kind { found = object }
            return found == nil
        }
        return found
    }
}
