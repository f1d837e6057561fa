// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import FoundationEssentials
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

/// Makes the gateway's own replies.
enum Reply {
    static func text(_ status: HTTPResponse.Status, _ text: String, headers: HTTPFields = [:]) -> Response {
        var headers = headers
        headers[.contentType] = "text/plain; charset=utf-8"
        return Response(status: status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }

    static func json(_ document: some Encodable, status: HTTPResponse.Status = .ok) throws -> Response {
        let bytes = try encode(document)
        return Response(
            status: status, headers: [.contentType: "application/json"], body: ResponseBody(byteBuffer: bytes))
    }

    static func empty(_ status: HTTPResponse.Status) -> Response { Response(status: status) }

    static func error(_ error: any Error) -> Response {
        if let error = error as? BrumeError {
            return text(HTTPResponse.Status(code: error.code.httpStatus), error.message)
        }
        if let error = error as? any HTTPResponseError {
            return text(error.status, error.status.reasonPhrase + ".")
        }
        return text(.internalServerError, "The node failed to answer; its log says why.")
    }

    static func encode(_ document: some Encodable) throws -> ByteBuffer {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return ByteBuffer(bytes: try encoder.encode(document))
    }
}

extension Request {
    /// The whole body, at most `limit` bytes.
    ///
    /// - Parameter sentence: what is said of a larger one, where there is better advice than the number.
    /// - Throws: `BrumeError` (`tooLarge`).
    func wholeBody(limit: Int, orElse sentence: String? = nil) async throws -> ByteBuffer {
        let error = BrumeError(.tooLarge, sentence ?? "The request body is larger than the \(limit) bytes that are accepted here.")
        if let length = headers[.contentLength].flatMap({ Int($0) }), length > limit { throw error }
        do {
            return try await body.collect(upTo: limit)
        } catch is NIOTooManyBytesError {
            throw error
        }
    }

    /// A query parameter, or nil where it is missing or empty.
    func query(_ name: String) -> String? {
        guard let value = uri.queryParameters[Substring(name)], !value.isEmpty else { return nil }
        return String(value)
    }

    /// A whole number of the query.
    ///
    /// - Throws: `BrumeError` (`invalid`).
    func queryNumber(_ name: String, in range: ClosedRange<Int>) throws(BrumeError) -> Int? {
        guard let text = query(name) else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw BrumeError(
                .invalid,
                "The parameter '\(name)' is '\(text.prefix(32))'; write a whole number from \(range.lowerBound) to \(range.upperBound).")
        }
        return number
    }

    /// A truth value of the query, as Go's clients write it.
    ///
    /// - Throws: `BrumeError` (`invalid`).
    func queryTruth(_ name: String) throws(BrumeError) -> Bool? {
        switch query(name) {
        case nil: return nil
        case "1", "true", "t", "T", "TRUE", "True": return true
        case "0", "false", "f", "F", "FALSE", "False": return false
        case let other?: throw BrumeError(.invalid, "The parameter '\(name)' is '\(other.prefix(32))'; write true or false.")
        }
    }

    func queryTime(_ name: String) throws(BrumeError) -> Instant? {
        guard let text = query(name) else { return nil }
        return try Timestamp.read(text)
    }
}
