// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import BrumeModel
import BrumeNode
import NIOCore
import NIOHTTP1

/// Posts results of asynchronous calls to the URLs their callers gave.
struct CallbackClient: Sendable {
    /// A receiver that takes longer is treated as down.
    private static let timeout = TimeAmount.seconds(30)

    let client: HTTPClient

    /// - Throws: where the URL cannot be reached or answers with another status than 2xx.
    func deliver(_ delivery: CallbackDelivery) async throws {
        var request = HTTPClientRequest(url: delivery.url)
        request.method = .POST
        for field in delivery.headers where !Self.isFraming(field.name) { request.headers.add(name: field.name, value: field.value) }
        request.body = .bytes(delivery.body)
        let response = try await client.execute(request, timeout: Self.timeout)
        for try await _ in response.body {}
        guard (200..<300).contains(response.status.code) else {
            throw BrumeError(.unavailable, "The callback URL answered with status \(response.status.code).")
        }
    }

    /// The client frames the body anew.
    private static func isFraming(_ name: String) -> Bool {
        ["content-length", "transfer-encoding", "connection"].contains(name.lowercased())
    }
}
