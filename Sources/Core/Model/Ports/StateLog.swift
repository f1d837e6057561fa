// SPDX-License-Identifier: Apache-2.0

/// Where a node keeps its replica of state over a restart: a log of records, and a snapshot in parts that are replaced one by one.
///
/// Records and parts are merged by whoever reads them: reading one twice, or a record that a newer part already holds, does no harm.
/// A log is loaded once, then begun, then used until it is ended. It keeps the order of its records and never leaves one out in between.
public protocol StateLog: Sendable {
    /// Reads everything that is kept: parts first, then records in the order in which they were appended.
    ///
    /// What cannot be read is set aside and named in the result; it never hides the rest.
    ///
    /// - Parameter visit: called once for each piece, one at a time; it answers whether it understood the piece.
    /// - Throws: `BrumeError` where nothing can be read or written at all: `conflict`, `permission`, `unavailable`.
    func load(_ visit: @escaping @Sendable (StateLogPiece) -> Bool) async throws -> StateLogOpening

    /// Writes down under which incarnation the replica goes on from here; on disk when it returns, and before the incarnation is used.
    func begin(incarnation: UInt64) async throws

    /// Appends a record and returns its position; positions only grow.
    ///
    /// Never waits, and never fails: ``StateLogSettled`` tells what became of it.
    ///
    /// - Parameters:
    ///   - urgency: how soon it must be on disk.
    ///   - settled: called from any thread: at most once with `delayed`, then once with what came of it in the end.
    func append(_ record: [UInt8], urgency: StateLogUrgency, settled: @escaping @Sendable (StateLogSettled) -> Void) -> UInt64

    /// Replaces parts of the snapshot (an empty body removes one), each of them whole or not at all; on disk when it returns.
    ///
    /// They come to the disk after all records that were appended before. Records go on being appended meanwhile.
    func replace(_ parts: [StateLogPart]) async throws

    /// Forgets the records up to a position: whatever they say is in the parts by now.
    func truncate(through position: UInt64) async throws

    /// Writes what is pending and closes the log.
    ///
    /// - Parameter clean: that everything the incarnation ever did is in the log, so that it may go on after the next start. A log that had
    ///   to leave a record out keeps that to itself.
    func end(clean: Bool) async throws

    /// What the log is and does at the moment.
    var figures: StateLogFigures { get }
}

/// How soon a record must be on disk.
public enum StateLogUrgency: Sendable, Comparable {
    /// Within the log's interval (100 ms unless told otherwise); shares its write with others.
    case interval
    /// At once; shares its write with those who wait at the same time.
    case now
}

/// What became of a record.
public enum StateLogSettled: Sendable {
    case durable
    /// It could not be written now, for the reason given; the log keeps it in memory and goes on trying.
    case delayed(BrumeError)
    /// It was given up: it is in no log, and only a new part can hold what it said.
    case lost(BrumeError)
}

/// A part of the snapshot.
public struct StateLogPart: Sendable, Hashable {
    /// At most 1,024 bytes; its owner knows what it stands for.
    public var name: [UInt8]
    /// Its content; empty where the part is to be removed.
    public var body: [UInt8]

    public init(name: [UInt8], body: [UInt8]) {
        self.name = name
        self.body = body
    }
}

/// What a log reads back.
public enum StateLogPiece: Sendable {
    case part(StateLogPart)
    case record([UInt8], position: UInt64)
}

/// What was found when a log was loaded.
public struct StateLogOpening: Sendable {
    /// The incarnation that wrote last, or nil where there is none.
    public var incarnation: UInt64?
    /// Whether that incarnation ended with everything in the log, and everything was read back.
    public var mayContinue: Bool
    public var parts = 0
    public var records = 0
    public var bytes = 0
    /// What could not be read, a sentence each; at most ``damageMax``, the last one counts the rest.
    public var damage: [String] = []
    /// Pieces that could not be read.
    public var damagedPieces = 0

    /// Sentences about damage that are kept: enough to see the kind of damage.
    public static let damageMax = 16

    public init(incarnation: UInt64? = nil, mayContinue: Bool = false) {
        self.incarnation = incarnation
        self.mayContinue = mayContinue
    }

    /// Notes a piece that could not be read.
    public mutating func note(damage sentence: String) {
        damagedPieces += 1
        mayContinue = false
        if damage.count < Self.damageMax { damage.append(sentence) }
    }
}

/// What a log is and does, for metrics and for people.
public struct StateLogFigures: Sendable, Hashable {
    /// Bytes of the records that no part has replaced yet: what a start would have to read again.
    public var recordBytes = 0
    /// Bytes of the snapshot.
    public var partBytes = 0
    /// Bytes that wait in memory for the disk.
    public var pendingBytes = 0
    /// Commits and records written since the start.
    public var commits = 0
    public var records = 0
    /// How long the last commit took, from the first record that waited for it until all were on disk.
    public var lastCommit = Duration.zero
    /// Why nothing can be written at the moment, or nil.
    public var trouble: String?
    /// Whether a record was given up that no part has replaced yet.
    public var isIncomplete = false

    public init() {}
}
