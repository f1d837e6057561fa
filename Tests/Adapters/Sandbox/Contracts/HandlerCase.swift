// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Testing

@testable import BrumeSandbox

/// One request to one handler, and what must come of it.
struct HandlerCase: Sendable, CustomTestStringConvertible {
    var name: String
    var code: String
    /// Nil: the usual name in the handler's language.
    var file: String?
    var method = "POST"
    var path = "/"
    var query = ""
    var headers: [(String, String)] = []
    var body = "in"
    var status = 200
    var text: String
    var type: String?
    var header: (String, String)?
    var failure: CallFailure.Kind?

    var testDescription: String { name }

    /// Deploys the handler and calls it, the second time in a process that has answered before.
    ///
    /// - Parameter more: looks at what the languages do in ways of their own.
    func check(_ language: Contract.Language, file: String, more: (Answer) -> Void) async throws {
        let deployment = try await Deployment(.handler(language: language, file: file), Bundle([file: code]))
        let replica = try await deployment.start()
        for _ in 0..<2 {
            let answer = await replica.call(body, method: method, path: path, query: query, headers: headers)
            #expect(answer.status == status)
            if let type { #expect(answer["content-type"] == type) }
            if let header { #expect(answer[header.0] == header.1) }
            #expect(answer.failure?.kind == failure)
            more(answer)
        }
    }
}
