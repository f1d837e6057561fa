// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Foundation
import NIOCore
import Testing

@testable import BrumeSandbox

@Suite("Node handlers", .enabled(if: Installed.node, "node is not installed"))
struct NodeHandlerTests {
    typealias Case = HandlerCase

    static let cases: [Case] = [
        Case(
            name: "the return value is the reply", code: "module.exports = async (event, context) => 'got ' + event.body",
            headers: [("content-type", "text/plain")], text: "got in", type: "text/plain; charset=utf-8"),
        Case(
            name: "context.status().headers().succeed()",
            code: "module.exports = async (e, c) => c.status(201).headers({'X-A': 'b'}).succeed('made')", status: 201, text: "made",
            header: ("x-a", "b")),
        Case(
            name: "context.succeed may come later",
            code: "module.exports = (e, c, callback) => { setTimeout(() => c.succeed('late'), 20) }", text: "late"),
        Case(
            name: "the callback works", code: "module.exports = (e, c, callback) => { setTimeout(() => callback(undefined, 'called'), 5) }",
            text: "called"),
        Case(
            name: "context.fail is 500", code: "module.exports = async (e, c) => c.fail('no luck')", status: 500, text: "no luck\n",
            failure: .handlerError),
        Case(
            name: "context.fail keeps a status", code: "module.exports = async (e, c) => c.status(404).fail('not here')", status: 404,
            text: "not here\n", failure: .handlerError),
        Case(
            name: "an exception is 500 with one line", code: "module.exports = async () => {\n    throw new TypeError('bad');\n}",
            status: 500,
            text: "TypeError: bad (handler.js, line 2)\n", failure: .handlerError),
        Case(
            name: "JSON is parsed and objects are JSON", code: "module.exports = async (e) => ({ twice: e.body.n * 2 })",
            headers: [("Content-Type", "application/json; charset=utf-8")], body: "{\"n\":4}", text: "{\"twice\":8}",
            type: "application/json"),
        Case(
            name: "bad JSON is 400", code: "module.exports = async (e) => 'x'", headers: [("Content-Type", "application/json")], body: "{",
            status: 400,
            text: "The body is not valid JSON: Expected property name or '}' in JSON at position 1\n"),
        Case(
            name: "forms are objects", code: "module.exports = async (e) => e.body.a + e.body.b[1]",
            headers: [("Content-Type", "application/x-www-form-urlencoded")], body: "a=1&b=2&b=3", text: "13"),
        Case(
            name: "other bodies are bytes", code: "module.exports = async (e) => String(Buffer.isBuffer(e.body)) + e.body.length",
            text: "true2"),
        Case(
            name: "method, path, query and headers are there",
            code: "module.exports = async (e) => [e.method, e.path, e.query.q, e.headers['x-a']].join('|')", method: "PUT", path: "/a%20b",
            query: "q=1", headers: [("X-A", "v")], text: "PUT|/a b|1|v"),
        Case(name: "an ES module works", code: "export default async (event, context) => 'esm'", file: "handler.mjs", text: "esm"),
        Case(name: "an exported handle works", code: "export const handle = async () => 'named'", file: "handler.mjs", text: "named"),
        Case(
            name: "bytes are bytes", code: "module.exports = async () => Buffer.from([0, 1])", text: "\0\u{1}",
            type: "application/octet-stream"),
        Case(name: "nothing is an empty reply", code: "module.exports = async () => {}", text: ""),
        Case(name: "HEAD has no body", code: "module.exports = async () => 'abc'", method: "HEAD", body: "", text: ""),
    ]

    @Test("Every form of the template works", arguments: cases)
    func works(_ item: Case) async throws {
        try await item.check(.node, file: item.file ?? "handler.js") { answer in
            // The sentence of JSON.parse differs between releases of Node.
            #expect(item.status == 400 ? answer.text.hasPrefix("The body is not valid JSON") : answer.text == item.text, "\(answer.text)")
        }
    }

    @Test("An async iterable is streamed")
    func streams() async throws {
        let code = "module.exports = async () => (async function* () { for (let i = 0; i < 200; i++) yield Buffer.alloc(1 << 20) })()"
        let deployment = try await Deployment(.handler(language: .node, file: "handler.js"), Bundle(["handler.js": code]))
        let replica = try await deployment.start()
        let before = ProcessState.residentBytes()
        let count = ByteCount()
        let answer = await replica.call(counting: count)
        #expect(answer.wasStreamed && count.value == 200 << 20)
        #expect(ProcessState.residentBytes() - before < 96 << 20)
    }

    @Test("Calls share one event loop")
    func concurrency() async throws {
        let code = "module.exports = async (e) => { await new Promise((go) => setTimeout(go, 1000)); return e.body }"
        let deployment = try await Deployment(.handler(language: .node, file: "handler.js"), Bundle(["handler.js": code]), concurrency: 16)
        let replica = try await deployment.start()
        let start = ContinuousClock.now
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<16 {
                group.addTask {
                    let answer = await replica.call("\(number)", headers: [("Content-Type", "text/plain")])
                    #expect(answer.text == "\(number)")
                }
            }
        }
        #expect(ContinuousClock.now - start < .seconds(8))
    }

    @Test(
        "A module that cannot be loaded says why",
        arguments: [
            ("const x = require('nosuchmodule')", "could not be loaded: Error: Cannot find module 'nosuchmodule'"),
            ("module.exports = 5", "handler.js could not be loaded: TypeError: it exports no function"),
            (
                "module.exports = () => 1; null.x",
                "handler.js could not be loaded: TypeError: Cannot read properties of null (reading 'x') (handler.js, line 1)"
            ),
        ])
    func loadFailure(_ code: String, _ message: String) async throws {
        let deployment = try await Deployment(.handler(language: .node, file: "handler.js"), Bundle(["handler.js": code]))
        let error = await #expect(throws: BrumeError.self) { _ = try await deployment.start() }
        #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
    }

    @Test("console goes to the log, and dependencies are resolved beside the handler")
    func moduleAndLog() async throws {
        let bundle = Bundle([
            "handler.js": "console.log('hello log'); module.exports = async () => require('word')",
            "node_modules/word/index.js": "module.exports = 'w'",
            "package.json": "{\"dependencies\":{\"word\":\"1\"}}",
        ])
        let deployment = try await Deployment(.handler(language: .node, file: "handler.js"), bundle)
        let replica = try await deployment.start()
        #expect(await replica.call().text == "w")
        try await replica.waitForLog("hello log")
    }
}
