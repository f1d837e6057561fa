// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

/// What a caller may send: a JSON string, or an object with a `text`.
struct Event: Decodable {
    let text: String

    private enum Key: CodingKey { case text }

    init(from decoder: any Decoder) throws {
        if let whole = try? decoder.singleValueContainer().decode(String.self) {
            text = whole
        } else {
            text = try decoder.container(keyedBy: Key.self).decode(String.self, forKey: .text)
        }
    }

    /// Reads an event, or nil where there is no text in it.
    static func read(_ bytes: [UInt8]) -> Event? { try? JSONDecoder().decode(Event.self, from: Data(bytes)) }
}
