// SPDX-License-Identifier: Apache-2.0

import BrumeCRDT
import BrumeModel
import BrumeState

/// What a command is executed with: its arguments, and where its reply goes.
struct Turn {
    /// The bytes that the arguments lie in.
    var input: [UInt8] = []
    /// Where the request begins in `input`.
    var origin = 0
    var arguments: [ArgumentRange] = []
    var reply = ReplyBuffer()
    var time = StateTime(instant: .zero, wallMilliseconds: 0)
    /// The database that is selected; nil if it cannot be opened.
    var space: SpaceID?
    /// Whether a command wrote, so that its reply has to wait where writes are to settle.
    var hasWritten = false
    /// Commands that were executed in this run, and the place of the last one in the table.
    var executed: UInt64 = 0
    var lastCommand = 0
    /// Whether what follows must not be executed in this run.
    var endsRun = false
    /// Whether commands of a transaction are executed, which must not wait.
    var isWithinTransaction = false
    private var kept: [UInt8]?

    /// How many words the request has, the command's name among them.
    var count: Int { arguments.count }

    /// Takes the arguments from a line's words instead of the input, until ``restoreInput()``.
    mutating func useWords(_ words: [UInt8]) {
        kept = input
        input = words
        origin = 0
    }

    mutating func restoreInput() {
        guard let kept else { return }
        input = kept
        self.kept = nil
    }

    /// An object's place by the argument that names it.
    ///
    /// - Throws: `StateError` where the database could not be opened.
    @inline(__always)
    func key(_ index: Int) throws(StateError) -> ObjectKey {
        guard let space else { throw StateError(.quota, "This database cannot be opened: the node holds too many key spaces.") }
        return ObjectKey(space, bytes(index))
    }

    /// One argument's bytes, copied.
    func array(_ index: Int) -> [UInt8] {
        let range = arguments[index]
        return Array(input[(origin + range.start)..<(origin + range.end)])
    }

    /// One argument's bytes in place.
    func slice(_ index: Int) -> ArraySlice<UInt8> {
        let range = arguments[index]
        return input[(origin + range.start)..<(origin + range.end)]
    }

    /// One argument as a key, an element or a value.
    func bytes(_ index: Int) -> Bytes {
        let range = arguments[index]
        return unsafe input.withUnsafeBytes {
            unsafe Bytes(UnsafeRawBufferPointer(rebasing: $0[(origin + range.start)..<(origin + range.end)]))
        }
    }

    /// One argument as text; what is no UTF-8 is replaced.
    func text(_ index: Int) -> String { String(decoding: slice(index), as: UTF8.self) }

    func integer(_ index: Int) -> Int64? {
        let range = arguments[index]
        return DecimalText.integer(input, from: origin + range.start, to: origin + range.end)
    }

    func double(_ index: Int) -> Double? { DecimalText.integer(slice(index)).map(Double.init) ?? DecimalText.double(slice(index)) }

    func length(_ index: Int) -> Int { arguments[index].count }

    /// Whether an argument is a word, whatever its case; the word is given in capitals.
    func word(_ index: Int, is word: StaticString) -> Bool {
        let range = arguments[index]
        guard range.count == word.utf8CodeUnitCount else { return false }
        let start = origin + range.start
        for offset in 0..<range.count {
            var byte = input[start + offset]
            if byte >= UInt8(ascii: "a"), byte <= UInt8(ascii: "z") { byte &= 0xdf }
            guard unsafe byte == word.utf8Start[offset] else { return false }
        }
        return true
    }
}

extension DecimalText {
    /// Exact integers below 2^53 need no `strtod`.
    static func integer(_ text: ArraySlice<UInt8>) -> Int64? {
        guard text.count < 16 else { return nil }
        var value: Int64 = 0
        for byte in text {
            let digit = byte &- UInt8(ascii: "0")
            guard digit <= 9 else { return nil }
            value = value * 10 + Int64(digit)
        }
        return text.isEmpty ? nil : value
    }
}
