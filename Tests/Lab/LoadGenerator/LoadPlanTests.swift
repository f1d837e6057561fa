// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import BrumeWorkload
import Testing

@testable import BrumeLoad

@Suite("Targets and plans")
struct LoadPlanTests {
    @Test(
        "a target reads as it is written",
        arguments: [
            (
                "http://127.0.0.1:8080/function/echo?x=1",
                LoadTarget(endpoint: .tcp(host: "127.0.0.1", port: 8080), path: "/function/echo?x=1")
            ),
            ("http://localhost", LoadTarget(endpoint: .tcp(host: "localhost", port: 80), path: "/")),
            ("http://[::1]:9000/", LoadTarget(endpoint: .tcp(host: "::1", port: 9000), path: "/")),
            ("http://example.org?q", LoadTarget(endpoint: .tcp(host: "example.org", port: 80), path: "/?q")),
            ("http://h:1/a#b", LoadTarget(endpoint: .tcp(host: "h", port: 1), path: "/a")),
            ("unix:/run/f.sock", LoadTarget(endpoint: .unix(path: "/run/f.sock"), path: "/")),
            ("unix:/run/f.sock:/x/y", LoadTarget(endpoint: .unix(path: "/run/f.sock"), path: "/x/y")),
        ])
    func parses(text: String, expected: LoadTarget) throws {
        #expect(try LoadTarget(parsing: text) == expected)
        #expect(try LoadTarget(parsing: expected.description) == expected)
    }

    @Test(
        "what is no target is refused",
        arguments: [
            "", "echo", "https://h/", "http://", "http://:80/", "http://h:0/", "http://h:65536/", "http://a:b@h/", "http://h/\r\nX: 1",
            "unix:",
            "unix::/x", "unix:/s:x", "http://::1/",
        ])
    func refuses(text: String) {
        let error = #expect(throws: BrumeError.self) { try LoadTarget(parsing: text) }
        #expect(error?.code == .invalid)
    }

    @Test(
        "only this machine's addresses are local",
        arguments: [
            ("http://127.0.0.1/", true), ("http://127.9.8.7/", true), ("http://localhost/", true), ("http://[::1]/", true),
            ("unix:/s", true), ("http://10.0.0.1/", false), ("http://127.0.0.1.example.org/", false), ("http://128.0.0.1/", false),
            ("http://example.org/", false), ("http://[2001:db8::1]/", false),
        ])
    func local(text: String, expected: Bool) throws {
        let target = try LoadTarget(parsing: text)
        #expect(target.isLocal == expected)
        var plan = LoadPlan(target: target, pace: .closed)
        if expected {
            try plan.validate()
        } else {
            let error = #expect(throws: BrumeError.self) { try plan.validate() }
            #expect(error?.code == .permission)
        }
        plan.allowRemote = true
        try plan.validate()
    }

    @Test(
        "numbers past their limits are refused before anything is sent",
        arguments: [
            { $0.connections = 0 }, { $0.connections = LoadPlan.connectionsMax + 1 }, { $0.threads = 0 }, { $0.threads = 17 },
            { $0.duration = .zero }, { $0.duration = LoadPlan.durationMax + .seconds(1) }, { $0.warmUp = .seconds(-1) },
            { $0.timeout = LoadPlan.timeoutMax + .seconds(1) }, { $0.pace = .open(.constant(rate: 0)) },
            { $0.pace = .open(.poisson(rate: LoadPlan.rateMax * 2)) }, { $0.method = "BREW" },
            { $0.headers = [LoadPlan.Header("X", "a\r\nb")] }, { $0.headers = [LoadPlan.Header("a b", "c")] },
            { $0.body = Array(repeating: 0, count: LoadPlan.bodyBytesMax + 1) },
        ] as [@Sendable (inout LoadPlan) -> Void])
    func limits(change: @Sendable (inout LoadPlan) -> Void) throws {
        var plan = LoadPlan(target: try LoadTarget(parsing: "http://127.0.0.1/"), pace: .closed)
        try plan.validate()
        change(&plan)
        let error = #expect(throws: BrumeError.self) { try plan.validate() }
        #expect(error?.message.hasSuffix(".") == true)
    }

    @Test("the request is encoded with its length, its host and the given headers")
    func encoding() throws {
        let plan = LoadPlan(
            target: try LoadTarget(parsing: "http://127.0.0.1:81/f?q=1"), headers: [.init("Content-Type", "text/plain")],
            body: Array("abc".utf8), pace: .closed)
        #expect(
            String(decoding: plan.requestBytes, as: UTF8.self)
                == "POST /f?q=1 HTTP/1.1\r\nHost: 127.0.0.1:81\r\nContent-Length: 3\r\nContent-Type: text/plain\r\n\r\nabc")
    }
}
