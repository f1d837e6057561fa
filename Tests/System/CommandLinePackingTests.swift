// SPDX-License-Identifier: Apache-2.0
import BrumeModel
import FoundationEssentials
import NIOCore
import Subprocess
import SystemPackage
import Testing

@testable import brume

@Suite("Packing")
struct CommandLinePackingTests {
    private static let toolOutputBytesMax = 1 << 20

    private func archive(of directory: String) throws -> ByteBuffer {
        var bundle = Bundle()
        try bundle.add(directory: directory)
        return try bundle.archive()
    }

    /// What the system's tar says about an archive: the judge of whether ours is one.
    private func tar(_ arguments: [String], _ archive: ByteBuffer) async throws -> String {
        let result = try await withInputFile(archive.readableBytesView) { descriptor in
            try await Subprocess.run(
                .name("tar"), arguments: Arguments(arguments), input: .fileDescriptor(descriptor, closeAfterSpawningProcess: false),
                output: .string(limit: Self.toolOutputBytesMax), error: .string(limit: Self.toolOutputBytesMax))
        }
        #expect(result.terminationStatus.isSuccess, "tar: \(result.standardError)")
        return result.standardOutput
    }

    @Test("the same files give the same bytes, whatever their times and the order in which they were written")
    func deterministic() async throws {
        try await withTemporaryDirectory { root in
            for (name, order) in [("one", ["b.txt", "a/z.py", "a/b.py", "é.txt"]), ("two", ["é.txt", "a/b.py", "a/z.py", "b.txt"])] {
                for file in order { try write("content of \(file)", to: "\(root)/\(name)/\(file)") }
                try FileManager.default.createSymbolicLink(atPath: "\(root)/\(name)/a/link", withDestinationPath: "../b.txt")
            }
            try FileManager.default.setAttributes(
                [.modificationDate: Date(timeIntervalSince1970: 86_400)], ofItemAtPath: "\(root)/two/b.txt")
            let one = try archive(of: "\(root)/one")
            #expect(one == (try archive(of: "\(root)/two")))
            try write("content of b.txt", to: "\(root)/two/b.txt", isExecutable: true)
            #expect(one != (try archive(of: "\(root)/two")), "the execute permission is content too")
            let listing = try await tar(["-tf", "-", "--quoting-style=literal"], one)
            #expect(listing == "a/\na/b.py\na/link\na/z.py\nb.txt\né.txt\n")
        }
    }

    @Test("the system's tar unpacks long names, links, empty files and permissions")
    func unpacks() async throws {
        try await withTemporaryDirectory { root in
            let deep = Array(repeating: "directory", count: 12).joined(separator: "/")
            let long = String(repeating: "n", count: 180)
            try write("deep", to: "\(root)/in/\(deep)/file")
            try write("long", to: "\(root)/in/\(long)")
            try write("", to: "\(root)/in/empty")
            try write("#!/bin/sh\n", to: "\(root)/in/run", isExecutable: true)
            try FileManager.default.createSymbolicLink(atPath: "\(root)/in/to-long", withDestinationPath: long)
            try FileManager.default.createDirectory(atPath: "\(root)/out", withIntermediateDirectories: true)
            _ = try await tar(["-xf", "-", "-C", "\(root)/out"], try archive(of: "\(root)/in"))
            func content(_ name: String) -> String? {
                FileManager.default.contents(atPath: "\(root)/out/\(name)").map { String(decoding: $0, as: UTF8.self) }
            }
            #expect(content("\(deep)/file") == "deep")
            #expect(content(long) == "long")
            #expect(content("to-long") == "long")
            #expect(content("empty") == "")
            #expect(FileManager.default.isExecutableFile(atPath: "\(root)/out/run"))
            #expect(try Stat(FilePath("\(root)/out/\(long)")).permissions == [.ownerReadWrite, .groupRead, .otherRead])
            let listing = try await tar(["-tvf", "-", "--numeric-owner", "--utc"], try archive(of: "\(root)/in"))
            #expect(listing.split(separator: "\n").allSatisfy { $0.contains(" 0/0 ") && $0.contains("1970-01-01 00:00") })
        }
    }

    @Test("what version control and interpreters leave behind stays out")
    func ignored() async throws {
        try await withTemporaryDirectory { root in
            for file in ["handler.py", ".git/HEAD", "__pycache__/x.pyc", "lib/__pycache__/y.pyc", "lib/y.py", ".env"] {
                try write("x", to: "\(root)/\(file)")
            }
            var bundle = Bundle()
            try bundle.add(directory: root)
            #expect(bundle.names == [".env", "handler.py", "lib", "lib/y.py"])
        }
    }

    @Test(
        "a link that leads out of the package is refused",
        arguments: [
            (target: "/etc/passwd", from: "a", inside: false), (target: "../x", from: "a", inside: false),
            (target: "../x", from: "d/a", inside: true), (target: "../../x", from: "d/a", inside: false),
            (target: "./b/../c", from: "a", inside: true), (target: "b/../../c", from: "a", inside: false),
        ])
    func links(target: String, from: String, inside: Bool) async throws {
        #expect(Bundle.staysInside(target, from: from) == inside)
        try await withTemporaryDirectory { root in
            let path = FilePath("\(root)/p").pushing(FilePath(from))
            try FileManager.default.createDirectory(atPath: path.removingLastComponent().string, withIntermediateDirectories: true)
            try FileManager.default.createSymbolicLink(atPath: path.string, withDestinationPath: target)
            var bundle = Bundle()
            if inside {
                try bundle.add(directory: "\(root)/p")
            } else {
                let failure = #expect(throws: CommandFailure.self) { try bundle.add(directory: "\(root)/p") }
                #expect(failure?.kind == .words)
                #expect(failure?.message.contains("leads out of the package") == true)
            }
        }
    }

    @Test("a package over the limit is refused before it is read")
    func tooLarge() async throws {
        try await withTemporaryDirectory { root in
            let path = "\(root)/big"
            try write("", to: path)
            let descriptor = try Descriptor.open(FilePath(path), .writeOnly)
            try descriptor.closeAfter { try descriptor.resize(to: Int64(Bundle.bytesMax) + 1) }
            var bundle = Bundle()
            let failure = #expect(throws: CommandFailure.self) { try bundle.add(directory: root) }
            #expect(failure?.kind == .words)
            #expect(failure?.message.contains("256.0 MiB") == true)
        }
    }

    // MARK: Plans

    private func plan(_ source: FunctionSource, directory: String? = nil) async throws -> DeploymentPlan {
        try await DeploymentPlan(FunctionSettings(id: .said("f", namespace: nil), source: source, directory: directory))
    }

    @Test("a handler takes the dependency list beside it along")
    func handler() async throws {
        try await withTemporaryDirectory { root in
            for file in ["hello.py", "requirements.txt", "other.py"] { try write("x = 1\n", to: "\(root)/\(file)") }
            let plan = try await plan(.handler(path: "\(root)/hello.py"))
            #expect(plan.packed == ["hello.py", "requirements.txt"])
            #expect(plan.deployment.annotations == ["dev.brume.contract": "handler", "dev.brume.handler": "hello.py"])
        }
    }

    @Test("a handler inside the directory that goes along is named by its place there")
    func handlerInDirectory() async throws {
        try await withTemporaryDirectory { root in
            for file in ["src/hello.mjs", "lib/a.mjs", "package.json"] { try write("1", to: "\(root)/\(file)") }
            let plan = try await plan(.handler(path: "\(root)/src/hello.mjs"), directory: root)
            #expect(plan.packed == ["lib", "lib/a.mjs", "package.json", "src", "src/hello.mjs"])
            #expect(plan.deployment.annotations?["dev.brume.handler"] == "src/hello.mjs")
        }
    }

    @Test("a program given by its path is packed, a command of the system is not")
    func command() async throws {
        try await withTemporaryDirectory { root in
            try write("#!/bin/sh\ncat\n", to: "\(root)/my prog", isExecutable: true)
            let local = try await plan(.command("'\(root)/my prog' -x 'a b'"))
            #expect(local.deployment.envProcess == "'/function/my prog' -x 'a b'")
            #expect(local.packed == ["my prog"])
            let system = try await plan(.command("/usr/bin/tr a-z A-Z"))
            #expect(system.deployment.envProcess == "/usr/bin/tr a-z A-Z")
            #expect(system.deployment.image == "brume:none")
            #expect(system.archive == nil)
        }
    }

    @Test("a Lambda package may be a program, a directory or a zip file")
    func lambda() async throws {
        try await withTemporaryDirectory { root in
            try write("#!/bin/sh\n", to: "\(root)/d/bootstrap")
            try write("1", to: "\(root)/d/data.json")
            try write("#!/bin/sh\n", to: "\(root)/prog", isExecutable: true)
            let program = try await plan(.lambda(path: "\(root)/prog"))
            #expect(program.packed == ["prog"])
            #expect(program.deployment.annotations == ["dev.brume.contract": "lambda", "dev.brume.executable": "prog"])
            let directory = try await plan(.lambda(path: "\(root)/d"))
            #expect(directory.packed == ["bootstrap", "data.json"])
            #expect(directory.deployment.annotations?["dev.brume.executable"] == "bootstrap")
            let zipped = try await Subprocess.run(
                .name("python3"), arguments: ["-m", "zipfile", "-c", "\(root)/f.zip", "\(root)/d/bootstrap", "\(root)/d/data.json"],
                output: .discarded)
            #expect(zipped.terminationStatus.isSuccess)
            let zip = try await plan(.lambda(path: "\(root)/f.zip"))
            #expect(zip.packed == directory.packed)
            #expect(zip.archive == directory.archive, "the same files, so the same archive")
        }
    }

    @Test(
        "a source that cannot be packed is a mistake in the words, and the sentence names it",
        arguments: [
            (FunctionSource.handler(path: "/nonexistent/h.py"), "There is no handler file /nonexistent/h.py."),
            (
                .handler(path: "/etc/passwd"),
                "The handler file /etc/passwd is neither Python nor Node; its name must end in .py, .js, .mjs or .cjs."
            ),
            (.command("./nonexistent -v"), "There is no program ./nonexistent."),
            (.http("/home/nonexistent/server"), "There is no program /home/nonexistent/server."),
            (.lambda(path: "/nonexistent/p"), "There is no Lambda program /nonexistent/p."),
            (.lambda(path: "/etc/passwd"), "The file /etc/passwd is not executable; make it so with: chmod +x /etc/passwd"),
            (.lambda(path: "/proc"), "/proc holds no program 'bootstrap', which the Lambda contract starts."),
        ])
    func badSource(source: FunctionSource, sentence: String) async throws {
        let failure = await #expect(throws: CommandFailure.self) { _ = try await plan(source) }
        #expect(failure == .words(sentence))
    }
}
