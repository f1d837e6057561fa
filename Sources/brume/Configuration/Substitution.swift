// SPDX-License-Identifier: Apache-2.0

/// Puts environment variables into the text of a stack file: `${NAME}`, `${NAME:-default}`; `$${` stays `${`.
enum Substitution {
    /// - Throws: `CommandFailure` (words) for anything else between the braces, and for a brace that is not closed.
    static func apply(to text: String, environment: [String: String]) throws(CommandFailure) -> String {
        var result = ""
        var rest = text[...]
        while let dollar = rest.firstIndex(of: "$") {
            result += rest[..<dollar]
            rest = rest[dollar...]
            if rest.hasPrefix("$${") {
                result += "${"
                rest = rest.dropFirst(3)
            } else if rest.hasPrefix("${") {
                guard let end = rest.firstIndex(of: "}") else {
                    throw .words("The stack file has a '${' without its '}' at: \(rest.prefix(24)).")
                }
                result += try value(of: rest[rest.index(rest.startIndex, offsetBy: 2)..<end], environment: environment)
                rest = rest[rest.index(after: end)...]
            } else {
                result += "$"
                rest = rest.dropFirst()
            }
        }
        return result + rest
    }

    private static func value(of inner: Substring, environment: [String: String]) throws(CommandFailure) -> String {
        let name = inner.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }
        let rest = inner.dropFirst(name.count)
        let value = environment[String(name)] ?? ""
        if !name.isEmpty, rest.isEmpty { return value }
        if !name.isEmpty, rest.hasPrefix(":-") { return value.isEmpty ? String(rest.dropFirst(2)) : value }
        throw .words("The stack file has '${\(inner)}'; only ${NAME} and ${NAME:-default} are understood.")
    }
}
