// SPDX-License-Identifier: Apache-2.0
import BrumeLoad
import BrumeModel
import BrumeWorkload
import FoundationEssentials
import SystemPackage

/// A file with a trace, read piece by piece. Standard input, pipes and devices are kept, because a trace is looked at twice.
struct LoadTraceFile {
    /// One read.
    private static let pieceBytes = 256 << 10
    /// Largest trace that has to be kept; a file of any size is read in pieces.
    private static let inputBytesMax = 1 << 30

    let path: String
    private let kept: [[UInt8]]?

    /// - Throws: `CommandFailure` (words) where there is no such file, or it cannot be read.
    init(path: String) throws {
        self.path = path
        if path == "-" {
            kept = try Self.keep(.standardInput, path)
        } else if Self.isRegular(path) {
            kept = nil
        } else {
            let descriptor = try Self.open(path)
            kept = try descriptor.closeAfter { try Self.keep(descriptor, path) }
        }
    }

    /// Whether it can be read again from its beginning, and ends.
    private static func isRegular(_ path: String) -> Bool {
        let target = URL(filePath: path).resolvingSymlinksInPath().path
        return (try? FileManager.default.attributesOfItem(atPath: target))?[.type] as? FileAttributeType == .typeRegular
    }

    private static func open(_ path: String) throws(CommandFailure) -> Descriptor {
        do {
            return try Descriptor.open(FilePath(path), .readOnly)
        } catch {
            throw .words("The file '\(path)' cannot be read (\(error)); check its path and its permissions.")
        }
    }

    private static func keep(_ descriptor: Descriptor, _ path: String) throws -> [[UInt8]] {
        let pieces = FilePieces(descriptor, pieceBytes: pieceBytes)
        var all: [[UInt8]] = []
        var bytes = 0
        for piece in pieces {
            all.append(piece)
            bytes += piece.count
            guard bytes <= inputBytesMax else {
                throw CommandFailure.words("The trace is larger than \(Wording.bytes(inputBytesMax)); give it as a file.")
            }
        }
        try pieces.check(path)
        return all
    }

    /// Hands the lines to a reader.
    ///
    /// - Throws: what the reader throws with the file's name in front, `CommandFailure` (words) for a file that cannot be read.
    func read<Value>(_ body: (any Sequence<Substring>) throws(BrumeError) -> Value) throws -> Value {
        if let kept { return try named { () throws(BrumeError) in try body(TextLines(kept)) } }
        let descriptor = try Self.open(path)
        return try descriptor.closeAfter {
            let pieces = FilePieces(descriptor, pieceBytes: Self.pieceBytes)
            let value = Result { () throws(BrumeError) in try body(TextLines(pieces)) }
            // A file that broke off looks like a short one: the reason comes first.
            try pieces.check(path)
            return try named { () throws(BrumeError) in try value.get() }
        }
    }

    /// The format that the first line tells.
    ///
    /// - Parameter otherwise: what to do where it tells none.
    func format(otherwise: String) throws -> TraceFormat {
        if let format = try read({ TraceReader.guess(from: $0) }) { return format }
        try read { lines throws(BrumeError) in try TraceReader.checkEncoding(of: lines) }
        throw CommandFailure.words("The first line of \(path) names no columns of a known trace; \(otherwise)")
    }

    /// Says what looks as if the file had been cut off.
    func noteOpenLine(of trace: Trace) {
        guard let line = trace.skipped.openLine else { return }
        Console.standard.note("\(path): Line \(line), the last one, has no end: if the file was cut off there, its last field is wrong.")
    }

    private func named<Value>(_ body: () throws(BrumeError) -> Value) throws -> Value {
        do {
            return try body()
        } catch {
            // What is wrong with a file is wrong with the words that name it.
            throw CommandFailure.words("\(path): \(error.message)")
        }
    }
}

/// The bytes of a descriptor from where it stands to its end.
private final class FilePieces: Sequence, IteratorProtocol {
    private let descriptor: Descriptor
    private let pieceBytes: Int
    private var failure: (any Error)?

    init(_ descriptor: Descriptor, pieceBytes: Int) {
        self.descriptor = descriptor
        self.pieceBytes = pieceBytes
    }

    func next() -> [UInt8]? {
        guard failure == nil else { return nil }
        do {
            let piece = try unsafe [UInt8](unsafeUninitializedCapacity: pieceBytes) { buffer, count in
                count = try unsafe descriptor.read(into: UnsafeMutableRawBufferPointer(buffer))
            }
            return piece.isEmpty ? nil : piece
        } catch {
            failure = error
            return nil
        }
    }

    /// - Throws: `CommandFailure` (words) if reading broke off.
    func check(_ path: String) throws(CommandFailure) {
        if let failure { throw .words("The file '\(path)' cannot be read (\(failure)); check what it is.") }
    }
}

/// The per-call CSV: made before the replay, so that a wrong path is said at once, and written after it.
struct RecordFile {
    /// Lines are written in pieces of this many.
    private static let linesAtOnce = 4096

    private let path: String

    init(path: String) throws(CommandFailure) {
        self.path = path
        do {
            try Descriptor.open(
                FilePath(path), .writeOnly, options: [.create, .truncate], permissions: [.ownerReadWrite, .groupRead, .otherRead]
            )
            .close()
        } catch {
            throw .words("The file '\(path)' cannot be written (\(error)); check its folder and its permissions.")
        }
    }

    func write(_ records: [ReplayRecord]) throws(CommandFailure) {
        do {
            let descriptor = try Descriptor.open(FilePath(path), .writeOnly, options: [.truncate])
            try descriptor.closeAfter {
                try descriptor.writeAll(Array((ReplayRecord.header + "\n").utf8))
                var first = 0
                while first < records.count {
                    let part = records[first..<min(first + Self.linesAtOnce, records.count)]
                    try descriptor.writeAll(Array((part.map(\.line).joined(separator: "\n") + "\n").utf8))
                    first += part.count
                }
            }
        } catch {
            throw .failed("The file '\(path)' could not be written (\(error)).")
        }
    }
}
