// SPDX-License-Identifier: Apache-2.0

import BrumeGateway
import BrumeModel
import NIOCore
import Testing

private let digest = String(repeating: "0a", count: 32)

private func deployment(
    image: String = "", process: String = "cat", env: [String: String] = [:], labels: [String: String] = [:],
    annotations: [String: String] = [:], limits: FunctionDeployment.Amounts = .init(), requests: FunctionDeployment.Amounts = .init()
) -> FunctionDeployment {
    FunctionDeployment(
        service: "f", image: image, envProcess: process, envVars: env, labels: labels, annotations: annotations, limits: limits,
        requests: requests)
}

struct MappingTests {
    @Test("a deployment that says nothing gets the defaults")
    func defaults() throws {
        let spec = try FunctionSpec(deployment())
        #expect(spec.id == (try FunctionID(name: "f")))
        #expect(spec.contract == .fork(command: ["cat"]))
        #expect(spec.package == .none)
        #expect(spec.limits == FunctionSpec.defaultLimits)
        #expect(spec.timeout == FunctionSpec.defaultTimeout)
        #expect(spec.concurrency == 1)
        #expect(spec.scale == Scale())
        #expect(!spec.network)
    }

    @Test(
        "the image and the annotations choose the contract and the package",
        arguments: [
            (deployment(image: "brume:none"), Contract.fork(command: ["cat"]), Package.none),
            (deployment(image: "brume:bundle/\(digest)"), .fork(command: ["cat"]), .bundle(digest: digest)),
            (deployment(image: "ghcr.io/a/b:1", process: ""), .http(command: [], port: 8080), .image(reference: "ghcr.io/a/b:1")),
            (deployment(image: "oci:/tmp/x:1", process: "node i.js"), .http(command: [], port: 8080), .image(reference: "oci:/tmp/x:1")),
            (
                deployment(
                    image: "docker://a/b", process: "./s -p 1", annotations: ["dev.brume.contract": "http", "dev.brume.port": "9000"]),
                .http(command: ["./s", "-p", "1"], port: 9000), .image(reference: "docker://a/b")
            ),
            (deployment(image: "a/b", annotations: ["dev.brume.contract": "fork"]), .fork(command: ["cat"]), .image(reference: "a/b")),
            (
                deployment(image: "brume:bundle/\(digest)", annotations: ["dev.brume.contract": "handler", "dev.brume.handler": "h.py"]),
                .handler(language: .python, file: "h.py"), .bundle(digest: digest)
            ),
            (
                deployment(image: "brume:bundle/\(digest)", annotations: ["dev.brume.handler": "src/h.mjs"]),
                .handler(language: .node, file: "src/h.mjs"), .bundle(digest: digest)
            ),
            (
                deployment(image: "brume:bundle/\(digest)", annotations: ["dev.brume.contract": "handler", "dev.brume.handler": "h.cjs"]),
                .handler(language: .node, file: "h.cjs"), .bundle(digest: digest)
            ),
            (
                deployment(image: "brume:bundle/\(digest)", annotations: ["dev.brume.contract": "lambda", "dev.brume.executable": "boot"]),
                .lambda(executable: "boot"), .bundle(digest: digest)
            ),
            (deployment(process: "", env: ["fprocess": "wc -c"]), .fork(command: ["wc", "-c"]), .none),
        ])
    func contracts(deployment: FunctionDeployment, contract: Contract, package: Package) throws {
        let spec = try FunctionSpec(deployment)
        #expect(spec.contract == contract)
        #expect(spec.package == package)
        #expect(spec.imageLabel == deployment.image)
        // What is listed makes the same function again.
        #expect(try FunctionSpec(FunctionDeployment(spec)) == spec)
    }

    @Test("the process of an OpenFaaS image goes to its watchdog")
    func watchdogProcess() throws {
        let spec = try FunctionSpec(deployment(image: "ghcr.io/a/b:1", process: "python index.py"))
        #expect(spec.environment["fprocess"] == "python index.py")
        #expect(FunctionDeployment(spec).envProcess == "python index.py")
    }

    @Test("annotations, labels and the watchdogs' variables set times, numbers and the network")
    func knobs() throws {
        var spec = try FunctionSpec(
            deployment(
                env: ["exec_timeout": "10s", "max_inflight": "5"],
                labels: ["com.openfaas.scale.min": "2", "com.openfaas.scale.max": "9", "com.openfaas.scale.zero-duration": "15m"],
                annotations: ["dev.brume.network": "host", "dev.brume.prewarm": "false"]))
        #expect(spec.timeout == .seconds(10))
        #expect(spec.concurrency == 5)
        #expect(spec.scale == Scale(min: 2, max: 9, keepAlive: .seconds(900)))
        #expect(spec.network)
        spec = try FunctionSpec(
            deployment(
                env: ["exec_timeout": "10s", "max_inflight": "5"],
                labels: ["com.openfaas.scale.zero": "false", "com.openfaas.scale.zero-duration": "15m"],
                annotations: [
                    "dev.brume.timeout": "1m30s", "dev.brume.concurrency": "3", "dev.brume.keep-alive": "30s", "dev.brume.network": "none",
                ]))
        #expect(spec.timeout == .seconds(90))
        #expect(spec.concurrency == 3)
        #expect(spec.scale == Scale(min: 1, max: 8, keepAlive: .seconds(30)))
        #expect(!spec.network)
        spec = try FunctionSpec(deployment(env: ["exec_timeout": "0s", "max_inflight": "0"], labels: ["com.openfaas.scale.min": "12"]))
        #expect(spec.timeout == FunctionSpec.defaultTimeout)
        #expect(spec.concurrency == 1)
        #expect(spec.scale == Scale(min: 12, max: 12))
    }

    @Test("limits and requests are read in Kubernetes notation")
    func resources() throws {
        var spec = try FunctionSpec(
            deployment(limits: .init(cpu: "500m", memory: "128Mi"), requests: .init(cpu: "100m", memory: "64Mi")))
        #expect(spec.limits == Resources(millicores: 500, memoryBytes: 128 << 20))
        #expect(spec.requests == Resources(millicores: 100, memoryBytes: 64 << 20))
        spec = try FunctionSpec(deployment(requests: .init(cpu: nil, memory: "1Gi")))
        #expect(spec.limits == Resources(millicores: 1000, memoryBytes: 1 << 30))
        #expect(spec.requests == Resources(millicores: 50, memoryBytes: 1 << 30))
        spec = try FunctionSpec(deployment(limits: .init(cpu: "2", memory: nil)))
        #expect(spec.limits == Resources(millicores: 2000, memoryBytes: 128 << 20))
    }

    @Test(
        "each bad value is refused with a sentence that names it",
        arguments: [
            (deployment(process: ""), "--command"), (deployment(process: "'a"), "quote"),
            (deployment(image: "brume:bundle/xyz"), "SHA-256"), (deployment(image: "brume:what"), "brume:what"),
            (deployment(image: "a b"), "a b"),
            (deployment(annotations: ["dev.brume.contract": "magic"]), "dev.brume.contract"),
            (deployment(annotations: ["dev.brume.contract": "handler", "dev.brume.handler": "h.py"]), "package"),
            (deployment(image: "brume:bundle/\(digest)", annotations: ["dev.brume.contract": "handler"]), "dev.brume.handler"),
            (deployment(image: "brume:bundle/\(digest)", annotations: ["dev.brume.handler": "h.rb"]), "h.rb"),
            (deployment(image: "brume:bundle/\(digest)", annotations: ["dev.brume.handler": "/h.py"]), "path inside"),
            (deployment(image: "brume:bundle/\(digest)", annotations: ["dev.brume.contract": "lambda"]), "dev.brume.executable"),
            (
                deployment(
                    image: "brume:bundle/\(digest)", annotations: ["dev.brume.executable": "boot", "dev.brume.concurrency": "2"]),
                "one call at a time"
            ),
            (deployment(annotations: ["dev.brume.contract": "http", "dev.brume.port": "0"]), "dev.brume.port"),
            (deployment(annotations: ["dev.brume.contract": "http", "dev.brume.port": "x"]), "dev.brume.port"),
            (deployment(annotations: ["dev.brume.timeout": "soon"]), "dev.brume.timeout"),
            (deployment(annotations: ["dev.brume.timeout": "0"]), "timeout"),
            (deployment(annotations: ["dev.brume.timeout": "48h"]), "timeout"),
            (deployment(env: ["exec_timeout": "soon"]), "exec_timeout"), (deployment(env: ["max_inflight": "-1"]), "max_inflight"),
            (deployment(env: ["a=b": "1"]), "a=b"),
            (deployment(annotations: ["dev.brume.concurrency": "0"]), "dev.brume.concurrency"),
            (deployment(annotations: ["dev.brume.keep-alive": "-1s"]), "dev.brume.keep-alive"),
            (deployment(annotations: ["dev.brume.network": "bridge"]), "dev.brume.network"),
            (deployment(annotations: ["dev.brume.prewarm": "maybe"]), "dev.brume.prewarm"),
            (deployment(labels: ["com.openfaas.scale.min": "-1"]), "com.openfaas.scale.min"),
            (deployment(labels: ["com.openfaas.scale.max": "0"]), "com.openfaas.scale.max"),
            (deployment(labels: ["com.openfaas.scale.min": "5", "com.openfaas.scale.max": "2"]), "min"),
            (deployment(labels: ["com.openfaas.scale.zero": "yes"]), "com.openfaas.scale.zero"),
            (deployment(labels: ["com.openfaas.scale.zero-duration": "x"]), "com.openfaas.scale.zero-duration"),
            (deployment(limits: .init(cpu: "lots")), "limits"), (deployment(limits: .init(memory: "1")), "too small"),
            (deployment(limits: .init(memory: "12Xi")), "limits"), (deployment(requests: .init(cpu: "-1")), "requests"),
            (deployment(limits: .init(memory: "64Mi"), requests: .init(memory: "128Mi")), "requests"),
        ])
    func badValues(deployment: FunctionDeployment, word: String) throws {
        let error = try #require(throws: BrumeError.self) { try FunctionSpec(deployment) }
        #expect(error.code == .invalid)
        #expect(error.message.contains(word), "\(error.message)")
    }

    @Test(
        "a bad name or namespace is refused",
        arguments: [("", ""), ("a b", ""), ("-a", ""), ("f", "n/s"), (String(repeating: "a", count: 64), "")])
    func badNames(name: String, namespace: String) throws {
        let error = try #require(throws: BrumeError.self) {
            try FunctionSpec(FunctionDeployment(service: name, namespace: namespace, envProcess: "cat"))
        }
        #expect(error.code == .invalid)
    }

    @Test("a deployment's JSON is read as Go reads it: any case, unknown fields and nulls passed over, numbers taken as text")
    func tolerance() throws {
        let body = """
            {"Service":"f","image":null,"envprocess":"cat","unknown":[1,{}],"envVars":{"N":5,"B":true,"X":null},"labels":null,
             "readOnlyRootFilesystem":true,"limits":{"memory":"","cpu":"1"}}
            """
        let deployment = try FunctionDeployment(parsing: ByteBuffer(string: body))
        #expect(deployment.service == "f")
        #expect(deployment.envProcess == "cat")
        #expect(deployment.envVars == ["N": "5", "B": "true"])
        #expect(deployment.readOnlyRootFilesystem)
        #expect(deployment.limits == FunctionDeployment.Amounts(cpu: "1", memory: nil))
    }

    @Test(
        "a deployment that is not what it should be is refused with its place",
        arguments: [
            ("", "no body"), ("{", "JSON"), ("[]", "not an object"), ("{\"service\":\"f\",}", "line 1"), ("{\"image\":\"x\"}", "'service'"),
            ("{\"service\":\"f\",\"labels\":\"x\"}", "'labels'"), ("{\"service\":\"f\",\"labels\":{\"a\":[]}}", "'labels.a'"),
            ("{\"service\":\"f\",\"secrets\":{}}", "'secrets'"), ("{\"service\":\"f\",\"limits\":5}", "'limits'"),
            ("{\"service\":[],\"limits\":5}", "'service'"),
        ])
    func badJSON(body: String, word: String) throws {
        let error = try #require(throws: BrumeError.self) { try FunctionDeployment(parsing: ByteBuffer(string: body)) }
        #expect(error.code == .invalid)
        #expect(error.message.contains(word), "\(error.message)")
    }
}
