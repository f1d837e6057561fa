// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import GRPCCore
import NIOCore
import NIOPosix
import NIOSSL

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Errors from below as sentences for people.
enum FailureText {
    static func sentence(_ error: any Error) -> String {
        switch error {
        case let error as BrumeError: return error.message
        case let error as RPCError:
            // Libraries wrap the cause; the sentence of a peer that refuses is the message itself.
            if let cause = error.cause { return sentence(cause) }
            return error.message == "Stream unexpectedly closed." ? "The peer's end of the connection vanished." : error.message
        case let error as NIOConnectionError:
            return error.connectionErrors.first.map { sentence($0.error) } ?? "Nobody answers at \(error.host):\(error.port)."
        case let error as IOError: return input(error)
        case is CancellationError: return "The link is stopping."
        case let error as ChannelError: return channel(error)
        case let error as NIOSSLError: return tls("\(error)")
        case let error as NIOSSLExtraError: return tls("\(error)")
        case let error as BoringSSLError: return tls("\(error)")
        default: return "The connection broke (\(error))."
        }
    }

    private static func input(_ error: IOError) -> String {
        switch error.errnoCode {
        case ECONNREFUSED: "The connection was refused: nobody listens there."
        case ECONNRESET, EPIPE: "The peer's end of the connection vanished."
        case ETIMEDOUT: "The peer no longer answers."
        case EHOSTUNREACH, ENETUNREACH: "There is no way to that address."
        default: "The connection broke (\(error))."
        }
    }

    private static func channel(_ error: ChannelError) -> String {
        switch error {
        case .connectTimeout: "Nobody answered in time."
        case .ioOnClosedChannel, .alreadyClosed, .eof, .outputClosed, .inputClosed: "The connection was closed."
        default: "The connection broke (\(error))."
        }
    }

    private static func tls(_ text: String) -> String {
        if text.contains("WRONG_VERSION_NUMBER") || text.contains("HTTP_REQUEST") || text.contains("UNSUPPORTED_PROTOCOL") {
            return "The other side does not speak TLS 1.3."
        }
        if text.contains("CERTIFICATE") || text.contains("UNKNOWN_CA") || text.contains("HANDSHAKE_FAILURE") {
            return "The other side refused this node's certificate, or shows none that this node accepts."
        }
        if text.contains("uncleanShutdown") { return "The peer's end of the connection vanished." }
        return "TLS failed (\(text))."
    }
}
