// SPDX-License-Identifier: Apache-2.0
import Yams

/// A YAML mapping with the questions a stack file needs; scalars keep the spelling they have in the file.
struct StackNode {
    private let pairs: [(key: String, value: Node)]
    /// For sentences: the file and the path of keys.
    let place: String

    /// - Throws: `CommandFailure` (words) for text that is not YAML, or is not a mapping.
    init(yaml: String, file: String) throws(CommandFailure) {
        let root: Node?
        do {
            root = try Yams.compose(yaml: yaml)
        } catch {
            let text = "\(error)".split(separator: "\n").prefix(2).joined(separator: " ")
            throw .words("\(file) is not well-formed YAML: \(text)")
        }
        guard let root else { throw .words("\(file) is empty.") }
        try self.init(node: root, place: file)
    }

    private init(node: Node, place: String) throws(CommandFailure) {
        guard let mapping = node.mapping else { throw .words("\(place) must be a mapping of keys to values.") }
        self.place = place
        var merged: [(key: String, value: Node)] = []
        for (key, value) in mapping {
            guard let name = key.scalar?.string else { throw .words("\(place) has a key that is not a word.") }
            if name == "<<" {
                // A merge key brings defaults: what is said here stays.
                merged = try StackNode(node: value, place: place).pairs + merged
            } else {
                merged.append((name, value))
            }
        }
        var seen: [String: Int] = [:]
        var unique: [(key: String, value: Node)] = []
        for pair in merged {
            if let index = seen[pair.key] {
                unique[index] = pair
            } else {
                seen[pair.key] = unique.count
                unique.append(pair)
            }
        }
        pairs = unique
    }

    var keys: [String] { pairs.map(\.key) }

    private func value(_ key: String) -> Node? {
        guard let node = pairs.first(where: { $0.key == key })?.value else { return nil }
        if let scalar = node.scalar, scalar.style == .plain, ["", "~", "null"].contains(scalar.string) { return nil }
        return node
    }

    /// A scalar as it is written; nil where the key is missing or null.
    func text(_ key: String) throws(CommandFailure) -> String? {
        guard let node = value(key) else { return nil }
        guard let scalar = node.scalar else { throw .words("\(place): '\(key)' must be a single value.") }
        return scalar.string
    }

    func truth(_ key: String) throws(CommandFailure) -> Bool? {
        guard let word = try text(key) else { return nil }
        switch word.lowercased() {
        case "true", "yes", "on": return true
        case "false", "no", "off": return false
        default: throw .words("\(place): '\(key)' must be true or false, not '\(word)'.")
        }
    }

    func mapping(_ key: String) throws(CommandFailure) -> StackNode? {
        guard let node = value(key) else { return nil }
        return try StackNode(node: node, place: "\(place): \(key)")
    }

    /// Keys with scalar values.
    func pairs(_ key: String) throws(CommandFailure) -> [String: String] {
        guard let mapping = try mapping(key) else { return [:] }
        var words: [String: String] = [:]
        for key in mapping.keys { words[key] = try mapping.text(key) ?? "" }
        return words
    }

    /// A list of scalars; a single scalar is a list of one.
    func list(_ key: String) throws(CommandFailure) -> [String] {
        guard let node = value(key) else { return [] }
        if let scalar = node.scalar { return [scalar.string] }
        guard let sequence = node.sequence else { throw .words("\(place): '\(key)' must be a list.") }
        var words: [String] = []
        for element in sequence {
            guard let scalar = element.scalar else { throw .words("\(place): '\(key)' must be a list of words.") }
            words.append(scalar.string)
        }
        return words
    }
}
