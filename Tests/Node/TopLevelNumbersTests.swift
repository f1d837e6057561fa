// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeNode
import NIOCore
import Testing

struct TopLevelNumbersTests {
    @Test(
        "numbers are found by name at the top of a JSON object and nowhere else",
        arguments: [
            (#"{"size": 20000, "seed": 7}"#, [20000, 7]), (#"{"seed":-1.5e2,"size":0}"#, [0, -150]), (#"{}"#, [nil, nil]),
            ("", [nil, nil]),
            (#"{"inner": {"size": 1}, "size": 2}"#, [2, nil]), (#"{"list": [1, {"size": 3}], "seed": 4 }"#, [nil, 4]),
            (#"{"text": "\"size\": 5, {", "size": 6}"#, [6, nil]), (#"{"size": "7", "seed": 8}"#, [nil, 8]),
            (#"{"size": true, "seed": null}"#, [nil, nil]), (#"[{"size": 1}]"#, [nil, nil]), (#"{"size": 12"#, [nil, nil]),
            (#"{"size": 1e999, "seed": 1}"#, [nil, 1]), ("size=1", [nil, nil]), (#"  { "size" : 3 , "seed":4}"#, [3, 4]),
            (#"{"size": 1-2}"#, [nil, nil]), (#"{"a\"b": 1, "size": 9}"#, [9, nil]),
        ] as [(String, [Double?])])
    func read(_ text: String, _ expected: [Double?]) {
        #expect(TopLevelNumbers.read(["size", "seed"], in: ByteBuffer(string: text)) == expected)
    }

    @Test("a body of any bytes and any depth ends in an answer", arguments: 1...200 as ClosedRange<UInt64>)
    func fuzz(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let alphabet = Array(#"{}[]",:0123456789.eE+-\tsize "#.utf8)
        let bytes = (0..<Int.random(in: 0...400, using: &random)).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &random)] }
        let numbers = TopLevelNumbers.read(["size"], in: ByteBuffer(bytes: Array("{\"".utf8) + bytes))
        #expect(numbers.count == 1, "seed \(seed)")
        let deep = String(repeating: #"{"a":["#, count: 10_000)
        #expect(TopLevelNumbers.read(["size"], in: ByteBuffer(string: deep)) == [nil])
    }

    @Test("only the beginning of a long body is looked at")
    func long() {
        let data = String(repeating: "x", count: TopLevelNumbers.bytesMax)
        #expect(TopLevelNumbers.read(["size"], in: ByteBuffer(string: #"{"size": 5, "data": "\#(data)"}"#)) == [5])
        #expect(TopLevelNumbers.read(["size"], in: ByteBuffer(string: #"{"data": "\#(data)", "size": 5}"#)) == [nil])
    }
}
