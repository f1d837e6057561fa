// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import BrumeCRDT

@Suite("Sequences: no interleaving")
struct InterleavingTests {
    /// How a site writes its word: in reading order, from its end, or from its middle outwards.
    enum Manner: CaseIterable {
        case forwards, backwards, outwards
    }

    private func write(_ word: String, into text: inout Text, at position: Int, _ manner: Manner, by site: SiteID) -> [Text] {
        let letters = word.unicodeScalars.map { String($0) }
        let middle = letters.count / 2
        switch manner {
        case .forwards:
            return letters.enumerated().map { text.insert($0.element, at: position + $0.offset, by: site) }
        case .backwards:
            return letters.reversed().map { text.insert($0, at: position, by: site) }
        case .outwards:
            let right = letters[middle...].enumerated().map { text.insert($0.element, at: position + $0.offset, by: site) }
            return right + letters[..<middle].reversed().map { text.insert($0, at: position, by: site) }
        }
    }

    @Test(
        "words that three sites write at one place at the same time stay whole, however each letter was typed and delivered",
        arguments: Manner.allCases, Manner.allCases)
    func wordsStayWhole(first: Manner, second: Manner) {
        for seed in UInt64(0)..<20 {
            var draw = Draw(seed: seed)
            var base = Text()
            let shared = base.insert("[]", at: 0, by: SiteID(rawValue: 50))
            let words = ["aaaaaaaa".enumeratedLetters(from: "a"), "kkkkkkkk".enumeratedLetters(from: "k"), "ABCDEFGH"]
            var texts = [base, base, base]
            var deltas = [shared]
            for index in 0..<3 {
                let manner = [first, second, .forwards][index]
                // Sites on both sides of the one that wrote the brackets.
                let site = SiteID(rawValue: [10, 90, 70][index] + seed % 3)
                deltas += write(words[index], into: &texts[index], at: 1, manner, by: site)
            }
            deltas.shuffle(using: &draw)
            var result = Text()
            for delta in deltas { result.merge(delta) }
            let string = result.string
            for word in words { #expect(string.contains(word), "seed \(seed): \(string)") }
            #expect(string.count == 26 && string.hasPrefix("[") && string.hasSuffix("]"), "seed \(seed): \(string)")
        }
    }

    @Test("lines appended at the same time stay whole when their sites correct what they type", arguments: 0..<10)
    func corrections(seed: Int) {
        var draw = Draw(seed: UInt64(seed))
        var texts = [Text(), Text()]
        var deltas: [Text] = []
        for index in 0..<2 {
            let site = SiteID(rawValue: UInt64(index == 0 ? 40 : 4))
            let letter = index == 0 ? "x" : "y"
            for step in 0..<40 {
                deltas.append(texts[index].append(letter, by: site))
                if step % 5 == 4 {
                    let count = texts[index].count
                    deltas.append(texts[index].remove(count - 2..<count, by: site))
                }
            }
        }
        var result = Text()
        for delta in deltas.shuffled(using: &draw) { result.merge(delta) }
        #expect(result.string == texts[0].string + texts[1].string || result.string == texts[1].string + texts[0].string, "seed \(seed)")
    }
}

extension String {
    /// As many letters of the alphabet as this string has, from one on.
    fileprivate func enumeratedLetters(from letter: Unicode.Scalar) -> String {
        String(String.UnicodeScalarView((0..<UInt32(count)).compactMap { Unicode.Scalar(letter.value + $0) }))
    }
}
