// SPDX-License-Identifier: Apache-2.0

import BrumeGateway
import BrumeModel
import BrumeNode
import BrumeState
import BrumeStore
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import NIOCore
import NIOPosix
import Testing

/// Objects of state over HTTP, with the real replica behind it.
@Suite("State over HTTP")
struct StateRoutesTests {
    /// Runs requests against a gateway whose node keeps state in a directory of its own.
    private func withState(_ test: @escaping @Sendable (any TestClientProtocol) async throws -> Void) async throws {
        let place = FileManager.default.temporaryDirectory.path + "/brume-gateway-state-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: place) }
        let world = StateWorld(
            now: {
                StateTime(
                    instant: Instant(nanoseconds: Int64(NIODeadline.now().uptimeNanoseconds)),
                    wallMilliseconds: UInt64(Date().timeIntervalSince1970 * 1_000))
            }, random: { UInt64.random(in: 1...UInt64.max) }, loop: MultiThreadedEventLoopGroup.singleton.next())
        var logger = Logger(label: "state-routes-tests")
        logger.logLevel = .critical
        let state = try await StateService.open(
            node: try NodeID("0123456789abcdef0123456789abcdef"), settings: StateServiceSettings(), world: world,
            log: try SQLiteStateLog(directory: place, logger: logger), logger: logger)
        try await GatewayHarness(state: state).routed(test)
        await state.stop()
    }

    /// One step of a conversation: what is sent, and what must come back.
    struct Step: Sendable {
        var method: HTTPRequest.Method
        var path: String
        var body: String?
        var status: Int
        /// The body of the reply, or its value or result where it begins with `=`.
        var answer: String?

        init(_ method: HTTPRequest.Method, _ path: String, _ body: String? = nil, _ status: Int, _ answer: String? = nil) {
            (self.method, self.path, self.body, self.status, self.answer) = (method, path, body, status, answer)
        }
    }

    /// Every kind: made, changed, read.
    static let conversations: [(name: String, steps: [Step])] = [
        (
            "string",
            [
                Step(.get, "/k", nil, 404, "There is no object 'k' in the namespace 'shop'."),
                Step(.put, "/k", #"{"value":"héllo \"you\""}"#, 201), Step(.get, "/k", nil, 200, #"="héllo \"you\"""#),
                Step(.put, "/k", #"{"value":"again"}"#, 204), Step(.get, "/k", nil, 200, #"="again""#),
                Step(.put, "/k", #"{"value":{"base64":"/wA="}}"#, 204), Step(.get, "/k", nil, 200, #"={"base64":"/wA="}"#),
                Step(.delete, "/k", nil, 204), Step(.get, "/k", nil, 404), Step(.delete, "/k", nil, 404),
            ]
        ),
        (
            "numbers in strings",
            [
                Step(.post, "/n", #"{"op":"incr"}"#, 200, "=1"), Step(.post, "/n", #"{"op":"incr","by":41}"#, 200, "=42"),
                Step(.post, "/n", #"{"op":"incr","by":0.5}"#, 200, #"="42.5""#), Step(.put, "/n", #"{"value":"abc"}"#, 204),
                Step(.post, "/n", #"{"op":"incr"}"#, 400), Step(.put, "/n", #"{"value":9223372036854775807}"#, 204),
                Step(.post, "/n", #"{"op":"incr"}"#, 400), Step(.get, "/n", nil, 200, #"="9223372036854775807""#),
            ]
        ),
        (
            "counter",
            [
                Step(.post, "/c", #"{"op":"incr","kind":"counter","by":5}"#, 200, "=5"),
                Step(.post, "/c", #"{"op":"incr","by":-7}"#, 200, "=-2"), Step(.get, "/c", nil, 200, "=-2"),
                Step(.put, "/c", #"{"kind":"counter","value":100}"#, 204), Step(.get, "/c", nil, 200, "=100"),
            ]
        ),
        (
            "bounded counter",
            [
                Step(.put, "/b", #"{"kind":"bounded-counter","value":3}"#, 201),
                Step(.post, "/b", #"{"op":"incr","kind":"bounded-counter","by":-2}"#, 200, "=1"),
                Step(.post, "/b", #"{"op":"incr","by":-2}"#, 503), Step(.get, "/b", nil, 200, "=1"),
            ]
        ),
        (
            "set",
            [
                Step(.post, "/s", #"{"op":"add","members":["a","b","a"]}"#, 200, "=2"),
                Step(.post, "/s", #"{"op":"add","members":"c"}"#, 200, "=1"),
                Step(.post, "/s", #"{"op":"remove","members":["a","z"]}"#, 200, "=1"),
                Step(.put, "/s", #"{"kind":"set","value":["x"]}"#, 204), Step(.get, "/s", nil, 200, #"=["x"]"#),
                Step(.post, "/s", #"{"op":"incr"}"#, 409),
            ]
        ),
        (
            "hash",
            [
                Step(.post, "/h", #"{"op":"set","fields":{"a":"1"}}"#, 200, "=1"),
                Step(.get, "/h", nil, 200, #"={"a":"1"}"#),
                Step(.post, "/h", #"{"op":"remove","members":"a"}"#, 200, "=1"), Step(.get, "/h", nil, 404),
                Step(.put, "/h", #"{"kind":"hash","value":{"b":2}}"#, 201), Step(.get, "/h", nil, 200, #"={"b":"2"}"#),
            ]
        ),
        (
            "scored set",
            [
                Step(.put, "/z", #"{"kind":"zset","value":[{"member":"b","score":2},{"member":"a","score":1.5}]}"#, 201),
                Step(.get, "/z", nil, 200, #"=[{"member":"a","score":1.5},{"member":"b","score":2}]"#),
                Step(.post, "/z", #"{"op":"add","members":{"c":0}}"#, 200, "=1"),
                Step(.get, "/z?limit=1", nil, 200, #"=[{"member":"c","score":0}]"#),
                Step(.get, "/z?limit=2&cursor=1", nil, 200, #"=[{"member":"a","score":1.5},{"member":"b","score":2}]"#),
            ]
        ),
        (
            "list",
            [
                Step(.post, "/l", #"{"op":"add","kind":"list","members":["b","c"]}"#, 200, "=2"),
                Step(.post, "/l", #"{"op":"insert","at":0,"items":["x","a"]}"#, 200, "=4"),
                Step(.get, "/l", nil, 200, #"=["x","a","b","c"]"#), Step(.post, "/l", #"{"op":"cut","at":0,"count":1}"#, 200, #"=["x"]"#),
                Step(.get, "/l", nil, 200, #"=["a","b","c"]"#),
            ]
        ),
        (
            "text",
            [
                Step(.put, "/t", #"{"kind":"text","value":"hello"}"#, 201),
                Step(.post, "/t", #"{"op":"insert","at":5,"value":" world"}"#, 200, "=11"),
                Step(.post, "/t", #"{"op":"cut","at":0,"count":6}"#, 200, "=6"), Step(.get, "/t", nil, 200, #"="world""#),
            ]
        ),
        (
            "list in its middle",
            [
                Step(.put, "/l", #"{"kind":"list","value":["a","b","c"]}"#, 201),
                Step(.post, "/l", #"{"op":"insert","at":1,"items":["x","y"]}"#, 200, "=5"),
                Step(.get, "/l", nil, 200, #"=["a","x","y","b","c"]"#),
                Step(.post, "/l", #"{"op":"insert","at":-2,"value":"z"}"#, 200, "=6"),
                Step(.get, "/l", nil, 200, #"=["a","x","y","b","z","c"]"#),
                Step(.post, "/l", #"{"op":"cut","at":1,"count":2}"#, 200, #"=["x","y"]"#),
                Step(.post, "/l", #"{"op":"replace","at":-1,"value":"C"}"#, 200, "=4"),
                Step(.post, "/l", #"{"op":"replace","at":1,"count":2,"items":["1","2","3"]}"#, 200, "=5"),
                Step(.get, "/l", nil, 200, #"=["a","1","2","3","C"]"#),
                Step(.post, "/l", #"{"op":"cut","at":3,"count":9}"#, 200, #"=["3","C"]"#),
                Step(.get, "/l?at=-1", nil, 200, #"="2""#), Step(.get, "/l?at=0", nil, 200, #"="a""#),
                Step(.post, "/l", #"{"op":"cut","count":0}"#, 200, "=[]"), Step(.post, "/l", #"{"op":"cut","at":-3,"count":3}"#, 200),
                Step(.get, "/l", nil, 404), Step(.post, "/l", #"{"op":"cut"}"#, 200, "=[]"),
                Step(.post, "/l", #"{"op":"cut","at":-1}"#, 200, "=[]"),
                Step(.post, "/l", #"{"op":"insert","at":0,"value":"again"}"#, 200, "=1"),
            ]
        ),
        (
            "text in its middle",
            [
                Step(.put, "/t", #"{"kind":"text","value":"h\u00e9llo world"}"#, 201),
                Step(.post, "/t", #"{"op":"replace","at":1,"count":1,"value":"e"}"#, 200, "=11"),
                Step(.post, "/t", #"{"op":"insert","at":-7,"value":","}"#, 200, "=12"),
                Step(.post, "/t", #"{"op":"cut","at":-5,"count":99}"#, 200, "=5"),
                Step(.post, "/t", #"{"op":"insert","items":["y","ou"]}"#, 200, "=10"), Step(.get, "/t", nil, 200, #"="hello, you""#),
                Step(.get, "/t?at=1", nil, 200, #"="e""#),
            ]
        ),
        (
            "indices that are not there",
            [
                Step(.put, "/l", #"{"kind":"list","value":["a","b","c"]}"#, 201),
                Step(
                    .post, "/l", #"{"op":"insert","at":4,"value":"x"}"#, 400,
                    "The index 4 is out of range: with 3 elements it is 0 to 3, or from the end -1 to -4."),
                Step(.post, "/l", #"{"op":"insert","at":-5,"value":"x"}"#, 400),
                Step(
                    .post, "/l", #"{"op":"cut","at":3}"#, 400,
                    "The index 3 is out of range: with 3 elements it is 0 to 2, or from the end -1 to -3."),
                Step(.post, "/l", #"{"op":"replace","at":-4,"value":"x"}"#, 400), Step(.get, "/l?at=3", nil, 400),
                Step(.post, "/l", #"{"op":"cut","at":-9223372036854775808}"#, 400),
                Step(.post, "/l", #"{"op":"cut","at":0,"count":-1}"#, 400, "The count is -1; write 0 or more."),
                Step(.post, "/l", #"{"op":"cut","at":0,"count":9223372036854775807}"#, 200, #"=["a","b","c"]"#),
                Step(
                    .post, "/l", #"{"op":"replace","at":0,"value":"x"}"#, 400,
                    "The index 0 is out of range: there are no elements."),
                Step(.post, "/l", #"{"op":"insert","at":1,"value":"x"}"#, 400), Step(.get, "/l", nil, 404),
                Step(.put, "/s", #"{"kind":"set","value":["a"]}"#, 201), Step(.post, "/s", #"{"op":"cut","at":0}"#, 409),
                Step(.post, "/s", #"{"op":"insert","at":0,"value":"x"}"#, 409), Step(.get, "/s?at=0", nil, 409),
                Step(.get, "/s?ids=true", nil, 400), Step(.post, "/l", #"{"op":"insert","at":0,"after":"1-1","value":"x"}"#, 400),
                Step(.post, "/l", #"{"op":"insert","element":"1-1","value":"x"}"#, 400),
                Step(.post, "/l", #"{"op":"cut","element":"x"}"#, 400),
                Step(.post, "/l", #"{"op":"insert","after":"1-1","value":"x"}"#, 404), Step(.get, "/l?element=-", nil, 400),
            ]
        ),
        (
            "flags and registers",
            [
                Step(.put, "/f", #"{"kind":"flag","value":true}"#, 201), Step(.get, "/f", nil, 200, "=true"),
                Step(.post, "/f", #"{"op":"set","value":false}"#, 200), Step(.put, "/r", #"{"kind":"register","value":"one"}"#, 201),
                Step(.post, "/r", #"{"op":"set","value":"two"}"#, 200), Step(.get, "/r", nil, 200, #"="two""#),
                Step(.put, "/m", #"{"kind":"multi-register","value":["v"]}"#, 201), Step(.get, "/m", nil, 200, #"=["v"]"#),
            ]
        ),
        (
            "other sets and sketches",
            [
                Step(.put, "/w", #"{"kind":"remove-wins-set","value":["a"]}"#, 201), Step(.get, "/w", nil, 200, #"=["a"]"#),
                Step(.put, "/g", #"{"kind":"grow-set","value":["a"]}"#, 201), Step(.get, "/g", nil, 200, #"=["a"]"#),
                Step(.put, "/y", #"{"kind":"hyperloglog","value":["a","b","c"]}"#, 201), Step(.get, "/y", nil, 200, "=3"),
            ]
        ),
        (
            "document",
            [
                Step(.put, "/d", #"{"kind":"document","value":{"a":{"b":"1"},"c":"2"}}"#, 201),
                Step(.get, "/d", nil, 200, #"={"a":{"b":"1"},"c":"2"}"#),
                Step(.post, "/d", #"{"op":"set","fields":{"a":{"b":"9"}}}"#, 200),
                Step(.get, "/d", nil, 200, #"={"a":{"b":"9"},"c":"2"}"#),
            ]
        ),
        (
            "bad words",
            [
                Step(.put, "/k", #"{"kind":"bag","value":1}"#, 400), Step(.put, "/k", #"{"kind":"set"}"#, 400),
                Step(.put, "/k", "not JSON", 400), Step(.post, "/k", #"{"op":"dance"}"#, 400), Step(.post, "/k", "{}", 400),
                Step(.put, "/k", #"{"kind":"hash","value":[1]}"#, 400), Step(.get, "/k?cursor=x", nil, 400),
                Step(.get, "/k?limit=0", nil, 400), Step(.get, "/%ZZ", nil, 400), Step(.get, "/k", nil, 404),
            ]
        ),
        (
            "names",
            [
                Step(.put, "/a%2Fb%20c", #"{"value":"1"}"#, 201), Step(.get, "/a%2Fb%20c", nil, 200, #"="1""#),
                Step(.get, "/a", nil, 404),
            ]
        ),
    ]

    @Test("Every kind can be made, changed and read", arguments: conversations.map(\.name))
    func conversation(_ name: String) async throws {
        let steps = try #require(Self.conversations.first { $0.name == name }).steps
        try await withState { client in
            for step in steps {
                let response = try await client.send(step.method, "/v1/state/shop" + step.path, step.body)
                #expect(response.status.code == step.status, "\(step.method) \(step.path) \(step.body ?? ""): \(response.text)")
                guard let answer = step.answer else { continue }
                guard answer.hasPrefix("=") else {
                    #expect(response.text == answer)
                    continue
                }
                let value = try StateRoutesTests.value(response)
                #expect(value == String(answer.dropFirst()), "\(step.method) \(step.path) \(step.body ?? ""): \(response.text)")
            }
        }
    }

    /// The value or the result of a reply, as JSON with sorted keys.
    private static func value(_ response: TestResponse) throws -> String {
        let document = try JSONSerialization.jsonObject(with: Data(response.body.readableBytesView)) as? [String: Any]
        let value = try #require(document?["value"] ?? document?["result"])
        let bytes = try JSONSerialization.data(
            withJSONObject: value, options: [.fragmentsAllowed, .sortedKeys, .withoutEscapingSlashes])
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test("A version changes with the object, guards writes, and saves readers the content")
    func versions() async throws {
        try await withState { client in
            func send(_ method: HTTPRequest.Method, _ fields: [String: String], _ body: String? = nil) async throws -> TestResponse {
                var headers = GatewayHarness.authorization
                for (name, value) in fields { headers[.named(name)] = value }
                return try await client.execute(
                    uri: "/v1/state/shop/k", method: method, headers: headers, body: body.map { ByteBuffer(string: $0) })
            }
            #expect(try await send(.put, ["If-None-Match": "*"], #"{"value":"1"}"#).status == .created)
            let first = try await send(.put, ["If-None-Match": "*"], #"{"value":"2"}"#)
            #expect(first.status == .preconditionFailed)
            let tag = try #require(first.field("ETag"))
            #expect(try await send(.get, ["If-None-Match": tag]).status == .notModified)
            #expect(try await send(.get, [:]).field("ETag") == tag)
            #expect(try await send(.put, ["If-Match": tag], #"{"value":"3"}"#).status == .noContent)
            #expect(try await send(.put, ["If-Match": tag], #"{"value":"4"}"#).status == .preconditionFailed)
            #expect(try await send(.post, ["If-Match": tag], #"{"op":"incr"}"#).status == .preconditionFailed)
            #expect(try await send(.delete, ["If-Match": tag]).status == .preconditionFailed)
            let now = try await send(.get, ["If-None-Match": tag])
            #expect(now.status == .ok && now.text.contains(#""value":"3""#))
            let last = try #require(now.field("ETag"))
            #expect(try await send(.delete, ["If-Match": last]).status == .noContent)
        }
    }

    @Test("An element keeps its ID wherever edits move it, and is edited by it")
    func elementIDs() async throws {
        try await withState { client in
            func document(_ reply: TestResponse) throws -> [String: Any] {
                try #require(try JSONSerialization.jsonObject(with: Data(reply.body.readableBytesView)) as? [String: Any])
            }
            func post(_ body: String, _ path: String = "/v1/state/shop/l") async throws -> TestResponse {
                try await client.send(.post, path, body)
            }
            let made = try document(try await post(#"{"op":"insert","kind":"list","items":["a","b","c"]}"#))
            let ids = try #require(made["ids"] as? [String])
            try #require(ids.count == 3 && Set(ids).count == 3)
            #expect(try document(try await client.send(.get, "/v1/state/shop/l?ids=true"))["ids"] as? [String] == ids)
            let page = try document(try await client.send(.get, "/v1/state/shop/l?ids=true&limit=2&cursor=1"))
            #expect(page["ids"] as? [String] == Array(ids[1...]))
            // Others edit before it; the ID still means b.
            _ = try await post(#"{"op":"insert","at":0,"items":["x","y"]}"#)
            let found = try document(try await client.send(.get, "/v1/state/shop/l?element=\(ids[1])"))
            #expect(found["at"] as? Int == 3 && found["value"] as? String == "b" && found["id"] as? String == ids[1])
            let added = try document(try await post(#"{"op":"insert","after":"\#(ids[1])","value":"b2"}"#))
            #expect(added["result"] as? Int == 6 && (added["ids"] as? [String])?.count == 1)
            _ = try await post(#"{"op":"insert","before":"\#(ids[0])","value":"a0"}"#)
            _ = try await post(#"{"op":"replace","element":"\#(ids[2])","value":"C"}"#)
            #expect(try Self.value(try await client.send(.get, "/v1/state/shop/l")) == #"["x","y","a0","a","b","b2","C"]"#)
            #expect(try Self.value(try await post(#"{"op":"cut","element":"\#(ids[1])"}"#)) == #"["b"]"#)
            // What is removed is not edited any more, and what stands in its place now is spared.
            for body in [#"{"op":"cut","element":"\#(ids[1])"}"#, #"{"op":"replace","element":"\#(ids[2])","value":"D"}"#] {
                let refused = try await post(body)
                #expect(refused.status == .notFound && refused.text.hasPrefix("The element is not there"), "\(refused.text)")
            }
            #expect(try await client.send(.get, "/v1/state/shop/l?element=\(ids[1])").status == .notFound)
            // Its place is known as long as it is remembered.
            _ = try await post(#"{"op":"insert","after":"\#(ids[1])","value":"after b"}"#)
            #expect(try Self.value(try await client.send(.get, "/v1/state/shop/l")) == #"["x","y","a0","a","after b","b2","C"]"#)

            _ = try await client.send(.put, "/v1/state/shop/t", #"{"kind":"text","value":"hello"}"#)
            let cursor = try #require(try document(try await client.send(.get, "/v1/state/shop/t?at=4"))["id"] as? String)
            _ = try await post(#"{"op":"insert","at":0,"value":"oh, "}"#, "/v1/state/shop/t")
            _ = try await post(#"{"op":"insert","after":"\#(cursor)","value":" you"}"#, "/v1/state/shop/t")
            #expect(try Self.value(try await client.send(.get, "/v1/state/shop/t")) == #""oh, hello you""#)
        }
    }

    @Test("An edit by index under the version of a reading is refused once somebody else was there")
    func editsUnderVersions() async throws {
        try await withState { client in
            _ = try await client.send(.put, "/v1/state/shop/l", #"{"kind":"list","value":["a","b"]}"#)
            let tag = try #require(try await client.send(.get, "/v1/state/shop/l").field("ETag"))
            func edit(_ tag: String, _ body: String) async throws -> TestResponse {
                var headers = GatewayHarness.authorization
                headers[.ifMatch] = tag
                return try await client.execute(uri: "/v1/state/shop/l", method: .post, headers: headers, body: ByteBuffer(string: body))
            }
            let first = try await edit(tag, #"{"op":"insert","at":1,"value":"x"}"#)
            #expect(first.status == .ok)
            #expect(try await edit(tag, #"{"op":"cut","at":1}"#).status == .preconditionFailed)
            #expect(try await edit(try #require(first.field("ETag")), #"{"op":"cut","at":1}"#).status == .ok)
            #expect(try Self.value(try await client.send(.get, "/v1/state/shop/l")) == #"["a","b"]"#)
            let batch = #"{"operations":[{"name":"l","op":"insert","at":1,"value":"y"},{"name":"l","op":"replace","at":0,"value":"A"}]}"#
            #expect(try await client.send(.post, "/v1/state/shop", batch).text == #"{"results":[3,3]}"#)
            #expect(try Self.value(try await client.send(.get, "/v1/state/shop/l")) == #"["A","y","b"]"#)
        }
    }

    @Test("Bytes go in and out as they are")
    func rawBytes() async throws {
        try await withState { client in
            var headers = GatewayHarness.authorization
            headers[.contentType] = "application/octet-stream"
            let bytes: [UInt8] = (0..<1_000).map { UInt8($0 & 255) }
            let put = try await client.execute(uri: "/v1/state/shop/raw", method: .put, headers: headers, body: ByteBuffer(bytes: bytes))
            #expect(put.status == .created)
            headers[.accept] = "application/octet-stream"
            let got = try await client.execute(uri: "/v1/state/shop/raw", method: .get, headers: headers)
            #expect(Array(got.body.readableBytesView) == bytes)
        }
    }

    @Test("A listing and a large set come page by page, each element once")
    func pages() async throws {
        try await withState { client in
            let members = (0..<2_500).map { "member-\($0)" }
            let list = members.map { "\"\($0)\"" }.joined(separator: ",")
            let put = try await client.send(.put, "/v1/state/shop/large", "{\"kind\":\"set\",\"value\":[\(list)]}")
            #expect(put.status == .created)
            for number in 0..<150 { _ = try await client.send(.put, "/v1/state/shop/key-\(number)", #"{"value":"x"}"#) }

            func all(_ path: String, _ field: String, _ limit: Int, _ element: (Any) -> String?) async throws -> [String] {
                var found: [String] = []
                var cursor = ""
                repeat {
                    let page = try await client.send(.get, "\(path)limit=\(limit)\(cursor)")
                    let document = try #require(try JSONSerialization.jsonObject(with: Data(page.body.readableBytesView)) as? [String: Any])
                    found += (document[field] as? [Any] ?? []).compactMap(element)
                    cursor = (document["next"] as? String).map { "&cursor=\($0)" } ?? ""
                } while !cursor.isEmpty
                return found
            }
            let elements = try await all("/v1/state/shop/large?", "value", 400) { $0 as? String }
            #expect(elements.count == 2_500 && Set(elements) == Set(members))
            let names = try await all("/v1/state/shop?match=key-*&", "objects", 40) { ($0 as? [String: Any])?["name"] as? String }
            #expect(names.count == 150 && Set(names).count == 150)
        }
    }

    @Test("A batch on several objects answers in order, and a session's token comes back")
    func batchesAndSessions() async throws {
        try await withState { client in
            let body = #"""
                {"operations":[{"name":"a","op":"incr","by":2},{"name":"b","op":"add","members":["x"]},{"name":"a","op":"incr"}]}
                """#
            let reply = try await client.send(.post, "/v1/state/shop", body)
            #expect(reply.status == .ok && reply.text == #"{"results":[2,1,3]}"#)
            #expect(try await client.send(.post, "/v1/state/shop", #"{"operations":[]}"#).status == .badRequest)
            #expect(try await client.send(.post, "/v1/state/shop", #"{"operations":[{"op":"incr"}]}"#).status == .badRequest)

            func get(_ fields: [String: String]) async throws -> TestResponse {
                var headers = GatewayHarness.authorization
                for (name, value) in fields { headers[.named(name)] = value }
                return try await client.execute(uri: "/v1/state/shop/a", method: .get, headers: headers)
            }
            let first = try await get(["X-State-Consistency": "session"])
            let token = try #require(first.field("X-State-Session"))
            #expect(try await get(["X-State-Session": token]).status == .ok)
            #expect(try await get(["X-State-Session": "not a token!"]).status == .badRequest)
            #expect(try await get(["X-State-Consistency": "durable"]).status == .ok)
            #expect(try await get(["X-State-Consistency": "quorum(1)"]).status == .ok)
            #expect(try await get(["X-State-Consistency": "quorum(3)"]).status == .serviceUnavailable)
            #expect(try await get(["X-State-Consistency": "perfect"]).status == .badRequest)
        }
    }

    @Test("A durable write is answered when it is on disk, and expiry is kept and told")
    func durabilityAndExpiry() async throws {
        try await withState { client in
            var headers = GatewayHarness.authorization
            headers[.named("X-State-Consistency")] = "durable"
            headers[.named("X-State-Expires-In")] = "3600"
            let put = try await client.execute(
                uri: "/v1/state/shop/k", method: .put, headers: headers, body: ByteBuffer(string: #"{"value":"1"}"#))
            #expect(put.status == .created)
            #expect(try await client.send(.get, "/v1/state/shop/k").text.contains(#""expires":"20"#))
            #expect(try await client.send(.post, "/v1/state/shop/k", #"{"op":"persist"}"#).text.hasPrefix(#"{"result":true"#))
            #expect(try await client.send(.get, "/v1/state/shop/k").text.contains("expires") == false)
            #expect(try await client.send(.post, "/v1/state/shop/k", #"{"op":"expire","seconds":0}"#).status == .ok)
            #expect(try await client.send(.get, "/v1/state/shop/k").status == .notFound)
            let stats = try await client.send(.get, "/v1/state").text
            #expect(stats.contains(#""figures":{"frames":2}"#) && stats.contains(#""namespace":"shop""#))
        }
    }

    @Test("Credentials are asked for, and a node without state says so")
    func guarded() async throws {
        try await withState { client async throws -> Void in
            for (method, path) in [(HTTPRequest.Method.get, "/v1/state"), (.put, "/v1/state/a/b"), (.get, "/v1/state/a")] {
                let answer = try await client.execute(uri: path, method: method)
                #expect(answer.status == .unauthorized)
            }
        }
        try await GatewayHarness().routed { client async throws -> Void in
            for path in ["/v1/state/shop/k", "/v1/state"] {
                let answer = try await client.send(.get, path)
                #expect(answer.status == .notImplemented)
            }
        }
    }
}
