// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// What a reader does with a row that makes no sense.
public enum BadRows: String, Hashable, Sendable, CaseIterable {
    /// The first one ends the reading with an error.
    case refuse
    /// They are left out and counted.
    case skip
}

/// A table in a text: a line with the names of the columns, then one line per row, fields separated by commas.
///
/// Fields may stand in double quotes. Empty lines and lines that begin with `#` are left out. A last line without an end is told: a file
/// that was cut off ends so, and half a number is a number too.
enum TableText {
    /// Longest line, in bytes: a day of counts per minute has some ten thousand.
    static let lineBytesMax = 1 << 20
    /// Columns at most: a day of minutes has 1444.
    static let columnsMax = 5000

    /// Why a row makes no sense.
    ///
    /// - Parameter column: from 0, with its name; nil where the row as a whole is meant.
    static func fault(line: Int, column: (index: Int, name: String)? = nil, _ reason: String) -> BrumeError {
        guard let column else { return BrumeError(.corrupt, "Line \(line): \(reason)") }
        return BrumeError(.corrupt, "Line \(line), column \(column.index + 1) ('\(excerpt(column.name))'): \(reason)")
    }

    struct Header {
        let line: Int
        let names: [String]

        func index(of name: String) -> Int? { names.firstIndex(of: name) }

        /// - Throws: `BrumeError` (`corrupt`) if there is no such column.
        func required(_ name: String) throws(BrumeError) -> Int {
            guard let index = index(of: name) else {
                throw fault(line: line, "there is no column '\(name)'; is this another format?")
            }
            return index
        }

        func unknown(_ index: Int, _ reason: String) -> BrumeError {
            fault(line: line, column: (index, names[index]), reason)
        }
    }

    struct Row {
        let line: Int
        let fields: [Substring]
        fileprivate let names: [String]

        func fault(_ column: Int, _ reason: String) -> BrumeError {
            TableText.fault(line: line, column: (column, names[column]), reason)
        }

        /// A name: not empty, without control characters, not absurdly long.
        func name(_ column: Int) throws(BrumeError) -> String {
            let text = fields[column]
            let isSound = text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F } && !text.unicodeScalars.contains("\u{FFFD}")
            guard !text.isEmpty, text.utf8.count <= 200, isSound else {
                throw fault(column, "'\(excerpt(text))' is no name; it needs 1 to 200 characters in UTF-8.")
            }
            return String(text)
        }

        /// A name that may be missing, with its column or without.
        func name(ifAny column: Int?) throws(BrumeError) -> String {
            guard let column, !fields[column].isEmpty else { return "" }
            return try name(column)
        }

        func whole(_ column: Int, _ range: ClosedRange<Int>) throws(BrumeError) -> Int {
            // Some programs write whole numbers as 17.0.
            guard let value = Int(fields[column]) ?? NumberText.parse(fields[column]).flatMap({ Int(exactly: $0) }), range.contains(value)
            else {
                throw fault(column, "'\(excerpt(fields[column]))' is no whole number from \(range.lowerBound) to \(range.upperBound).")
            }
            return value
        }

        func number(_ column: Int, _ range: ClosedRange<Double>) throws(BrumeError) -> Double {
            guard let value = NumberText.parse(fields[column]), range.contains(value) else {
                let bounds = "\(NumberText.of(range.lowerBound)) to \(NumberText.of(range.upperBound))"
                throw fault(column, "'\(excerpt(fields[column]))' is no number from \(bounds).")
            }
            return value
        }
    }

    /// Reads a table row by row.
    ///
    /// - Parameters:
    ///   - begin: looks at the header.
    ///   - row: takes one row; what it throws concerns that row.
    /// - Returns: the rows that were left out.
    /// - Throws: `BrumeError` (`corrupt`) for a table without a header or a bad row that is not to be skipped; what `begin` throws.
    static func read(
        _ lines: some Sequence<Substring>, what: String, badRows: BadRows, begin: (Header) throws(BrumeError) -> Void,
        row: (Row) throws(BrumeError) -> Void
    ) throws(BrumeError) -> SkippedRows {
        var header: Header?
        var skipped = SkippedRows()
        var number = 0
        for line in lines {
            number += 1
            var text = number == 1 ? TextMark.withoutByteOrderMark(line) : line
            if text.unicodeScalars.last == TextMark.cut {
                text = Substring(text.unicodeScalars.dropLast())
                if !text.isEmpty { skipped.openLine = number }
            }
            if text.isEmpty || text.first == "#" || text == "\r" { continue }
            guard let known = header else {
                try checkEncoding(text, line: number)
                let first = Header(line: number, names: try names(try split(text, line: number), line: number))
                try begin(first)
                header = first
                continue
            }
            do throws(BrumeError) {
                try row(try checked(try split(text, line: number), line: number, header: known))
            } catch {
                guard badRows == .skip else { throw error }
                skipped.add(error.message)
            }
        }
        guard header != nil else {
            throw BrumeError(.corrupt, "The \(what) is empty; its first line must name its columns.")
        }
        return skipped
    }

    private static func checked(_ fields: [Substring], line: Int, header: Header) throws(BrumeError) -> Row {
        let names = header.names
        guard fields.count <= names.count else {
            throw fault(line: line, "the row has \(fields.count) fields for \(names.count) columns.")
        }
        guard fields.count == names.count else {
            let missing = fields.count
            throw fault(
                line: line, column: (missing, names[missing]),
                "the row ends after \(missing) of \(names.count) fields; is the file cut off?")
        }
        return Row(line: line, fields: fields, names: names)
    }

    /// UTF-16 has a zero beside every letter, and compressed files begin with bytes that are no UTF-8.
    static func checkEncoding(_ text: Substring, line: Int) throws(BrumeError) {
        guard text.unicodeScalars.contains(where: { $0 == "\0" || $0 == "\u{FFFD}" }) else { return }
        throw fault(line: line, "this is no text in UTF-8; is it compressed, or saved as UTF-16?")
    }

    /// The names of the columns: present, different from each other.
    private static func names(_ fields: [Substring], line: Int) throws(BrumeError) -> [String] {
        var names: [String] = []
        var seen: Set<Substring> = []
        for (index, name) in fields.enumerated() {
            guard !name.isEmpty else { throw fault(line: line, column: (index, ""), "the column has no name.") }
            guard seen.insert(name).inserted else {
                throw fault(line: line, column: (index, String(name)), "the column is there twice.")
            }
            names.append(String(name))
        }
        return names
    }

    private static func split(_ text: Substring, line: Int) throws(BrumeError) -> [Substring] {
        guard text.utf8.count <= lineBytesMax else {
            throw fault(line: line, "the line is longer than \(lineBytesMax) bytes; this is no table.")
        }
        let text = text.utf8.last == UInt8(ascii: "\r") ? text.dropLast() : text
        let fields = text.utf8.contains(UInt8(ascii: "\"")) ? try quoted(text, line: line) : plain(text)
        guard fields.count <= columnsMax else {
            throw fault(line: line, "the line has \(fields.count) fields; at most \(columnsMax) are read.")
        }
        return fields
    }

    private static func plain(_ text: Substring) -> [Substring] {
        text.utf8.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false).map { Substring($0) }
    }

    /// Fields of which some stand in quotes; two quotes inside are one.
    private static func quoted(_ text: Substring, line: Int) throws(BrumeError) -> [Substring] {
        var fields: [Substring] = []
        var field = ""
        var isInside = false
        var wasQuote = false
        for scalar in text.unicodeScalars {
            if scalar == "\"" {
                if wasQuote, !isInside { field.unicodeScalars.append(scalar) }
                isInside.toggle()
                wasQuote = true
                continue
            }
            wasQuote = false
            if scalar == ",", !isInside {
                fields.append(Substring(field))
                field = ""
            } else {
                field.unicodeScalars.append(scalar)
            }
        }
        guard !isInside else { throw fault(line: line, "a quotation mark is opened and not closed.") }
        return fields + [Substring(field)]
    }

    /// A field in quotes where it needs them.
    static func field(_ text: String) -> String {
        let needsQuotes = text.utf8.contains { [UInt8(ascii: ","), UInt8(ascii: "\""), 0x0A, 0x0D].contains($0) } || text.first == "#"
        guard needsQuotes else { return text }
        var quoted = "\""
        for scalar in text.unicodeScalars {
            quoted.unicodeScalars.append(scalar)
            if scalar == "\"" { quoted.unicodeScalars.append(scalar) }
        }
        return quoted + "\""
    }

    /// The beginning of a text that may be anything, for a sentence.
    static func excerpt(_ text: some StringProtocol) -> String {
        let visible = text.unicodeScalars.prefix(40).map { $0.value < 0x20 || $0.value == 0x7F ? "\u{FFFD}" : $0 }
        return String(String.UnicodeScalarView(visible)) + (visible.count == 40 ? "..." : "")
    }
}
