// SPDX-License-Identifier: Apache-2.0

// Without `@testable`: the examples see what a user sees.
import BrumeCRDT
import Foundation
import Testing

/// The examples of docs/crdt.md. A test below holds the document against this file, so that neither can be changed alone.
@Suite("Examples of the CRDT document")
struct ExampleTests {
    let ann = SiteID(rawValue: 0x6B7A_11C0_55D3_0E01)
    let bob = SiteID(rawValue: 0x19F4_8E2C_7A60_D402)

    @Test("first steps")
    func firstSteps() throws {
        var here = Causal<AddWinsSet>()
        var there = Causal<AddWinsSet>()

        let delta = here.add("milk", by: ann)
        let message: [UInt8] = delta.encoded

        there.merge(try Causal<AddWinsSet>(decoding: message))
        there.merge(delta)  // a second time does no harm
        #expect(there.elements == ["milk"])
        #expect(here.digest == there.digest)
    }

    @Test("groups")
    func groups() {
        var set = Causal<AddWinsSet>()
        var delta = Causal<AddWinsSet>()
        for item in ["milk", "bread", "salt"] as [Bytes] { set.add(item, by: ann, into: &delta) }
        set.remove("salt", into: &delta)
        #expect(delta.elements == ["milk", "bread"])
    }

    @Test("catching up")
    func catchingUp() {
        var here = Causal<AddWinsSet>()
        var there = Causal<AddWinsSet>()
        there.merge(here.add("milk", by: ann))
        _ = here.add("bread", by: ann)
        _ = here.remove("milk")

        let missing = here.delta(since: there.context)
        there.merge(missing)
        #expect(there == here)
    }

    @Test("clock")
    func clock() {
        var clock = HybridClock()
        let stamp = Stamp(time: clock.now(wall: 1_790_000_000_000), site: ann)
        var register = LWWRegister()
        _ = register.set("green", at: stamp)
        #expect(register.value == "green")
    }

    @Test("counters")
    func counters() throws {
        var here = PNCounter()
        var there = PNCounter()
        let up = try here.add(5, by: ann)
        let down = try there.add(-2, by: bob)
        here.merge(down)
        there.merge(up)
        #expect(try here.value() == 3)
        #expect(here == there)
        #expect(throws: CRDTError.self) { _ = try here.add(.max, by: ann) }
    }

    @Test("resettable counter")
    func resettableCounter() throws {
        var here = Causal<ResettableCounter>()
        _ = try here.add(5, by: ann)
        var there = here
        let meanwhile = try here.add(2, by: ann)
        _ = there.reset()
        there.merge(meanwhile)
        #expect(try there.value() == 2)
    }

    @Test("bounded counter")
    func boundedCounter() throws {
        var stock = BoundedCounter(bound: 0)
        var delta = BoundedCounter()
        try stock.add(10, by: ann, into: &delta)
        try stock.transfer(4, from: ann, to: bob, into: &delta)

        var elsewhere = BoundedCounter()
        elsewhere.merge(delta)
        #expect(try elsewhere.subtract(4, by: bob, into: &delta) == 6)
        #expect(throws: CRDTError.self) { try elsewhere.subtract(1, by: bob, into: &delta) }
    }

    @Test("string")
    func string() throws {
        var here = StringRegister()
        var there = StringRegister()
        there.merge(here.set("40", at: Stamp(time: HybridTime(milliseconds: 1), site: ann)))
        here.merge(try there.add(1, by: bob))
        there.merge(try here.add(1, by: ann))
        #expect(here.value == "42")
        #expect(there.value == "42")
    }

    @Test("registers")
    func registers() {
        var here = Causal<MVRegister>()
        var there = Causal<MVRegister>()
        let green = here.set("green", by: ann)
        let blue = there.set("blue", by: bob)
        here.merge(blue)
        #expect(here.values == ["blue", "green"])
        there.merge(green)
        _ = there.set("grey", by: bob)
        here.merge(there)
        #expect(here.values == ["grey"])
    }

    @Test("flags")
    func flags() {
        var here = Causal<EnableWinsFlag>()
        var there = Causal<EnableWinsFlag>()
        there.merge(here.set(true, by: ann))
        let off = there.set(false, by: bob)
        let on = here.set(true, by: ann)
        here.merge(off)
        there.merge(on)
        #expect(here.isOn && there.isOn)
    }

    @Test("sets")
    func sets() {
        var adds = Causal<AddWinsSet>()
        let milk = adds.add("milk", by: ann)
        var other = Causal<AddWinsSet>()
        other.merge(milk)
        let again = adds.add("milk", by: ann)
        _ = other.remove("milk")
        other.merge(again)
        #expect(other.contains("milk"))

        var removes = Causal<RemoveWinsSet>()
        var elsewhere = Causal<RemoveWinsSet>()
        let added = removes.add("milk", by: ann)
        _ = elsewhere.remove("milk", by: bob)
        elsewhere.merge(added)
        #expect(!elsewhere.contains("milk"))

        var grown = GSet()
        _ = grown.add("milk")
        #expect(grown.contains("milk"))
    }

    @Test("scores")
    func scores() throws {
        let now = HybridTime(milliseconds: 1_790_000_000_000)
        var board = Causal<ScoredSet>()
        var delta = Causal<ScoredSet>()
        try board.set("ann", to: 31, at: now, by: ann, into: &delta)
        try board.set("bob", to: 12, at: now, by: ann, into: &delta)
        try board.add(20, to: "bob", by: bob, into: &delta)
        #expect(board.store.rank(of: "bob") == 1)
        #expect(board.store.elements(in: 0..<1).map(\.element) == ["ann"])
        #expect(board.store.rank { score, _ in score < 32 } == 1)
    }

    @Test("maps")
    func maps() throws {
        let now = HybridTime(milliseconds: 1_790_000_000_000)
        var user = Causal<FieldMap>()
        var delta = Causal<FieldMap>()
        user.set("name", to: "Ann", at: now, by: ann, into: &delta)
        try user.add(1, to: "visits", by: ann, into: &delta)
        user.removeField("name", into: &delta)
        #expect(user.field("visits") == "1")

        var tags = Causal<ORMap<AddWinsSet>>()
        var change = Causal<ORMap<AddWinsSet>>()
        tags.update("photo-1", into: &change) { set, context, delta in
            set.add("sea", by: ann, context: &context, into: &delta)
        }
        #expect(tags.value("photo-1")?.contains("sea") == true)
        tags.remove("photo-1", into: &change)
        #expect(change.store.isEmpty)
    }

    @Test("documents")
    func documents() throws {
        let now = HybridTime(milliseconds: 1_790_000_000_000)
        var here = Causal<DocumentNode>()
        var delta = Causal<DocumentNode>()
        try here.set("\"Ann\"", at: ["user", "name"], time: now, by: ann, into: &delta)
        try here.add(1, at: ["user", "visits"], by: ann, into: &delta)
        #expect(here.keys(at: ["user"]) == ["name", "visits"])

        var there = Causal<DocumentNode>()
        there.merge(delta)
        var removal = Causal<DocumentNode>()
        there.remove(at: ["user"], into: &removal)
        var meanwhile = Causal<DocumentNode>()
        try here.set("\"Bo\"", at: ["user", "name"], time: now, by: ann, into: &meanwhile)
        here.merge(removal)
        #expect(here.value(at: ["user", "name"]) == "\"Bo\"")
        #expect(here.value(at: ["user", "visits"]) == nil)
    }

    @Test("sketches")
    func sketches() {
        var here = HyperLogLog()
        var there = HyperLogLog()
        for visitor in 0..<1000 { _ = here.add(Bytes("visitor \(visitor)")) }
        for visitor in 500..<1500 { _ = there.add(Bytes("visitor \(visitor)")) }
        here.merge(there)
        #expect((1450...1550).contains(here.count))
    }

    @Test("texts and lists")
    func texts() {
        var here = Text()
        var there = Text()
        there.merge(here.append("Hello world", by: ann))
        let comma = here.insert(", dear", at: 5, by: ann)
        let shorter = there.replace(6..<11, with: "you", by: bob)
        here.merge(shorter)
        there.merge(comma)
        #expect(here.string == "Hello, dear you")
        #expect(there.string == here.string)

        var list = ReplicatedList<Bytes>()
        _ = list.append(["milk", "bread"], by: ann)
        _ = list.remove(0..<1, by: ann)
        #expect(list.elements == ["bread"])
    }

    @Test("every example of docs/crdt.md stands in this file, line for line")
    func documentIsCompiled() throws {
        var folder = URL(fileURLWithPath: #filePath)
        while folder.path != "/", !FileManager.default.fileExists(atPath: folder.appendingPathComponent("docs/crdt.md").path) {
            folder.deleteLastPathComponent()
        }
        let document = try String(contentsOf: folder.appendingPathComponent("docs/crdt.md"), encoding: .utf8)
        let source = try String(contentsOf: URL(fileURLWithPath: #filePath), encoding: .utf8)
        func trimmed(_ text: some StringProtocol) -> String {
            text.split(separator: "\n").map { $0.drop { $0 == " " } }.filter { !$0.isEmpty }.joined(separator: "\n")
        }
        let compiled = trimmed(source)
        let blocks = document.components(separatedBy: "```swift\n").dropFirst().compactMap { $0.components(separatedBy: "```").first }
        #expect(blocks.count >= 15)
        for block in blocks { #expect(compiled.contains(trimmed(block)), "not compiled: \(block)") }
    }
}
