// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import GRDB

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Turns what SQLite and the kernel say into one sentence for a person.
enum StoreFailure {
    /// - Parameter path: the database file, named in the sentence.
    static func describe(_ error: any Error, path: String) -> BrumeError {
        if let error = error as? BrumeError { return error }
        guard let error = error as? DatabaseError else {
            return BrumeError(.failed, "The store at \(path) failed.", cause: error)
        }
        switch error.resultCode {
        case .SQLITE_CORRUPT, .SQLITE_NOTADB:
            return corrupt(path: path, finding: error.message ?? "it is not a database", cause: error)
        case .SQLITE_FULL:
            return BrumeError(
                .unavailable, "The disk that holds \(path) is full; free some space, nothing accepted so far is lost.", cause: error)
        case .SQLITE_BUSY, .SQLITE_LOCKED:
            return BrumeError(.unavailable, "Another program holds \(path) locked; close it and try again.", cause: error)
        case .SQLITE_READONLY, .SQLITE_PERM, .SQLITE_CANTOPEN, .SQLITE_AUTH:
            return BrumeError(.permission, "\(path) cannot be opened for writing; check its owner and permissions.", cause: error)
        case .SQLITE_IOERR:
            return BrumeError(.failed, "Reading or writing \(path) failed; check the disk.", cause: error)
        case .SQLITE_TOOBIG:
            return BrumeError(.tooLarge, "A value is larger than one database row may be (1 GB); send less.", cause: error)
        default:
            return BrumeError(.failed, "The store at \(path) failed.", cause: error)
        }
    }

    static func corrupt(path: String, finding: String, cause: (any Error)? = nil) -> BrumeError {
        // SQLite's check writes a title above what it found.
        let finding = finding.split(whereSeparator: \.isNewline).last.map(String.init) ?? "it cannot be read"
        return BrumeError(
            .corrupt,
            "The database \(path) is damaged (\(finding)). Nothing was changed; restore it from a backup, or move it away to start empty.",
            cause: cause)
    }

    /// A failed system call, with the kernel's reason.
    static func system(_ what: String, _ path: String, number: Int32 = errno) -> BrumeError {
        let reason = unsafe String(cString: strerror(number))
        let code: BrumeError.Code =
            switch number {
            case EACCES, EPERM, EROFS: .permission
            case ENOSPC, EDQUOT: .unavailable
            default: .failed
            }
        return BrumeError(code, "\(what) \(path) failed: \(reason).")
    }
}
