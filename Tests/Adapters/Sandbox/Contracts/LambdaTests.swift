// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Foundation
import NIOCore
import Testing

@testable import BrumeSandbox

@Suite("The lambda contract")
struct LambdaTests {
    /// A program that polls the runtime API, and does with each event what the event says.
    static let program = """
        #!/usr/bin/python3
        import http.client, json, os, sys
        api = http.client.HTTPConnection(os.environ['AWS_LAMBDA_RUNTIME_API'])
        root = '/2018-06-01/runtime/'
        def ask(method, path, body=None, headers={}):
            api.request(method, root + path, body, headers)
            answer = api.getresponse()
            return answer.status, answer.read(), answer.headers
        def stream(id, pieces, headers, trailers=''):
            sock = api.sock
            head = 'POST %sinvocation/%s/response HTTP/1.1\\r\\nHost: x\\r\\nTransfer-Encoding: chunked\\r\\n' % (root, id)
            head += 'Lambda-Runtime-Function-Response-Mode: streaming\\r\\n'
            for name, value in headers.items(): head += name + ': ' + value + '\\r\\n'
            sock.sendall((head + '\\r\\n').encode())
            for piece in pieces: sock.sendall(b'%x\\r\\n' % len(piece) + piece + b'\\r\\n')
            sock.sendall(b'0\\r\\n' + trailers.encode() + b'\\r\\n')
            answer = http.client.HTTPResponse(sock)
            answer.begin()
            answer.read()
            return answer.status
        if 'INIT_ERROR' in os.environ:
            sys.exit(ask('POST', 'init/error', '{"errorType":"Config","errorMessage":"no table"}')[0] != 202)
        while True:
            status, event, headers = ask('GET', 'invocation/next')
            id = headers['Lambda-Runtime-Aws-Request-Id']
            try: word = json.loads(event).get('do')
            except Exception: word = None
            answer = 'invocation/%s/response' % id
            if word == 'error':
                r = ask('POST', 'invocation/%s/error' % id, '{"errorType":"Bad","errorMessage":"broke it"}', {'Lambda-Runtime-Function-Error-Type': 'Bad'})
            elif word == 'headers':
                r = ask('POST', answer, json.dumps({k.lower(): v for k, v in headers.items()}))
            elif word == 'environment':
                r = ask('POST', answer, json.dumps(dict(os.environ)))
            elif word == 'codes':
                codes = {
                    'unknown id, response': ask('POST', 'invocation/00000000-0000-0000-0000-000000000000/response', '1')[0],
                    'unknown id, error': ask('POST', 'invocation/nope/error', '{}')[0],
                    'next before the answer': ask('GET', 'invocation/next')[0],
                    'init error after init': ask('POST', 'init/error', '{}')[0],
                    'unknown path': ask('GET', 'nothing')[0],
                    'wrong method, next': ask('POST', 'invocation/next', '')[0],
                    'wrong method, response': ask('GET', answer)[0],
                    'wrong mode': ask('POST', answer, '1', {'Lambda-Runtime-Function-Response-Mode': 'odd'})[0],
                    'bad id body': json.loads(ask('POST', 'invocation/nope/error', '{}')[1])['errorType'],
                }
                r = ask('POST', answer, json.dumps(codes))
                print('second answer', ask('POST', answer, '2')[0], flush=True)
            elif word == 'large':
                r = ask('POST', answer, 'x' * (7 << 20))
                print('large', r[0], flush=True)
            elif word == 'chunked':
                r = ask('POST', answer, iter([b'{"a"', b':1}']), {})
            elif word == 'stream':
                print('stream', stream(id, (bytes(1 << 20) for _ in range(json.loads(event)['mb'])), {'Content-Type': 'video/x'}), flush=True)
                r = (202,)
            elif word == 'http stream':
                prelude = b'{"statusCode":418,"headers":{"X-A":"b"},"cookies":["c=d"]}'
                pieces = [prelude[:10], prelude[10:] + bytes(3), bytes(5) + b'tea', b'pot']
                r = (stream(id, pieces, {'Content-Type': 'application/vnd.awslambda.http-integration-response'}),)
            elif word == 'failing stream':
                trailers = 'Lambda-Runtime-Function-Error-Type: Late\\r\\nLambda-Runtime-Function-Error-Body: eyJlcnJvclR5cGUiOiJMYXRlIiwiZXJyb3JNZXNzYWdlIjoib29wcyJ9\\r\\n'
                r = (stream(id, [b'x' * 100000], {}, trailers),)
            elif word == 'bad prelude':
                r = (stream(id, [b'nonsense' + bytes(8) + b'body'], {'Content-Type': 'application/vnd.awslambda.http-integration-response'}),)
            elif word == 'exit': sys.exit(7)
            elif word == 'gateway': r = ask('POST', answer, json.dumps({'statusCode': 201, 'headers': {'X-B': 'c'}, 'cookies': ['a=1'], 'body': 'aGk=', 'isBase64Encoded': True}))
            else: r = ask('POST', answer, event)
            if r[0] != 202: print('status', r[0], flush=True)
        """

    private func deploy(
        environment: [String: String] = [:], annotations: [String: String] = [:], wallAhead: Duration = .zero,
        limits: (inout ContractLimits) -> Void = { _ in }
    ) async throws -> Deployment {
        var bundle = Bundle()
        bundle.add("bootstrap", Self.program, mode: 0o755)
        return try await Deployment(
            .lambda(executable: "bootstrap"), bundle, environment: environment, annotations: annotations, wallAhead: wallAhead,
            limits: limits)
    }

    private static let json = [("Content-Type", "application/json")]

    @Test("An event goes in, the response comes out, again and again")
    func echo() async throws {
        let replica = try await deploy().start()
        for number in 0..<50 {
            let answer = await replica.call("{\"n\":\(number)}", headers: Self.json)
            #expect(answer.status == 200)
            #expect(answer.text == "{\"n\":\(number)}")
            #expect(answer["content-type"] == "application/json")
            #expect(answer.failure == nil && answer.end == nil)
        }
    }

    @Test(
        "A body becomes an event by the rule for raw events",
        arguments: [
            ("application/json", "[1]", "[1]"), ("application/x+json", "1", "1"), ("", "{\"a\":1}", "{\"a\":1}"),
            ("text/plain", " {\"a\":1}", " {\"a\":1}"), ("text/plain", "hello \"you\"", #""hello \"you\"""#),
            ("application/octet-stream", "{}", #""{}""#), ("", "", "{}"),
        ])
    func rawEvents(_ type: String, _ body: String, _ event: String) async throws {
        let replica = try await deploy().start()
        #expect(await replica.call(body, headers: type.isEmpty ? [] : [("Content-Type", type)]).text == event)
    }

    @Test("next carries the headers that runtimes need")
    func nextHeaders() async throws {
        // The deadline is told on the wall clock, here two hours ahead of the node's.
        let replica = try await deploy(wallAhead: .seconds(7200)).start()
        let answer = await replica.call("{\"do\":\"headers\"}", headers: Self.json + [("X-Amzn-Trace-Id", "Root=1")])
        let headers = try JSONDecoder().decode([String: String].self, from: Data(answer.bytes.readableBytesView))
        let id = try #require(headers["lambda-runtime-aws-request-id"])
        #expect(UUID(uuidString: id) != nil)
        #expect(headers["lambda-runtime-deadline-ms"] == "1700007200123")
        #expect(headers["lambda-runtime-invoked-function-arn"] == "arn:aws:lambda:us-east-1:000000000000:function:f")
        #expect(headers["lambda-runtime-trace-id"] == "Root=1")
    }

    @Test("The environment is that of Lambda")
    func environment() async throws {
        let replica = try await deploy(environment: ["MINE": "1", "AWS_REGION": "eu-west-3"]).start()
        let answer = await replica.call("{\"do\":\"environment\"}", headers: Self.json)
        let environment = try JSONDecoder().decode([String: String].self, from: Data(answer.bytes.readableBytesView))
        #expect(environment["AWS_LAMBDA_FUNCTION_NAME"] == "f")
        #expect(environment["AWS_LAMBDA_FUNCTION_VERSION"] == "$LATEST")
        #expect(environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "128")
        #expect(environment["AWS_REGION"] == "eu-west-3")
        #expect(environment["MINE"] == "1")
        #expect(environment["_HANDLER"] == "handler" && environment["LAMBDA_TASK_ROOT"] != nil)
        #expect(environment["USER"] == nil)
    }

    @Test("Wrong requests get the codes of Lambda, and the invocation survives them")
    func codes() async throws {
        let replica = try await deploy().start()
        let answer = await replica.call("{\"do\":\"codes\"}", headers: Self.json)
        let text = answer.text
        for (what, code) in [
            ("unknown id, response", "400"), ("unknown id, error", "400"), ("next before the answer", "403"),
            ("init error after init", "403"),
            ("unknown path", "404"), ("wrong method, next", "405"), ("wrong method, response", "405"), ("wrong mode", "400"),
            ("bad id body", "\"InvalidRequestID\""),
        ] {
            #expect(text.contains("\"\(what)\": \(code)"), "\(text)")
        }
        #expect(await replica.call("{}", headers: Self.json).status == 200)
        try await replica.waitForLog("second answer 403")
    }

    @Test("A reported error is 500 with the error, and the instance goes on")
    func error() async throws {
        let replica = try await deploy().start()
        let answer = await replica.call("{\"do\":\"error\"}", headers: Self.json)
        #expect(answer.status == 500)
        #expect(answer.text == #"{"errorType":"Bad","errorMessage":"broke it"}"#)
        #expect(answer["x-amz-function-error"] == "Unhandled")
        #expect(answer.failure == CallFailure(.handlerError, "Bad: broke it"))
        #expect(await replica.call("{}", headers: Self.json).status == 200)
    }

    @Test("An init error fails the start with its sentence")
    func initError() async throws {
        let deployment = try await deploy(environment: ["INIT_ERROR": "1"])
        let error = await #expect(throws: BrumeError.self) { _ = try await deployment.start() }
        #expect(error?.message == "The function failed to initialise: Config: no table")
    }

    @Test("A program that cannot be executed fails the start with the reason")
    func notExecutable() async throws {
        var bundle = Bundle()
        bundle.add("bootstrap", "#!/no/such/interpreter\n", mode: 0o755)
        let deployment = try await Deployment(.lambda(executable: "bootstrap"), bundle)
        let error = await #expect(throws: BrumeError.self) { _ = try await deployment.start() }
        #expect(error?.message.contains("No such file or directory") == true, "\(error?.message ?? "")")
        var plain = Bundle()
        plain.add("bootstrap", "#!/bin/sh\n", mode: 0o644)
        let refused = await #expect(throws: BrumeError.self) { _ = try await Deployment(.lambda(executable: "bootstrap"), plain) }
        #expect(refused?.message == "'bootstrap' is not executable; set its mode (chmod +x) and deploy again.")
    }

    @Test("An answer of more than 6 MB is 413 to the program and outputLimit to the caller")
    func large() async throws {
        let replica = try await deploy().start()
        let answer = await replica.call("{\"do\":\"large\"}", headers: Self.json)
        #expect(answer.failure?.kind == .outputLimit)
        try await replica.waitForLog("large 413")
        #expect(await replica.call("{}", headers: Self.json).status == 200)
    }

    @Test("A chunked response that is not streamed is one answer")
    func chunked() async throws {
        #expect(try await deploy().start().call("{\"do\":\"chunked\"}", headers: Self.json).text == "{\"a\":1}")
    }

    @Test("200 MB are streamed without being gathered")
    func stream() async throws {
        let replica = try await deploy().start()
        let before = ProcessState.residentBytes()
        let count = ByteCount()
        let answer = await replica.call("{\"do\":\"stream\",\"mb\":200}", headers: Self.json, counting: count)
        #expect(answer.wasStreamed)
        #expect(answer["content-type"] == "video/x")
        #expect(count.value == 200 << 20)
        #expect(ProcessState.residentBytes() - before < 96 << 20)
        try await replica.waitForLog("stream 202")
    }

    @Test("An endless stream ends with outputLimit")
    func endless() async throws {
        let replica = try await deploy { $0.replyBytesMax = 10 << 20 }.start()
        let answer = await replica.call("{\"do\":\"stream\",\"mb\":100}", headers: Self.json, counting: ByteCount())
        #expect(answer.failure?.kind == .outputLimit)
    }

    @Test("A streamed answer may begin with status, headers and cookies")
    func httpStream() async throws {
        let answer = try await deploy().start().call("{\"do\":\"http stream\"}", headers: Self.json)
        #expect(answer.status == 418)
        #expect(answer["x-a"] == "b")
        #expect(answer["set-cookie"] == "c=d")
        #expect(answer.text == "teapot")
    }

    @Test("Error trailers end a stream with the failure")
    func failingStream() async throws {
        let answer = try await deploy().start().call("{\"do\":\"failing stream\"}", headers: Self.json)
        #expect(answer.bytes.readableBytes == 100_000)
        #expect(answer.failure == CallFailure(.handlerError, "Late: oops"))
    }

    @Test("A streamed answer without a valid beginning is a bad reply")
    func badPrelude() async throws {
        let replica = try await deploy().start()
        #expect(await replica.call("{\"do\":\"bad prelude\"}", headers: Self.json).failure?.kind == .badReply)
        #expect(await replica.call("{}", headers: Self.json).status == 200)
    }

    @Test("A program that ends in the middle of a call fails it with the cause")
    func exits() async throws {
        let replica = try await deploy { $0.causeGrace = .seconds(30) }.start()
        let answer = await replica.call("{\"do\":\"exit\"}", headers: Self.json)
        #expect(answer.failure == CallFailure(.exited, "The process ended."))
        #expect(answer.end == answer.failure)
    }

    @Test("With apigateway-v2 the request is described, and the answer is a whole reply")
    func gateway() async throws {
        let replica = try await deploy(annotations: ["dev.brume.lambda-event": "apigateway-v2"]).start()
        let answer = await replica.call(
            "body", method: "PUT", path: "/p/q", query: "a=1&a=2&b=x%20y", headers: [("Host", "h"), ("X-A", "1"), ("Cookie", "k=v; l=w")])
        let event = try #require(try JSONSerialization.jsonObject(with: Data(answer.bytes.readableBytesView)) as? [String: Any])
        #expect(event["version"] as? String == "2.0")
        #expect(event["rawPath"] as? String == "/p/q")
        #expect(event["rawQueryString"] as? String == "a=1&a=2&b=x%20y")
        #expect(event["queryStringParameters"] as? [String: String] == ["a": "1,2", "b": "x y"])
        #expect(event["cookies"] as? [String] == ["k=v", "l=w"])
        #expect((event["headers"] as? [String: String])?["x-a"] == "1")
        #expect(event["body"] as? String == "body")
        #expect(event["isBase64Encoded"] as? Bool == false)
        let context = try #require(event["requestContext"] as? [String: Any])
        #expect((context["http"] as? [String: String])?["method"] == "PUT")
        #expect(context["timeEpoch"] is Int)
        // This event has a body that the program takes for its order, inside the description.
        let shaped = LambdaEventForm.apiGatewayV2.reply(
            ByteBuffer(string: #"{"statusCode":201,"headers":{"X-B":"c"},"cookies":["a=1"],"body":"aGk=","isBase64Encoded":true}"#),
            contentType: nil)
        #expect(shaped.status == 201)
        #expect(
            shaped.headers == [
                HeaderField("X-B", "c"), HeaderField("Set-Cookie", "a=1"), HeaderField("Content-Type", "text/plain; charset=utf-8"),
            ])
        guard case .whole(let bytes) = shaped.body else { return }
        #expect(String(buffer: bytes) == "hi")
    }

    @Test("An unknown form of events is refused")
    func unknownForm() async throws {
        let deployment = try await deploy(annotations: ["dev.brume.lambda-event": "odd"])
        let error = await #expect(throws: BrumeError.self) { _ = try await deployment.start() }
        #expect(error?.message == "The annotation dev.brume.lambda-event is 'odd'; write raw or apigateway-v2.")
    }

    @Test("A streamed request becomes one event")
    func streamedRequest() async throws {
        let replica = try await deploy().start()
        let answer = await replica.call(headers: Self.json, body: .stream(Pieces(ByteBuffer(string: "1"), count: 5)))
        #expect(answer.text == "11111")
        #expect(await replica.call(body: .stream(BrokenBody())).failure?.kind == .abandoned)
        #expect(await replica.call("{}", headers: Self.json).status == 200)
    }
}

extension PlainReplica {
    /// Returns when the process has written this; at most 10 s.
    func waitForLog(_ text: String) async throws {
        for _ in 0..<1000 {
            if log.all.contains(text) { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        Issue.record("the log lacks '\(text)': \(log.all)")
    }
}
