// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
package import HummingbirdCore
import Logging
import NIOCore

/// What stands round every routed request: who may ask, from which web origin, and how a failure is told.
package struct GatewayResponder: HTTPResponder {
    package typealias Context = GatewayContext

    let router: any HTTPResponder<GatewayContext>
    let credentials: Credentials?
    let cors: CORSPolicy

    package func respond(to request: Request, context: GatewayContext) async throws -> Response {
        let origin = cors.isEnabled ? request.headers[.origin] : nil
        if cors.isEnabled, request.method == .options, request.headers[.accessControlRequestMethod] != nil {
            return preflight(origin: origin)
        }
        var response: Response
        if isProtected(request.uri.path), !isAuthorized(request) {
            response = Reply.text(.unauthorized, "invalid credentials", headers: [.wwwAuthenticate: "Basic realm=\"Restricted\""])
        } else {
            do {
                response = try await router.respond(to: request, context: context)
                // The router knows no such path; every 404 of a route says what is missing.
                if response.status == .notFound, response.body.contentLength == 0 {
                    response = Reply.text(.notFound, "There is nothing at this path.")
                }
            } catch {
                if error is CancellationError { throw error }
                response = Reply.error(error)
                if response.status.kind == .serverError {
                    context.logger.error("a request failed", metadata: ["path": "\(request.uri.path)", "error": "\(error)"])
                }
            }
        }
        if cors.isEnabled { allow(origin, in: &response) }
        return response
    }

    private func isProtected(_ path: String) -> Bool { path.hasPrefix("/system/") || path.hasPrefix("/v1/") }

    private func isAuthorized(_ request: Request) -> Bool {
        guard let credentials else { return true }
        guard let given = BasicAuthorization(field: request.headers[.authorization]) else { return false }
        return credentials.accept(user: given.user, password: given.password)
    }

    private func preflight(origin: String?) -> Response {
        var headers: HTTPFields = [.vary: "Origin"]
        if let allowed = cors.allowed(origin) {
            headers[.accessControlAllowOrigin] = allowed
            headers[.accessControlAllowMethods] = CORSPolicy.methods
            headers[.accessControlAllowHeaders] = "authorization, content-type, x-call-id, x-callback-url, x-timeout"
            headers[.accessControlMaxAge] = CORSPolicy.maxAgeSeconds
        }
        return Response(status: .noContent, headers: headers)
    }

    private func allow(_ origin: String?, in response: inout Response) {
        response.headers[.vary] = "Origin"
        guard let allowed = cors.allowed(origin) else { return }
        response.headers[.accessControlAllowOrigin] = allowed
        response.headers[.accessControlExposeHeaders] = CORSPolicy.exposed
    }
}

/// The user and password of an `Authorization: Basic` field.
struct BasicAuthorization {
    let user: ArraySlice<UInt8>
    let password: ArraySlice<UInt8>

    /// Longest field that is looked at: no password is longer than that.
    static let lengthMax = 4096

    init?(field: String?) {
        guard let field, field.utf8.count <= Self.lengthMax, field.prefix(6).lowercased() == "basic " else { return nil }
        guard let bytes = Base64.decode(field.utf8.dropFirst(6)), let colon = bytes.firstIndex(of: UInt8(ascii: ":")) else { return nil }
        user = bytes[..<colon]
        password = bytes[(colon + 1)...]
    }
}
