// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import DequeModule

/// What waits to be sent to one peer: a bounded queue for each kind, most urgent first.
///
/// Strict priority alone would starve what catches up while deltas keep coming, so a kind that was passed over by
/// ``passedBytesMax`` bytes gets one piece in between.
struct SendQueues {
    /// Bytes of more urgent kinds that pass before a waiting kind gets a piece: at least a sixteenth of a busy line.
    static let passedBytesMax = 1 << 20

    private struct Queue {
        var frames: Deque<[UInt8]> = []
        var bytes = 0
        /// Bytes of the first frame that have left.
        var sent = 0
        var passed = 0
        var saidFull = false
    }

    private let limits: LinkSettings.QueueLimits
    private var queues = [Queue](repeating: Queue(), count: LinkKind.allCases.count)
    /// Frames over all kinds.
    private(set) var count = 0
    /// Bytes over all kinds.
    private(set) var bytes = 0

    init(limits: LinkSettings.QueueLimits) { self.limits = limits }

    var isEmpty: Bool { count == 0 }

    /// - Parameter isCrowded: whether all peers together have so much waiting that this one gets room for one frame of each kind only.
    /// - Returns: false if the queue is full; an empty one takes any frame.
    mutating func append(_ frame: [UInt8], kind: LinkKind, isCrowded: Bool = false) -> Bool {
        let place = Int(kind.rawValue)
        let limit = limits[kind]
        let queued = queues[place].frames.count
        guard queued == 0 || (!isCrowded && queued < limit.frames && queues[place].bytes + frame.count <= limit.bytes) else {
            queues[place].saidFull = true
            return false
        }
        queues[place].frames.append(frame)
        queues[place].bytes += frame.count
        bytes += frame.count
        count += 1
        return true
    }

    /// What leaves next: pieces of about `bytesWanted` bytes, and the frames that end in them.
    struct Batch {
        var pieces: [FramePiece] = []
        /// Whole frames that end in this batch, and the kinds that have room again after having been full.
        var ended = [Int](repeating: 0, count: LinkKind.allCases.count)
        var bytes = [Int](repeating: 0, count: LinkKind.allCases.count)
        var writable: [LinkKind] = []
    }

    mutating func next(bytesWanted: Int) -> Batch {
        var batch = Batch()
        var room = bytesWanted
        while room > 0, let kind = nextKind(isFirst: batch.pieces.isEmpty) {
            let place = Int(kind.rawValue)
            let frame = queues[place].frames[0]
            let end = min(frame.count, queues[place].sent + room)
            let more = end < frame.count
            let piece = FramePiece(kind: kind, payload: frame[queues[place].sent..<end], more: more)
            batch.pieces.append(piece)
            batch.bytes[place] += piece.payload.count
            // An empty frame takes room too, so that a batch has an end.
            room -= piece.payload.count + 16
            note(piece, at: place)
            if !more {
                remove(at: place)
                batch.ended[place] += 1
            }
        }
        for kind in LinkKind.allCases where queues[Int(kind.rawValue)].saidFull && hasRoom(kind) {
            queues[Int(kind.rawValue)].saidFull = false
            batch.writable.append(kind)
        }
        return batch
    }

    /// Forgets everything that waits.
    ///
    /// - Returns: the number of frames, and the kinds that have room again after having been full.
    mutating func clear() -> (frames: Int, writable: [LinkKind]) {
        let frames = count
        let writable = LinkKind.allCases.filter { queues[Int($0.rawValue)].saidFull }
        queues = [Queue](repeating: Queue(), count: LinkKind.allCases.count)
        count = 0
        bytes = 0
        return (frames, writable)
    }

    private func hasRoom(_ kind: LinkKind) -> Bool {
        let limit = limits[kind]
        let queue = queues[Int(kind.rawValue)]
        return queue.frames.count <= limit.frames / 2 && queue.bytes <= limit.bytes / 2
    }

    /// - Parameter isFirst: whether a batch begins: only then does a kind that waited long get its turn, so that the turn is a whole batch.
    private func nextKind(isFirst: Bool) -> LinkKind? {
        var first: LinkKind?
        for kind in LinkKind.allCases where !queues[Int(kind.rawValue)].frames.isEmpty {
            if isFirst, queues[Int(kind.rawValue)].passed >= Self.passedBytesMax { return kind }
            if first == nil { first = kind }
        }
        return first
    }

    private mutating func note(_ piece: FramePiece, at place: Int) {
        queues[place].sent += piece.payload.count
        queues[place].passed = 0
        for later in queues.indices.dropFirst(place + 1) where !queues[later].frames.isEmpty {
            queues[later].passed += piece.payload.count
        }
    }

    private mutating func remove(at place: Int) {
        let frame = queues[place].frames.removeFirst()
        queues[place].bytes -= frame.count
        bytes -= frame.count
        queues[place].sent = 0
        count -= 1
    }
}

/// What waits in the queues of all peers together.
struct QueueSums {
    private(set) var bytes = 0
    /// Peers that something waits for.
    private(set) var peers = 0

    /// Changes the queues of one peer, and the sums with them.
    mutating func counting<Result>(_ queues: inout SendQueues, _ change: (inout SendQueues) -> Result) -> Result {
        bytes -= queues.bytes
        if !queues.isEmpty { peers -= 1 }
        defer {
            bytes += queues.bytes
            if !queues.isEmpty { peers += 1 }
        }
        return change(&queues)
    }
}

/// Puts the pieces of one peer's frames together again.
struct FrameAssembly {
    private var begun = [[UInt8]](repeating: [], count: LinkKind.allCases.count)

    /// - Returns: the frame that ends with this piece, if one does.
    /// - Throws: `BrumeError` (`invalid`) if the frame is longer than any may be.
    mutating func add(_ piece: FramePiece) throws(BrumeError) -> [UInt8]? {
        let place = Int(piece.kind.rawValue)
        guard begun[place].count + piece.payload.count <= PeerLinkLimits.frameBytesMax else {
            throw BrumeError.wire("a frame of more than \(PeerLinkLimits.frameBytesMax) bytes")
        }
        if begun[place].isEmpty, !piece.more { return Array(piece.payload) }
        begun[place] += piece.payload
        guard !piece.more else { return nil }
        defer { begun[place] = [] }
        return begun[place]
    }
}
