// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Foundation
import NIOCore
import Testing

@testable import BrumeSandbox

@Suite("The http contract")
struct HTTPTests {
    /// A server that behaves as the path says, at the level of bytes.
    static let server = """
        import json, os, socket, sys, threading, time
        time.sleep(float(os.environ.get('LATE', '0')))
        if 'NEVER' in os.environ: time.sleep(60)
        listener = socket.create_server(('127.0.0.1', int(os.environ['PORT'])))
        opened = 0
        released = threading.Event()
        def reply(body, extra=''): return ('HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n%s\\r\\n' % (len(body), extra)).encode() + body
        def serve(c):
            f = c.makefile('rb')
            while True:
                line = f.readline().decode()
                if not line: return
                method, target, _ = line.split()
                headers = {}
                for h in iter(lambda: f.readline().decode().strip(), ''):
                    name, _, value = h.partition(': ')
                    headers[name.lower()] = value
                if 'transfer-encoding' in headers:
                    body = b''
                    while True:
                        n = int(f.readline(), 16)
                        body += f.read(n); f.readline()
                        if not n: break
                else: body = f.read(int(headers.get('content-length', '0')))
                what = target.split('?')[0][1:]
                if what == 'echo': c.sendall(reply(body))
                elif what == 'request': c.sendall(reply(json.dumps([method, target, headers]).encode()))
                elif what == 'environment': c.sendall(reply(json.dumps(dict(os.environ)).encode()))
                elif what == 'connections': c.sendall(reply(str(opened).encode()))
                elif what == 'wait': time.sleep(1); c.sendall(reply(body))
                elif what == 'garbage': c.sendall(b'nonsense\\r\\n\\r\\n')
                elif what == 'eof': c.shutdown(2); return
                elif what == 'half': c.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 10\\r\\n\\r\\nhalf'); c.shutdown(2); return
                elif what == 'endless-head':
                    c.sendall(b'HTTP/1.1 200 OK\\r\\n')
                    while True: c.sendall(b'X-A: b\\r\\n' * 1000)
                elif what == 'endless-trailer':
                    c.sendall(b'HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n1\\r\\na\\r\\n0\\r\\n')
                    while True: c.sendall(b'X-A: b\\r\\n' * 1000)
                elif what == 'big-header': c.sendall(reply(b'x', 'X-Big: ' + 'b' * 200000 + '\\r\\n'))
                elif what == 'endless':
                    c.sendall(b'HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n')
                    while True: c.sendall(b'10000\\r\\n' + bytes(65536) + b'\\r\\n')
                elif what == 'announced': c.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 99999999999\\r\\n\\r\\n')
                elif what == 'slow':
                    c.sendall(b'HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n1\\r\\na\\r\\n')
                    released.wait(20)
                    c.sendall(b'1\\r\\nb\\r\\n0\\r\\n\\r\\n')
                elif what == 'release': released.set(); c.sendall(reply(b''))
                elif what == 'stalled':
                    c.sendall(b'HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n1\\r\\na\\r\\n')
                    try:
                        while True: time.sleep(0.01); c.sendall(b'1\\r\\na\\r\\n')
                    except OSError: print('reader gone', flush=True); return
                elif what == 'large': c.sendall(reply(bytes(3 << 20)))
                elif what == 'switch': c.sendall(b'HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: x\\r\\nConnection: upgrade\\r\\n\\r\\n')
                elif what == 'continue': c.sendall(b'HTTP/1.1 100 Continue\\r\\n\\r\\n' + reply(b'after'))
                elif what == 'close': c.sendall(reply(b'bye', 'Connection: close\\r\\n')); c.shutdown(2); return
                elif what == 'silent-close': c.sendall(reply(b'bye')); c.shutdown(2); return
                elif what == 'until-eof': c.sendall(b'HTTP/1.1 200 OK\\r\\nConnection: close\\r\\n\\r\\nall of it'); c.shutdown(2); return
                elif what == 'hop': c.sendall(reply(b'', 'Keep-Alive: timeout=5\\r\\nBrume-Failure: exited x\\r\\nX-End: 1\\r\\n'))
                elif what == 'nothing': c.sendall(b'HTTP/1.1 204 No Content\\r\\n\\r\\n')
                elif what == 'head': c.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 1234\\r\\n\\r\\n')
                elif what == 'die': os._exit(9)
        while True:
            c, _ = listener.accept()
            opened += 1
            threading.Thread(target=serve, args=(c,), daemon=True).start()
        """

    private func start(
        concurrency: Int = 1, environment: [String: String] = [:], limits: (inout ContractLimits) -> Void = { _ in }
    ) async throws -> PlainReplica {
        let deployment = try await Deployment(
            .http(command: ["/usr/bin/python3", "/function/server.py"], port: 8080), Bundle(["server.py": Self.server]),
            concurrency: concurrency, environment: environment, limits: limits)
        return try await deployment.start()
    }

    @Test("A server that listens late is waited for")
    func late() async throws {
        #expect(try await start(environment: ["LATE": "0.5"]).call("x", path: "/echo").text == "x")
    }

    @Test("A server that never listens fails the start, and says what to do")
    func never() async throws {
        let error = await #expect(throws: BrumeError.self) {
            _ = try await start(environment: ["NEVER": "1"]) { $0.startTimeout = .milliseconds(300) }
        }
        #expect(error?.message.contains("the server must listen on the port in $PORT") == true)
    }

    @Test("The request arrives as it was sent, without what belongs to one hop")
    func request() async throws {
        let replica = try await start()
        let answer = await replica.call(
            "x", method: "PATCH", path: "/request", query: "a=%20b",
            headers: [
                ("X-A", "1"), ("Host", "h"), ("Connection", "close"), ("Transfer-Encoding", "chunked"), ("Expect", "100-continue"),
                ("Content-Length", "77"), ("X-Evil", "a\r\nX-Injected: 1"),
            ])
        let parts = try #require(try JSONSerialization.jsonObject(with: Data(answer.bytes.readableBytesView)) as? [Any])
        #expect(parts[0] as? String == "PATCH")
        #expect(parts[1] as? String == "/request?a=%20b")
        #expect(parts[2] as? [String: String] == ["x-a": "1", "host": "h", "content-length": "1"])
    }

    @Test("The environment names the port and the service")
    func environment() async throws {
        let answer = try await start().call(path: "/environment")
        let environment = try JSONDecoder().decode([String: String].self, from: Data(answer.bytes.readableBytesView))
        #expect(Int(environment["PORT"] ?? "") != nil)
        #expect(environment["K_SERVICE"] == "f" && environment["K_CONFIGURATION"] == "f" && environment["K_REVISION"]?.isEmpty == false)
        #expect(environment["USER"] == nil)
    }

    @Test("Headers of one hop and marks of failure do not reach the caller")
    func hop() async throws {
        let answer = try await start().call(path: "/hop")
        #expect(answer["x-end"] == "1")
        #expect(answer["keep-alive"] == nil)
        #expect(answer.failure == nil, "a server of its own cannot speak for Brume")
    }

    @Test("Connections are kept: many calls, one connection")
    func keepsAlive() async throws {
        let replica = try await start(concurrency: 4)
        for _ in 0..<20 { _ = await replica.call(path: "/echo") }
        #expect(await replica.call(path: "/connections").text == "1")
    }

    @Test("As many calls as the concurrency run at once")
    func concurrency() async throws {
        let replica = try await start(concurrency: 8)
        let start = ContinuousClock.now
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<8 { group.addTask { #expect(await replica.call("\(number)", path: "/wait").text == "\(number)") } }
        }
        #expect(ContinuousClock.now - start < .seconds(6))
    }

    @Test(
        "Replies that HTTP does not allow end as badReply, and the next call works",
        arguments: [
            "garbage", "eof", "half", "endless-head", "endless-trailer", "big-header", "switch",
        ])
    func malformed(_ what: String) async throws {
        let replica = try await start()
        let answer = await replica.call(path: "/" + what)
        #expect(answer.failure?.kind == .badReply, "\(String(describing: answer.failure)) \(answer.status)")
        #expect(answer.end == answer.failure)
        #expect(await replica.call("good", path: "/echo").text == "good")
    }

    @Test("Endless and over-long replies end as outputLimit", arguments: ["endless", "announced"])
    func tooLarge(_ what: String) async throws {
        let replica = try await start { $0.replyBytesMax = 5 << 20 }
        #expect(await replica.call(path: "/" + what, counting: ByteCount()).failure?.kind == .outputLimit)
        #expect(await replica.call("good", path: "/echo").text == "good")
    }

    @Test(
        "Unusual but right replies are understood",
        arguments: [
            ("continue", "after"), ("close", "bye"), ("until-eof", "all of it"), ("nothing", ""), ("silent-close", "bye"),
        ])
    func unusual(_ what: String, _ text: String) async throws {
        let replica = try await start()
        #expect(await replica.call(path: "/" + what).text == text)
        #expect(await replica.call("good", method: "PUT", path: "/echo").text == "good", "a connection closed in between is replaced")
    }

    @Test("HEAD keeps the announced length")
    func head() async throws {
        let answer = try await start().call(method: "HEAD", path: "/head")
        #expect(answer["content-length"] == "1234" && answer.text.isEmpty)
    }

    @Test("A slow reply is streamed as it comes")
    func slow() async throws {
        let replica = try await start(concurrency: 2)
        // The server sends the second half when the first has arrived.
        let answer = await replica.call(path: "/slow", onPiece: { _ = await replica.call(path: "/release") })
        #expect(answer.wasStreamed && answer.text == "ab")
    }

    @Test("A large reply of known length is streamed with its length")
    func large() async throws {
        let answer = try await start().call(path: "/large")
        #expect(answer.wasStreamed && answer.bytes.readableBytes == 3 << 20 && answer["content-length"] == "3145728")
    }

    @Test("Bodies of unknown and of known length stream in", arguments: [nil, "2000"])
    func uploads(_ length: String?) async throws {
        let replica = try await start()
        let headers = length.map { [("Content-Length", $0)] } ?? []
        let answer = await replica.call(path: "/echo", headers: headers, body: .stream(Pieces(ByteBuffer(string: "ab"), count: 1000)))
        #expect(answer.bytes.readableBytes == 2000)
    }

    @Test("A body that is not as long as announced fails the call, and cannot become another request", arguments: ["10", "3000"])
    func wrongLength(_ length: String) async throws {
        let replica = try await start()
        let answer = await replica.call(
            path: "/echo", headers: [("Content-Length", length)], body: .stream(Pieces(ByteBuffer(string: "ab"), count: 1000)))
        #expect(answer.failure != nil || answer.bytes.readableBytes == 10)
        #expect(await replica.call("good", path: "/echo").text == "good")
    }

    @Test("A caller that goes away in the middle of a stream ends it at the server")
    func abandoned() async throws {
        let replica = try await start()
        let answer = await replica.call(path: "/stalled", takeOnly: 1)
        #expect(answer.end?.kind == .abandoned)
        try await replica.waitForLog("reader gone")
        #expect(await replica.call("good", path: "/echo").text == "good")
    }

    @Test("A slow reader slows the server down instead of filling memory")
    func backPressure() async throws {
        let replica = try await start { $0.replyBytesMax = 1 << 40 }
        let before = ProcessState.residentBytes()
        let answer = await replica.call(path: "/endless", takeOnly: 3, pause: .milliseconds(500))
        #expect(answer.end?.kind == .abandoned)
        #expect(ProcessState.residentBytes() - before < 32 << 20)
    }

    @Test("A server that dies in a call fails it with the cause")
    func dies() async throws {
        // As long as it takes: Foundation tells of the end of a process late on a busy machine.
        let answer = try await start { $0.causeGrace = .seconds(30) }.call(path: "/die")
        #expect(answer.failure == CallFailure(.exited, "The process ended."))
    }
}
