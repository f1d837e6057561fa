// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import FoundationEssentials
import Testing

@testable import brume

@Suite("Finding the node")
struct CommandLineNodeSearchTests {
    /// A search whose every place lies in a temporary directory.
    private func search(_ root: String, environment: [String: String] = [:], dead: Set<Int32> = []) -> NodeSearch {
        NodeSearch(
            environment: environment, localDataDirectory: "\(root)/local", systemDataDirectory: "\(root)/system",
            registryPath: "\(root)/run/node.json", processExists: { !dead.contains($0) })
    }

    private func node(_ directory: String, pid: Int32 = 100, address: String = "127.0.0.1", port: Int, password: String? = "pw") throws {
        try write(#"{"pid":\#(pid),"address":"\#(address)","port":\#(port)}"#, to: "\(directory)/node.json")
        if let password {
            try write("admin\n", to: "\(directory)/credentials/basic-auth-user")
            try write("\(password)\n", to: "\(directory)/credentials/basic-auth-password")
        }
    }

    @Test("what was said comes before the environment, that before the files, the local ones first")
    func order() async throws {
        try await withTemporaryDirectory { root in
            var wishes = NodeSearch.Wishes(gateway: "http://stack:1")
            #expect(try search(root).find(NodeSearch.Wishes()).url == "http://127.0.0.1:8080")
            #expect(try search(root).find(wishes).url == "http://stack:1")
            try write(#"{"pid":3,"address":"127.0.0.1","port":8003,"dataDirectory":"\#(root)/elsewhere"}"#, to: "\(root)/run/node.json")
            #expect(try search(root).find(wishes).url == "http://127.0.0.1:8003")
            try node("\(root)/system", port: 8002)
            #expect(try search(root).find(wishes).url == "http://127.0.0.1:8002")
            try node("\(root)/local", port: 8001)
            #expect(try search(root).find(wishes).url == "http://127.0.0.1:8001")
            let faas = ["OPENFAAS_URL": "http://faas:2/"]
            #expect(try search(root, environment: faas).find(wishes).url == "http://faas:2")
            let both = faas.merging(["BRUME_URL": "brume.example:3"]) { $1 }
            #expect(try search(root, environment: both).find(wishes).url == "http://brume.example:3")
            wishes.dataDirectory = "\(root)/system"
            #expect(try search(root, environment: both).find(wishes).url == "http://127.0.0.1:8002")
            wishes.url = "https://said:4"
            #expect(try search(root, environment: both).find(wishes).url == "https://said:4")
        }
    }

    @Test("credentials come from the data directory of the node that was found")
    func credentials() async throws {
        try await withTemporaryDirectory { root in
            try node("\(root)/elsewhere", port: 8003, password: "there")
            try write(#"{"pid":3,"address":"0.0.0.0","port":8003,"dataDirectory":"\#(root)/elsewhere"}"#, to: "\(root)/run/node.json")
            let registered = try search(root).find(NodeSearch.Wishes())
            #expect(registered.url == "http://127.0.0.1:8003")
            #expect(registered.credentials == Credentials(user: "admin", password: "there", origin: "\(root)/elsewhere/credentials"))
            // A URL alone is enough on the node's own machine.
            #expect(try search(root).find(NodeSearch.Wishes(url: "http://localhost:8003")).credentials?.password == "there")
            #expect(try search(root).find(NodeSearch.Wishes(url: "http://localhost:9999")).credentials == nil)
            let said = try search(root).find(NodeSearch.Wishes(user: "ada", password: "mine"))
            #expect(said.credentials == Credentials(user: "ada", password: "mine", origin: "--password"))
            let inURL = try search(root).find(NodeSearch.Wishes(url: "http://bob:p%40ss@host:80"))
            #expect(inURL.url == "http://host:80")
            #expect(inURL.credentials == Credentials(user: "bob", password: "p@ss", origin: "--url"))
            let variables = ["BRUME_URL": "http://host:80", "BRUME_PASSWORD": "env"]
            #expect(try search(root, environment: variables).find(NodeSearch.Wishes()).credentials?.password == "env")
        }
    }

    @Test("a node.json left behind by a process that is gone is passed over")
    func stale() async throws {
        try await withTemporaryDirectory { root in
            try node("\(root)/local", pid: 1, port: 8001)
            try node("\(root)/system", pid: 2, port: 8002)
            #expect(try search(root, dead: [1]).find(NodeSearch.Wishes()).url == "http://127.0.0.1:8002")
            let failure = #expect(throws: CommandFailure.self) {
                try search(root, dead: [1]).find(NodeSearch.Wishes(dataDirectory: "\(root)/local"))
            }
            #expect(failure?.message.contains("its process 1 has ended); start one with: brume up --data-dir \(root)/local") == true)
        }
    }

    @Test(
        "the address of node.json becomes one that a client can use",
        arguments: [
            ("0.0.0.0", "http://127.0.0.1:80"), ("::", "http://[::1]:80"), ("::1", "http://[::1]:80"), ("10.0.0.1", "http://10.0.0.1:80"),
            ("", "http://127.0.0.1:80"),
        ])
    func wildcard(address: String, url: String) {
        #expect(NodeFile(pid: 1, address: address, port: 80, dataDirectory: nil).url == url)
    }

    @Test("node.json is read as it was written")
    func nodeFile() async throws {
        try await withTemporaryDirectory { root in
            let file = NodeFile(pid: 7, address: "127.0.0.1", port: 8080, dataDirectory: "/var/lib/brume")
            try file.write(to: "\(root)/node.json")
            #expect(NodeFile(path: "\(root)/node.json") == file)
            try write("{", to: "\(root)/node.json")
            #expect(NodeFile(path: "\(root)/node.json") == nil)
        }
    }

    @Test("an address that is none is a mistake in the words", arguments: ["ftp://host", "http://", "::::", "http:// space"])
    func badAddress(text: String) async throws {
        try await withTemporaryDirectory { root in
            let failure = #expect(throws: CommandFailure.self) { try search(root).find(NodeSearch.Wishes(url: text)) }
            #expect(failure?.kind == .words)
            #expect(failure?.message.contains("--url") == true)
        }
    }
}

@Suite("Stack files")
struct CommandLineStackFileTests {
    private func stack(_ text: String, folder: String = "/stack", environment: [String: String] = [:]) throws -> StackFile {
        try StackFile(text: text, name: "stack.yml", folder: folder, environment: environment)
    }

    @Test("every key of a function means what OpenFaaS means by it")
    func everything() async throws {
        try await withTemporaryDirectory { root in
            try write("def handle(event, context): pass\n", to: "\(root)/hello/handler.py")
            try write("environment:\n  FROM_FILE: yes\n  BOTH: file\n", to: "\(root)/env.yml")
            let file = try stack(
                """
                version: 1.0
                provider:
                  name: openfaas
                  gateway: ${GATEWAY:-http://127.0.0.1:9999}
                functions:
                  hello:
                    lang: python3-http
                    handler: ./hello
                    image: docker.io/me/hello:${TAG:-latest}
                    namespace: team-a
                    environment_file: [env.yml]
                    environment: {BOTH: own, DEBUG: true, RATE: 010, EMPTY: "", TAG: "${TAG}"}
                    labels: {com.openfaas.scale.min: 1}
                    annotations: {topic: cron-function, schedule: "*/5 * * * *"}
                    secrets: [api-key]
                    limits: {cpu: 500m, memory: 64Mi}
                    requests: {memory: 32Mi}
                    constraints: ["zone=a"]
                    readonly_root_filesystem: true
                    build_args: {X: 1}
                  upper:
                    fprocess: tr a-z A-Z
                  shop:
                    lang: dockerfile
                    handler: ./shop
                    image: me/shop:1
                    fprocess: ./shop
                """, folder: root, environment: ["TAG": "v2"])
            #expect(file.gateway == "http://127.0.0.1:9999")
            #expect(file.warnings.isEmpty)
            #expect(file.functions.map(\.id.description) == ["hello.team-a", "upper.openfaas-fn", "shop.openfaas-fn"])
            let hello = try #require(file.functions.first)
            #expect(hello.source == .handler(path: "\(root)/hello/handler.py"))
            #expect(hello.directory == "\(root)/hello")
            #expect(hello.environment == ["FROM_FILE": "yes", "BOTH": "own", "DEBUG": "true", "RATE": "010", "EMPTY": "", "TAG": "v2"])
            #expect(hello.labels == ["com.openfaas.scale.min": "1"])
            #expect(hello.annotations == ["topic": "cron-function", "schedule": "*/5 * * * *"])
            #expect(hello.secrets == ["api-key"])
            #expect(hello.limits == ResourceWords(cpu: "500m", memory: "64Mi"))
            #expect(hello.requests == ResourceWords(cpu: nil, memory: "32Mi"))
            #expect(hello.constraints == ["zone=a"])
            #expect(hello.readOnlyRootFilesystem == true)
            #expect(file.functions[1].source == .command("tr a-z A-Z"))
            #expect(file.functions[2].source == .image("me/shop:1", command: "./shop"))
            let plan = try await DeploymentPlan(hello)
            #expect(plan.packed == ["handler.py"])
            #expect(plan.deployment.annotations?["dev.brume.handler"] == "handler.py")
        }
    }

    @Test("a program beside the stack file is packed, an image built elsewhere is used")
    func local() async throws {
        try await withTemporaryDirectory { root in
            try write("#!/bin/sh\ncat\n", to: "\(root)/bin/run", isExecutable: true)
            let text = """
                functions:
                  run: {fprocess: ./bin/run -x}
                  built: {lang: python3, handler: ./nothing, image: "me/built:1", skip_build: true}
                """
            let functions = try stack(text, folder: root).functions
            #expect(functions.map(\.source) == [.command("\(root)/bin/run -x"), .image("me/built:1", command: nil)])
            let plan = try await DeploymentPlan(functions[0])
            #expect(plan.packed == ["run"])
            #expect(plan.deployment.envProcess == "/function/run -x")
        }
    }

    @Test("anchors and merge keys are understood, unknown keys are warned about")
    func merges() throws {
        let file = try stack(
            """
            provider: {name: openfaas}
            x-common: &common
              environment: {A: 1}
              image: base:1
            functions:
              one:
                <<: *common
                image: one:1
                enviroment: {B: 2}
            """)
        #expect(file.functions.first?.source == .image("one:1", command: nil))
        #expect(file.functions.first?.environment == ["A": "1"])
        #expect(file.warnings == ["stack.yml: function 'one': 'enviroment' means nothing here and is ignored"])
    }

    @Test(
        "a bad file is refused with its place",
        arguments: [
            ("", "stack.yml is empty."),
            ("[1, 2]", "stack.yml must be a mapping of keys to values."),
            ("functions: {a: {image: b}", "stack.yml is not well-formed YAML"),
            ("provider: {name: openfaas}", "stack.yml has no functions; they belong under the key 'functions:'."),
            ("provider: {name: aws}\nfunctions: {a: {image: b}}", "provider.name is 'aws'"),
            ("functions:\n  a:\n", "the function 'a' has no content"),
            ("functions: {a: {lang: go, handler: ./a}}", "lang go has to be built into an image first"),
            ("functions: {a: {lang: dockerfile, handler: ./a}}", "lang dockerfile has to be built into an image first"),
            ("functions: {a: {lang: python3, handler: ./a}}", "there is no handler /stack/a."),
            ("functions: {a: {lang: node20}}", "lang node20 needs a handler"),
            ("functions: {a: {environment: {A: 1}}}", "nothing to run"),
            ("functions: {a: {image: [x]}}", "'image' must be a single value."),
            ("functions: {a: {image: x, environment: [A]}}", "environment must be a mapping of keys to values."),
            ("functions: {a: {image: x, secrets: {a: b}}}", "'secrets' must be a list."),
            ("functions: {a: {image: x, readonly_root_filesystem: perhaps}}", "must be true or false, not 'perhaps'."),
            ("functions: {a: {image: x, limits: {memory: 12X}}}", "function 'a': '12X' is not an amount of memory"),
            ("functions: {a: {image: x, limits: {memory: 1}}}", "function 'a': A memory limit of 1 bytes is too small"),
            ("functions: {a b: {image: x}}", "The function name 'a b' is not valid"),
            ("functions: {a: {image: x, environment_file: [no.yml]}}", "there is no environment_file /stack/no.yml."),
            ("functions: ${A", "has a '${' without its '}'"),
            ("functions: {a: {image: '${A^^}'}}", "has '${A^^}'; only ${NAME} and ${NAME:-default} are understood."),
        ])
    func bad(text: String, sentence: String) {
        let failure = #expect(throws: CommandFailure.self) { _ = try stack(text) }
        #expect(failure?.kind == .words)
        #expect(failure?.message.contains(sentence) == true, "got: \(failure?.message ?? "")")
    }

    @Test(
        "variables are put in",
        arguments: [
            ("a ${X} b", "a 1 b"), ("${X:-2}", "1"), ("${EMPTY:-2}", "2"), ("${NO:-}", ""), ("${NO}", ""), ("$X $ $$", "$X $ $$"),
            ("$${X}", "${X}"), ("${NO:-http://a:1/b}", "http://a:1/b"),
        ])
    func substitution(text: String, result: String) throws {
        #expect(try Substitution.apply(to: text, environment: ["X": "1", "EMPTY": ""]) == result)
    }

    @Test(
        "a pattern chooses names",
        arguments: [
            ("*", "abc", true), ("a*", "abc", true), ("*c", "abc", true), ("a?c", "abc", true), ("a?", "abc", false),
            ("a*b*c", "axxbxxc", true),
            ("", "", true), ("", "a", false), ("abc", "abc", true), ("*b", "abc", false), ("**", "x", true),
        ])
    func glob(pattern: String, name: String, matches: Bool) {
        #expect(GlobPattern(pattern).matches(name) == matches)
    }
}
