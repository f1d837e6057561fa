// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import AsyncHTTPClient
import BrumeModel
import NIOCore
import NIOHTTP1
import SystemPackage

struct Invoke: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "invoke",
        abstract: "Call a function.",
        discussion: """
            The body comes from standard input, -d or --file; the reply's body goes to standard output unchanged. The exit code is 1 where \
            the reply's status is not 2xx.

            Examples:
              echo hello | brume invoke upper
              brume invoke hello -d '{}' -H 'Content-Type: application/json' -v
              brume invoke resize --file a.jpg --query width=200 > small.jpg
              brume invoke report --async --callback http://localhost:9000/
            """)

    @Argument(help: ArgumentHelp("Name of the function, or NAME.NAMESPACE.", valueName: "name"))
    var name: String

    @Option(name: .shortAndLong, help: ArgumentHelp("The body.", valueName: "text"))
    var data: String?

    @Option(help: ArgumentHelp("A file that is the body.", valueName: "file"), completion: .file())
    var file: String?

    @Option(
        name: [.customShort("H"), .long], parsing: .singleValue, help: ArgumentHelp("Header of the request.", valueName: "name: value"))
    var header: [String] = []

    @Option(help: ArgumentHelp("HTTP method. Default: POST.", valueName: "method"))
    var method = "POST"

    @Option(help: ArgumentHelp("Path after the function's name.", valueName: "/path"))
    var path: String?

    @Option(parsing: .singleValue, help: ArgumentHelp("Query parameter; give it several times for several.", valueName: "key=value"))
    var query: [String] = []

    @Flag(name: .customLong("async"), help: "Queue the call and print its id.")
    var isAsynchronous = false

    @Option(help: ArgumentHelp("Where the result of an --async call is sent.", valueName: "url"))
    var callback: String?

    @Flag(name: .shortAndLong, help: "Say on standard error where the time went.")
    var verbose = false

    @OptionGroup var place: NamespaceOption
    @OptionGroup(title: "Node") var node: NodeOptions

    func run() async throws {
        let id = try FunctionID.said(name, namespace: place.namespace)
        let headers = try requestHeaders()
        let url = try target(id)
        let input = try input()
        defer { input.close() }
        try await node.withClient { client in
            let started = ContinuousClock.now
            var settled: Result<Void, any Error>?
            let response = try await ProgressDisplay.during("Calling \(id.name)", quiet: node.quiet) { progress in
                defer { progress.finish() }
                return try await client.send(
                    HTTPMethod(rawValue: method.uppercased()), url, headers: headers, body: input.body(), within: NodeClient.callTimeout)
            }
            let reply = CallAnswer(response: response, function: id, isAsynchronous: isAsynchronous)
            do {
                try await reply.print(on: Console.standard)
                settled = .success(())
            } catch {
                settled = .failure(error)
            }
            if verbose { Console.standard.note(reply.timing(total: ContinuousClock.now - started)) }
            try settled?.get()
        }
    }

    private func target(_ id: FunctionID) throws(CommandFailure) -> String {
        if callback != nil, !isAsynchronous { throw .words("--callback is for calls that are queued; add --async.") }
        var url = (isAsynchronous ? "/async-function/" : "/function/") + id.callPath
        if let path {
            guard !path.contains("?"), !path.contains("#"), !path.contains(where: \.isWhitespace) else {
                throw .words("--path takes a path without '?', '#' and spaces; queries go into --query, spaces are written %20.")
            }
            url += path.hasPrefix("/") ? path : "/" + path
        }
        guard !query.isEmpty else { return url }
        let words = query.map { word in
            word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map { NodeClient.escape(String($0)) }.joined(
                separator: "=")
        }
        return url + "?" + words.joined(separator: "&")
    }

    private func requestHeaders() throws(CommandFailure) -> [HeaderField] {
        var fields: [HeaderField] = []
        for text in header {
            guard let colon = text.firstIndex(of: ":"), colon > text.startIndex else {
                throw .words("-H takes 'Name: value', not '\(text)'.")
            }
            let value = text[text.index(after: colon)...].drop { $0 == " " }
            guard !text.utf8.contains(where: { $0 < 0x20 }) else { throw .words("A header must not hold control characters.") }
            fields.append(HeaderField(String(text[..<colon]), String(value)))
        }
        if !fields.contains(where: { $0.name.lowercased() == "content-type" }) { fields.append(HeaderField("content-type", "text/plain")) }
        if let callback { fields.append(HeaderField("x-callback-url", callback)) }
        return fields
    }

    private func input() throws(CommandFailure) -> CallInput {
        if data != nil, file != nil { throw .words("-d and --file both say what the body is; give one of them.") }
        if let data { return .text(data) }
        if let file {
            do {
                let status = try Stat(FilePath(file))
                guard status.type == .regular else { throw CommandFailure.words("\(file) is not a file.") }
                return .file(try Descriptor.open(FilePath(file), .readOnly), bytes: status.size)
            } catch let failure as CommandFailure {
                throw failure
            } catch {
                throw .words("There is no file \(file) for the body, or it cannot be read (\(error)).")
            }
        }
        let method = method.uppercased()
        // GET and HEAD ask without a body; a terminal has nobody typing one.
        return Console.standard.inputIsTerminal || method == "GET" || method == "HEAD" ? .nothing : .standardInput
    }
}

/// Where the body of a call comes from.
private enum CallInput {
    case nothing
    case text(String)
    case file(Descriptor, bytes: Int64)
    case standardInput

    func body() async throws -> HTTPClientRequest.Body? {
        switch self {
        case .nothing: return nil
        case .text(let text): return .bytes(ByteBuffer(string: text))
        case .file(let descriptor, let bytes): return .stream(InputBytes(descriptor: descriptor), length: .known(bytes))
        case .standardInput: return try await InputBytes.body(of: .standardInput)
        }
    }

    func close() { if case .file(let descriptor, _) = self { try? descriptor.close() } }
}

/// The reply to a call: its body for standard output, its timing and its failure for standard error.
private struct CallAnswer {
    let response: HTTPClientResponse
    let function: FunctionID
    let isAsynchronous: Bool

    private func header(_ name: String) -> String? { response.headers.first(name: name) }
    private var isGood: Bool { (200...299).contains(response.status.code) }
    /// Whether the body is what the function wrote. Where a call failed before the function had answered, or without any replica, it is
    /// the platform's sentence and no output. A program that exited with an error, and a handler that raised one, have written theirs.
    private var isFromFunction: Bool {
        if let kind = header("x-brume-failure").flatMap(CallFailure.Kind.init(rawValue:)) {
            return kind == .exited || kind == .handlerError
        }
        return isGood || header("x-brume-replica")?.isEmpty == false
    }

    /// Writes the body as it comes.
    ///
    /// - Throws: `CommandFailure` where the status is not 2xx or the body broke off, `Errno` where nobody reads the output.
    func print(on console: Console) async throws {
        if isGood, isAsynchronous {
            _ = try? await response.body.collect(upTo: NodeClient.sentenceBytesMax)
            return try console.print(header("x-call-id") ?? "")
        }
        guard isGood || isFromFunction else {
            let body = try? await response.body.collect(upTo: NodeClient.documentBytesMax)
            throw CommandFailure.failed(NodeClient.sentence(from: body, status: response.status))
        }
        do {
            for try await chunk in response.body { try console.write(chunk) }
        } catch let error as Errno {
            throw error
        } catch {
            throw CommandFailure.failed("The reply of \(function.name) broke off: \(NodeClient.reason(error)).")
        }
        guard isGood else {
            let kind = header("x-brume-failure").map { " (\($0))" } ?? ""
            throw CommandFailure.failed("\(function.name) answered with status \(response.status.code)\(kind).")
        }
    }

    /// `200 in 12.3 ms: queued 0 ms, starting 8.1 ms, running 3.9 ms; cold, replica r12, call 4f2a`.
    func timing(total: Duration) -> String {
        let phases = [("queued", "x-brume-queued-ms"), ("starting", "x-brume-starting-ms"), ("running", "x-brume-running-ms")]
            .compactMap { word, name in header(name).flatMap(Double.init).map { "\(word) \(Wording.milliseconds($0))" } }
        var facts: [String] = []
        if let start = header("x-brume-start") { facts.append(start) }
        if let replica = header("x-brume-replica"), !replica.isEmpty { facts.append("replica \(replica)") }
        if let call = header("x-call-id") { facts.append("call \(call)") }
        return "\(response.status.code) in \(Wording.duration(total))" + (phases.isEmpty ? "" : ": " + phases.joined(separator: ", "))
            + (facts.isEmpty ? "" : "; " + facts.joined(separator: ", "))
    }
}
