// SPDX-License-Identifier: Apache-2.0

import Testing

/// Requests, one a line, for Redis and for Brume.
struct ConformanceScript: Sendable, CustomTestStringConvertible {
    let name: String
    let text: String

    var testDescription: String { name }
}

enum ConformanceScripts {
    static let all: [ConformanceScript] = [
        ConformanceScript(name: "strings", text: strings), ConformanceScript(name: "counters", text: counters),
        ConformanceScript(name: "sets", text: sets), ConformanceScript(name: "hashes", text: hashes),
        ConformanceScript(name: "sorted sets", text: scoredSets), ConformanceScript(name: "ranges of sorted sets", text: scoreRanges),
        ConformanceScript(name: "lists", text: lists), ConformanceScript(name: "keys", text: keys),
        ConformanceScript(name: "expiry", text: expiry), ConformanceScript(name: "transactions", text: transactions),
        ConformanceScript(name: "connections", text: connections), ConformanceScript(name: "sketches", text: sketches),
        ConformanceScript(name: "wrong types", text: wrongTypes), ConformanceScript(name: "wrong numbers of words", text: arities),
    ]
}
