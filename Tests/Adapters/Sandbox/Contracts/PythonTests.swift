// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Foundation
import NIOCore
import Testing

@testable import BrumeSandbox

@Suite("Python handlers")
struct PythonTests {
    typealias Case = HandlerCase

    static let cases: [Case] = [
        Case(
            name: "handle(req) takes and gives text", code: "def handle(req):\n    return req.upper()", body: "häl", text: "HÄL",
            type: "text/plain; charset=utf-8"),
        Case(
            name: "handle(req) may give bytes", code: "def handle(req):\n    return b'\\x00'", text: "\0",
            type: "application/octet-stream"),
        Case(name: "handle(req) may give nothing", code: "def handle(req):\n    pass", text: ""),
        Case(
            name: "handle(req) may give a dictionary", code: "def handle(req):\n    return {'a': 1}", text: #"{"a": 1}"#,
            type: "application/json"),
        Case(
            name: "event carries body, method, path, query and headers",
            code: """
                def handle(event, context):
                    return '|'.join([event.body.decode(), event.method, event.path, event.query['q'], event.query.get('none', '-'),
                        event.headers['x-a'], event.headers.get('X-A'), str('x-b' in event.headers), context.hostname])
                """, method: "PUT", path: "/a%20b", query: "q=1&q=2", headers: [("X-a", "v")], text: "in|PUT|/a b|1|-|v|v|False|f-r1"),
        Case(
            name: "a dictionary gives status, body and headers",
            code: "def handle(event, context):\n    return {'statusCode': 201, 'body': 'made', 'headers': {'X-B': 'c'}}", status: 201,
            text: "made",
            header: ("x-b", "c")),
        Case(
            name: "a dictionary as body is JSON", code: "def handle(event, context):\n    return {'statusCode': 200, 'body': {'k': [1]}}",
            text: #"{"k": [1]}"#, type: "application/json"),
        Case(
            name: "a tuple gives body, status and headers",
            code: "def handle(event, context):\n    return 'no', 404, {'Content-Type': 'text/x'}", status: 404, text: "no", type: "text/x"),
        Case(
            name: "async def is awaited",
            code: "import asyncio\nasync def handle(event, context):\n    await asyncio.sleep(0)\n    return 'a'", text: "a"),
        Case(
            name: "an exception is 500 with one line",
            code: "def handle(event, context):\n    x = 1\n    raise ValueError('bad\\nthing')", status: 500,
            text: "ValueError: bad thing (handler.py, line 3)\n", failure: .handlerError),
        Case(
            name: "a result that cannot be encoded is 500", code: "def handle(req):\n    return {'a': object()}", status: 500,
            text: "TypeError: Object of type object is not JSON serializable\n", failure: .handlerError),
        Case(name: "HEAD has no body", code: "def handle(event, context):\n    return event.method", method: "HEAD", body: "", text: ""),
        Case(
            name: "a method as handle works", code: "class A:\n    def go(self, req):\n        return 'm' + req\nhandle = A().go",
            text: "min"),
        Case(
            name: "header injection is not possible",
            code: "def handle(event, context):\n    return 'x', 200, {'X-A': 'b\\r\\nX-Evil: 1'}", text: "x",
            header: ("x-a", "b  X-Evil: 1")),
        Case(name: "exit is there", code: "def handle(req):\n    return str(callable(exit))", text: "True"),
    ]

    @Test("Every signature and result of the templates works", arguments: cases)
    func works(_ item: Case) async throws {
        try await item.check(.python, file: "handler.py") { answer in
            #expect(answer.text == item.text)
            #expect(answer["x-evil"] == nil)
        }
    }

    @Test("print and tracebacks go to the log")
    func logs() async throws {
        let code = "def handle(req):\n    print('seen', req)\n    raise KeyError('k')"
        let deployment = try await Deployment(.handler(language: .python, file: "handler.py"), Bundle(["handler.py": code]))
        let replica = try await deployment.start()
        _ = await replica.call("it")
        replica.kill()
        await replica.ended()
        #expect(replica.log.all.contains("seen it\n"))
        #expect(replica.log.all.contains("Traceback") && replica.log.all.contains("KeyError: 'k'"))
    }

    @Test("A generator is streamed as it is made")
    func streams() async throws {
        let code =
            "def handle(event, context):\n    def parts():\n        for i in range(200):\n            yield bytes(1 << 20)\n    return parts()"
        let deployment = try await Deployment(.handler(language: .python, file: "handler.py"), Bundle(["handler.py": code]))
        let replica = try await deployment.start()
        let before = ProcessState.residentBytes()
        let count = ByteCount()
        let answer = await replica.call(counting: count)
        #expect(answer.wasStreamed)
        #expect(count.value == 200 << 20)
        #expect(ProcessState.residentBytes() - before < 96 << 20)
        #expect(await replica.call(counting: ByteCount()).status == 200)
    }

    @Test("A generator that fails in the middle ends the stream with the failure")
    func failingStream() async throws {
        let code =
            "async def parts():\n    yield 'a' * 100000\n    raise ValueError('late')\ndef handle(event, context):\n    return parts()"
        let deployment = try await Deployment(.handler(language: .python, file: "handler.py"), Bundle(["handler.py": code]))
        let answer = try await deployment.start().call()
        #expect(answer.bytes.readableBytes == 100_000)
        #expect(answer.failure == CallFailure(.handlerError, "ValueError: late (handler.py, line 3)"))
    }

    @Test("A chunked request body arrives whole")
    func chunkedRequest() async throws {
        let code = "def handle(req):\n    return str(len(req))"
        let deployment = try await Deployment(.handler(language: .python, file: "handler.py"), Bundle(["handler.py": code]))
        let replica = try await deployment.start()
        #expect(await replica.call(body: .stream(Pieces(ByteBuffer(string: "abc"), count: 1000))).text == "3000")
    }

    @Test("A request body that breaks off fails this call only")
    func brokenRequest() async throws {
        let deployment = try await Deployment(
            .handler(language: .python, file: "handler.py"), Bundle(["handler.py": "def handle(req):\n    return req"]))
        let replica = try await deployment.start()
        #expect(await replica.call(body: .stream(BrokenBody())).failure?.kind == .abandoned)
        #expect(await replica.call("next").text == "next")
    }

    @Test("Bytes that are no text pass through handle(req) unchanged")
    func bytesThroughText() async throws {
        let code = "def handle(req):\n    return req"
        let deployment = try await Deployment(.handler(language: .python, file: "handler.py"), Bundle(["handler.py": code]))
        let bytes = ByteBuffer(bytes: [0xff, 0x00, 0x80, 0x41])
        #expect(try await deployment.start().call(body: .whole(bytes)).bytes == bytes)
    }

    @Test("sys.exit in any of the threads ends the replica, and the call reads why", arguments: [1, 4])
    func exits(_ concurrency: Int) async throws {
        let code = "import sys\ndef handle(req):\n    sys.exit(3)"
        let deployment = try await Deployment(
            .handler(language: .python, file: "handler.py"), Bundle(["handler.py": code]), concurrency: concurrency
        ) { $0.causeGrace = .seconds(30) }
        #expect(try await deployment.start().call().failure == CallFailure(.exited, "The process ended."))
    }

    @Test("As many calls as the concurrency run at once")
    func concurrency() async throws {
        let code = "import time\ndef handle(req):\n    time.sleep(1)\n    return req"
        let deployment = try await Deployment(.handler(language: .python, file: "handler.py"), Bundle(["handler.py": code]), concurrency: 8)
        let replica = try await deployment.start()
        let start = ContinuousClock.now
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<8 { group.addTask { #expect(await replica.call("\(number)").text == "\(number)") } }
        }
        #expect(ContinuousClock.now - start < .seconds(6))
    }

    @Test("A cancelled call is let finish, then the slot is free")
    func cancel() async throws {
        let code = "import time\ndef handle(req):\n    time.sleep(float(req))\n    return 'done'"
        let deployment = try await Deployment(.handler(language: .python, file: "handler.py"), Bundle(["handler.py": code]))
        let replica = try await deployment.start()
        let start = ContinuousClock.now
        _ = await replica.call("0.3") { replica.channel.cancel($0) }
        #expect(ContinuousClock.now - start >= .seconds(0.3))
        #expect(await replica.call("0").text == "done")
    }

    @Test(
        "A handler that cannot be loaded says why",
        arguments: [
            (
                "import nosuchmodule\ndef handle(req): pass",
                "handler.py could not be loaded: ModuleNotFoundError: No module named 'nosuchmodule' (handler.py, line 1)"
            ),
            (
                "x = 1",
                "handler.py could not be loaded: AttributeError: handler.py has no function 'handle'; define handle(req) or handle(event, context)"
            ),
            ("raise SystemExit(3)", "handler.py could not be loaded: SystemExit: 3 (handler.py, line 1)"),
        ])
    func loadFailure(_ code: String, _ message: String) async throws {
        let deployment = try await Deployment(.handler(language: .python, file: "handler.py"), Bundle(["handler.py": code]))
        let error = await #expect(throws: BrumeError.self) { _ = try await deployment.start() }
        #expect(error?.message == message)
    }
}
