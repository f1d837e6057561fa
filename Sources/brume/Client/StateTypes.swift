// SPDX-License-Identifier: Apache-2.0

// The JSON of `/v1/state`.

/// A JSON value as state has it: whole numbers stay whole.
enum StateJSON: Codable, Equatable, Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    case number(Double)
    case text(String)
    case list([StateJSON])
    case object([String: StateJSON])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Int64.self) {
            self = .integer(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .text(value)
        } else if let value = try? container.decode([StateJSON].self) {
            self = .list(value)
        } else {
            self = .object(try container.decode([String: StateJSON].self))
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .text(let value): try container.encode(value)
        case .list(let value): try container.encode(value)
        case .object(let value): try container.encode(value)
        }
    }
}

/// GET `/v1/state/NAMESPACE/NAME`.
struct StateObjectReport: Codable, Equatable {
    var name: StateJSON
    var kind: String
    var value: StateJSON
    var version: String?
    /// When it will cease to exist, RFC 3339.
    var expires: String?
    /// Where the next page begins; missing on the last.
    var next: String?
    /// What names the elements of a list, where it was asked for.
    var ids: [String]?
    /// Of one element: its index, and what names it.
    var at: Int?
    var id: String?
}

/// GET `/v1/state/NAMESPACE`.
struct StatePageReport: Codable, Equatable {
    struct Entry: Codable, Equatable {
        var name: StateJSON
        var kind: String
        var version: String?
        var expires: String?
    }

    var objects: [Entry]
    var next: String?
}

/// What is sent to change an object.
struct StateOperation: Codable, Equatable {
    var op: String
    var kind: String?
    var by: StateJSON?
    var value: StateJSON?
    var members: StateJSON?
    var fields: StateJSON?
    var items: StateJSON?
    var at: Int?
    var element: String?
    var before: String?
    var after: String?
    var count: Int?
    var seconds: Double?

    init(_ op: String, kind: String? = nil) {
        self.op = op
        self.kind = kind
    }
}

/// What an operation answers.
struct StateResult: Codable, Equatable {
    var result: StateJSON?
    var ids: [String]?
    var version: String?
}

/// GET `/v1/state`.
struct StateStatsReport: Codable, Equatable {
    struct Space: Codable, Equatable {
        var namespace: String
        var database: Int
        var objects: Int
        var bytes: Int?
    }

    var spaces: [Space]
    var figures: [String: StateJSON]
}

/// GET `/v1/keep/NAMESPACE`.
struct StateKeepReport: Codable, Equatable {
    struct Here: Codable, Equatable {
        var kept: Bool
        var pinned: Bool
        var complete: Bool
        var users: Int
        var objects: Int
        var bytes: Int
    }

    struct Keeper: Codable, Equatable {
        var node: String
        var up: Bool
    }

    var namespace: String
    var keep: String
    /// Whether nobody has said anything of it.
    var `default`: Bool
    var here: Here
    var nodes: [Keeper]
}

/// GET `/v1/keep`.
struct StateKeepListReport: Codable, Equatable {
    var namespaces: [StateKeepReport]
}

/// A line of a stream of changes.
struct StateChangeReport: Codable, Equatable {
    var name: StateJSON
    var kind: String
    var removed: Bool
    var local: Bool
}
