// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import BrumeCRDT

/// Several sites that edit one text, each beside the plain model of what it should show.
struct ListHistory {
    struct Replica {
        let site: SiteID
        var text = Text()
        var model = FugueModel()
    }

    struct Message {
        var delta: Text
        var operations: [FugueModel.Operation]
    }

    var draw: Draw
    var replicas: [Replica]
    var messages: [Message] = []
    /// Without the model where lists forget: they then hang new elements elsewhere than the model does, which never forgets.
    let hasModel: Bool
    private var letters = 0

    init(seed: UInt64, replicas count: Int, hasModel: Bool = true) {
        self.hasModel = hasModel
        draw = Draw(seed: seed)
        // Sites' numbers are random in life; here their order must not be that of their names.
        replicas = (0..<count).map { Replica(site: SiteID(rawValue: UInt64(($0 * 7 + 3) % 11 + 1))) }
    }

    /// Words of letters that tell who wrote them and when.
    private mutating func word() -> String {
        letters += 1
        let length = draw.chance(1, in: 3) ? 1 + draw.below(12) : 1
        let first = UInt32(0x61 + letters % 26)
        // Some scalars of two, three and four bytes.
        let base: UInt32 = draw.chance(1, in: 10) ? [0x3B1, 0x4E00, 0x1_F300][draw.below(3)] : first
        var view = String.UnicodeScalarView()
        for index in 0..<length { view.append(Unicode.Scalar(base + UInt32(index) % 5) ?? "?") }
        return String(view)
    }

    /// One edit at a random place of a random replica; its delta is on its way then.
    mutating func edit() {
        let index = draw.below(replicas.count)
        let site = replicas[index].site
        let count = replicas[index].text.count
        var message: Message
        if count > 0, draw.chance(2, in: 5) {
            let start = draw.below(count)
            let range = start..<min(count, start + 1 + draw.below(draw.chance(1, in: 5) ? 10 : 2))
            message = Message(
                delta: replicas[index].text.remove(range, by: site),
                operations: hasModel ? replicas[index].model.remove(range, by: site) : [])
        } else {
            let position = draw.chance(1, in: 3) ? (draw.chance(1, in: 2) ? 0 : count) : draw.below(count + 1)
            let word = word()
            message = Message(
                delta: replicas[index].text.insert(word, at: position, by: site),
                operations: hasModel ? replicas[index].model.insert(word, at: position, by: site) : [])
        }
        // Every delta also goes through its encoding.
        if draw.chance(1, in: 2), let decoded = try? Text(decoding: message.delta.encoded) { message.delta = decoded }
        if draw.chance(1, in: 4), let last = messages.indices.last {
            messages[last].delta.merge(message.delta)
            messages[last].operations += message.operations
        } else {
            messages.append(message)
        }
    }

    /// Delivers any delta to anybody: late, early, or once more.
    mutating func deliver() {
        guard !messages.isEmpty else { return }
        let message = messages[draw.below(messages.count)]
        let index = draw.below(replicas.count)
        replicas[index].text.merge(message.delta)
        replicas[index].model.apply(message.operations)
    }

    /// One replica learns all that another knows: by the whole state, or by what it lacks.
    mutating func exchange(whole: Bool) {
        let to = draw.below(replicas.count)
        let from = draw.below(replicas.count)
        learn(to, from: from, whole: whole)
    }

    mutating func learn(_ to: Int, from: Int, whole: Bool) {
        replicas[to].text.merge(whole ? replicas[from].text : replicas[from].text.delta(since: replicas[to].text.known))
        replicas[to].model.merge(replicas[from].model)
    }

    mutating func step() {
        switch draw.below(20) {
        case 0: exchange(whole: true)
        case 1, 2: exchange(whole: false)
        case 3..<9: deliver()
        default: edit()
        }
    }

    /// Everybody learns from everybody, in two rounds through the first.
    mutating func settle() {
        for _ in 0..<2 {
            for index in replicas.indices.dropFirst() { learn(0, from: index, whole: draw.chance(1, in: 2)) }
            for index in replicas.indices.dropFirst() { learn(index, from: 0, whole: draw.chance(1, in: 2)) }
        }
    }
}

/// Checks what must hold inside a list after any history: positions, dots and content agree.
func expectConsistent(_ text: Text, _ comment: Comment) {
    let content = Array(text.string.unicodeScalars)
    #expect(content.count == text.count, comment)
    for (position, scalar) in content.enumerated() {
        let dot = text.dot(at: position)
        if text.scalars[position] != scalar || text.position(of: dot) != position {
            Issue.record("position \(position) and its dot \(dot) disagree: \(comment)")
            return
        }
    }
}
