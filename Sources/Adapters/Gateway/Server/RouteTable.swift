// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import HTTPTypes
package import Hummingbird
import HummingbirdCore
import NIOCore

/// One path of the management API and what each method does there.
struct Route: Sendable {
    typealias Action = @Sendable (Request, GatewayContext) async throws -> Response

    let path: String
    let actions: [(method: HTTPRequest.Method, action: Action)]

    init(_ path: String, _ actions: [(method: HTTPRequest.Method, action: Action)]) {
        self.path = path
        self.actions = actions
    }

    var allow: String { actions.map(\.method.rawValue).sorted().joined(separator: ", ") }
}

/// The context of a routed request.
package struct GatewayContext: RequestContext {
    package var coreContext: CoreRequestContextStorage
    /// The client's address, or empty.
    let remote: String

    package init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        remote = source.channel.remoteAddress?.ipAddress ?? ""
    }
}

extension Router where Context == GatewayContext {
    /// Methods that get a 405 where a known path does not serve them.
    private static var answeredMethods: [HTTPRequest.Method] { [.get, .head, .post, .put, .patch, .delete, .options] }

    /// Registers every method of a route, and a 405 for the others.
    func add(_ route: Route) {
        for (method, action) in route.actions {
            on(RouterPath(route.path), method: method, responder: CallbackResponder(callback: action))
        }
        let served = route.actions.map(\.method)
        let allow = route.allow
        for method in Self.answeredMethods where !served.contains(method) {
            let refusal = CallbackResponder<GatewayContext> { request, _ in
                // A plain OPTIONS asks for nothing but this list.
                if request.method == .options { return Response(status: .noContent, headers: [.allow: allow]) }
                return Reply.text(
                    .methodNotAllowed, "\(request.method.rawValue) is not possible here; use \(allow).", headers: [.allow: allow])
            }
            on(RouterPath(route.path), method: method, responder: refusal)
        }
    }
}
