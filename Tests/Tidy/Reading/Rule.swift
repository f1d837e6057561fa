// SPDX-License-Identifier: Apache-2.0

import Testing

/// A place that breaks a rule.
struct Finding: CustomStringConvertible, Sendable {
    let path: String
    let line: Int
    let what: String

    var description: String { "\(path):\(line): \(what)" }
}

/// One thing that holds for every file of the tree, with the reason why and samples that show what it means.
struct Rule: Sendable, CustomTestStringConvertible {
    /// A piece of text the rule must judge as it says.
    struct Sample: Sendable {
        let path: String
        let text: String
    }

    let name: String
    /// Told when the rule is broken, so that the reader knows what to do instead.
    let reason: String
    /// Each must be caught.
    let bad: [Sample]
    /// None may be caught.
    let good: [Sample]
    let check: @Sendable (SourceFile) -> [Finding]

    var testDescription: String { name }

    /// Fails the running test with the reason and every place, if the tree breaks the rule.
    func expect(in tree: Tree = .here, sourceLocation: SourceLocation = #_sourceLocation) {
        report(tree.files.flatMap(check), because: reason, sourceLocation: sourceLocation)
    }
}

/// Most findings printed for one rule: enough to see the pattern, few enough to read.
private let findingsShownMax = 25

/// Fails the running test when there is any finding.
func report(_ findings: [Finding], because reason: String, sourceLocation: SourceLocation = #_sourceLocation) {
    let shown = findings.prefix(findingsShownMax).map { "  \($0)" }.joined(separator: "\n")
    let more = findings.count > findingsShownMax ? "\n  and \(findings.count - findingsShownMax) more" : ""
    #expect(findings.isEmpty, "\(reason)\n\(shown)\(more)", sourceLocation: sourceLocation)
}

extension Rule.Sample {
    init(_ path: String, _ text: String) {
        self.path = path
        self.text = text
    }
}

extension [Token] {
    /// The token at `index`, or nil past either end.
    func at(_ index: Int) -> Token? { indices.contains(index) ? self[index] : nil }

    /// Whether the words and signs from `index` on are these.
    func reads(_ words: [String], at index: Int) -> Bool {
        words.indices.allSatisfy { offset in at(index + offset)?.is(words[offset]) ?? false }
    }

    /// The index of the sign that closes the bracket at `open`, or nil where the file ends before.
    func closing(_ open: Int) -> Int? {
        var depth = 0
        for index in open..<count where self[index].kind == .symbol {
            switch self[index].text {
            case "(", "[", "{": depth += 1
            case ")", "]", "}":
                depth -= 1
                if depth == 0 { return index }
            default: break
            }
        }
        return nil
    }
}
