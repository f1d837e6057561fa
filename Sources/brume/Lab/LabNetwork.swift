// SPDX-License-Identifier: Apache-2.0
import BrumeModel

/// How the links between a lab's nodes behave, in the words of the command line.
struct LabNetwork: Equatable {
    var delay: Duration = .zero
    var jitter: Duration = .zero
    /// Nil for no limit.
    var bytesPerSecond: Int?
    var lossPerMillion = 0
    /// Nodes by number that hear each other alone; those in no group are one more. Empty for a whole network.
    var groups: [[Int]] = []

    /// - Throws: `BrumeError`, `CommandFailure` with what may stand there.
    init(delay: String? = nil, jitter: String? = nil, loss: String? = nil, bandwidth: String? = nil) throws {
        if let delay { self.delay = try Duration(parsing: delay) }
        if let jitter { self.jitter = try Duration(parsing: jitter) }
        if let loss { lossPerMillion = try Self.loss(loss) }
        if let bandwidth { bytesPerSecond = try Self.bandwidth(bandwidth) }
    }

    /// Reads `1%` or `0.01`.
    static func loss(_ text: String) throws(CommandFailure) -> Int {
        let isPercent = text.hasSuffix("%")
        guard let number = Double(isPercent ? String(text.dropLast()) : text), number >= 0, number <= (isPercent ? 100 : 1) else {
            throw .words("'\(text)' is no share of lost frames; write for example 1% or 0.01.")
        }
        return Int((number * (isPercent ? 10_000 : 1_000_000)).rounded())
    }

    /// Reads `100mbit`, `1gbit`, `500kbit`: bits a second. `off` is no limit.
    static func bandwidth(_ text: String) throws(CommandFailure) -> Int? {
        if text == "off" { return nil }
        for (unit, bits) in [("kbit", 1e3), ("mbit", 1e6), ("gbit", 1e9)] where text.hasSuffix(unit) {
            guard let number = Double(text.dropLast(unit.count)), number > 0, number <= 1_000_000 else { break }
            return max(1, Int(number * bits / 8))
        }
        throw .words("'\(text)' is no bandwidth; write for example 100mbit, 500kbit or 1gbit.")
    }

    /// Reads `1,2|3,4,5` for nodes 1 to `count`.
    static func groups(_ text: String, count: Int) throws(CommandFailure) -> [[Int]] {
        var groups: [[Int]] = []
        var seen: Set<Int> = []
        for part in text.split(separator: "|", omittingEmptySubsequences: false) {
            var group: [Int] = []
            for word in part.split(separator: ",") {
                guard let number = Int(word.filter { $0 != " " }), (1...count).contains(number), seen.insert(number).inserted else {
                    throw .words("'\(text)' parts no nodes; write each of 1 to \(count) at most once, for example: partition 1,2|3")
                }
                group.append(number)
            }
            guard !group.isEmpty else { throw .words("'\(text)' has an empty side; write for example: partition 1,2|3") }
            groups.append(group)
        }
        let rest = (1...count).filter { !seen.contains($0) }
        if !rest.isEmpty { groups.append(rest) }
        return groups
    }

    /// Whom a node does not hear.
    func cut(from number: Int, of count: Int) -> [Int] {
        guard let own = groups.first(where: { $0.contains(number) }) else { return [] }
        return (1...max(1, count)).filter { !own.contains($0) }
    }

    /// What one node is told.
    func wish(for number: Int, ids: [Int: NodeID]) -> NetworkWish {
        var wish = NetworkWish()
        if delay > .zero { wish.delay = "\(delay.wholeNanoseconds)ns" }
        if jitter > .zero { wish.jitter = "\(jitter.wholeNanoseconds)ns" }
        wish.bytesPerSecond = bytesPerSecond
        wish.lossPerMillion = lossPerMillion
        wish.cut = cut(from: number, of: ids.keys.max() ?? 0).compactMap { ids[$0] }
        return wish
    }
}

/// A line that the running lab understands.
enum LabOrder: Equatable {
    case status
    case partition([[Int]])
    case heal
    case network(LabNetwork)
    case kill(Int)
    case stop(Int)
    case start(Int)
    case wait(Duration)
    case help
    case exit

    static let helpText = """
        status                      what each node sees of the others
        partition 1,2|3             nodes 1 and 2 hear each other, node 3 hears nobody
        heal                        everybody hears everybody again
        network delay=20ms jitter=5ms loss=1% bandwidth=100mbit
        kill 2, stop 2, start 2     end a node at once or gracefully, and start it again
        wait 5s, help, exit
        """

    /// - Throws: `BrumeError`, `CommandFailure` for words that it does not understand.
    init?(_ line: String, count: Int, network: LabNetwork) throws {
        let words = line.split(whereSeparator: \.isWhitespace).map(String.init)
        guard let verb = words.first, !verb.hasPrefix("#") else { return nil }
        let rest = Array(words.dropFirst())
        switch (verb, rest.count) {
        case ("status", 0): self = .status
        case ("partition", 1...): self = .partition(try LabNetwork.groups(rest.joined(separator: ""), count: count))
        case ("heal", 0): self = .heal
        case ("network", _): self = .network(try Self.network(rest, from: network))
        case ("kill", 1): self = .kill(try Self.number(rest[0], count))
        case ("stop", 1): self = .stop(try Self.number(rest[0], count))
        case ("start", 1): self = .start(try Self.number(rest[0], count))
        case ("wait", 1): self = .wait(try Duration(parsing: rest[0]))
        case ("help", 0): self = .help
        case ("exit", 0), ("quit", 0): self = .exit
        default: throw CommandFailure.words("'\(line)' is no order of the lab; 'help' lists them.")
        }
    }

    private static func number(_ text: String, _ count: Int) throws(CommandFailure) -> Int {
        guard let number = Int(text), (1...count).contains(number) else {
            throw .words("There is no node '\(text)'; the nodes are 1 to \(count).")
        }
        return number
    }

    private static func network(_ words: [String], from before: LabNetwork) throws -> LabNetwork {
        var network = before
        for word in words {
            let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2 else { throw CommandFailure.words("'\(word)' is no NAME=VALUE; write for example delay=20ms.") }
            switch parts[0] {
            case "delay": network.delay = try Duration(parsing: parts[1])
            case "jitter": network.jitter = try Duration(parsing: parts[1])
            case "loss": network.lossPerMillion = try LabNetwork.loss(parts[1])
            case "bandwidth": network.bytesPerSecond = try LabNetwork.bandwidth(parts[1])
            default: throw CommandFailure.words("'\(parts[0])' is no part of a network; there are delay, jitter, loss and bandwidth.")
            }
        }
        return network
    }
}
