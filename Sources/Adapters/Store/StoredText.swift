// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import FoundationEssentials
import GRDB

/// How text and small values stand in a column.
enum StoredText {
    /// Text that a function wrote. SQLite's text ends at a NUL, so text that holds one is kept as bytes.
    static func column(_ text: String) -> DatabaseValue {
        text.utf8.contains(0) ? Data(text.utf8).databaseValue : text.databaseValue
    }

    /// What ``column(_:)`` made of a text; NULL is empty.
    static func text(_ value: DatabaseValue) -> String {
        if case .blob(let data) = value.storage { return String(decoding: data, as: UTF8.self) }
        return String.fromDatabaseValue(value) ?? ""
    }

    // Values that are read whole and rarely (specs, labels) are JSON with sorted keys.

    static func encode(_ value: some Encodable) throws(BrumeError) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            return String(decoding: try encoder.encode(value), as: UTF8.self)
        } catch {
            throw BrumeError(.invalid, "The value cannot be stored.", cause: error)
        }
    }

    static func decode<T: Decodable>(_ type: T.Type, _ text: String) throws(BrumeError) -> T {
        do {
            return try JSONDecoder().decode(type, from: Data(text.utf8))
        } catch {
            throw BrumeError(.corrupt, "A stored \(type) cannot be read; restore the data directory from a backup.", cause: error)
        }
    }
}
