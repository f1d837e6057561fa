// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Foundation
import Testing

@testable import BrumeSandbox

@Suite("Preparing a package")
struct PreparationTests {
    @Test(
        "Bundle attacks and damage are refused with the entry's name",
        arguments: [
            ("/etc/passwd", "0", "", "has an absolute path"),
            ("../up", "0", "", "leaves the bundle with '..'"),
            ("a/../../up", "0", "", "leaves the bundle with '..'"),
            ("null", "3", "", "is of type '3'; only files, directories and links are allowed"),
            ("disk", "4", "", "is of type '4'; only files, directories and links are allowed"),
            ("pipe", "6", "", "is of type '6'; only files, directories and links are allowed"),
            ("link", "2", "/etc/passwd", "is a link to the absolute path '/etc/passwd'"),
            ("link", "2", "../x", "is a link out of the bundle ('../x')"),
            ("a/link", "2", "b/../../x", "is a link out of the bundle ('b/../../x')"),
            ("a/link", "2", "../../x", "is a link out of the bundle ('../../x')"),
            ("hard", "1", "/etc/passwd", "has an absolute path"),
            ("hard", "1", "nothing", "is a hard link to 'nothing', which is not in the archive before it"),
        ])
    func attacks(_ name: String, _ type: Character, _ link: String, _ why: String) async throws {
        var bundle = Bundle(["handler.py": "def handle(req): return req"])
        bundle.add(name, type: type, link: link)
        let error = await #expect(throws: BrumeError.self) {
            _ = try await Deployment(.handler(language: .python, file: "handler.py"), bundle)
        }
        #expect(error?.code == .invalid)
        #expect(error?.message.contains(why) == true, "\(error?.message ?? "")")
    }

    @Test("A file written through a link of the same name stays inside")
    func linkThenFile() async throws {
        var bundle = Bundle(["handler.py": "def handle(req): return req"])
        bundle.add("d", type: "2", link: "sub")
        bundle.add("d/file", "x")
        await #expect(throws: BrumeError.self) {
            _ = try await Deployment(.handler(language: .python, file: "handler.py"), bundle)
        }
    }

    @Test("Size and number of entries are bounded")
    func bounds() async throws {
        let bundle = Bundle(["handler.py": "def handle(req): return req", "big": String(repeating: "x", count: 3 << 20)])
        let size = await #expect(throws: BrumeError.self) {
            _ = try await Deployment(.handler(language: .python, file: "handler.py"), bundle) { $0.bundleBytesMax = 2 << 20 }
        }
        #expect(size?.code == .tooLarge)
        let count = await #expect(throws: BrumeError.self) {
            _ = try await Deployment(.handler(language: .python, file: "handler.py"), bundle) { $0.bundleEntriesMax = 1 }
        }
        #expect(count?.code == .tooLarge)
    }

    @Test("Archives of the tar program unpack as they are", arguments: ["ustar", "gnu", "pax", "v7"])
    func realTar(_ format: String) async throws {
        let directory = try TestDirectory.make()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let long = String(repeating: "long", count: 22)
        let deep = format == "v7" ? "deep" : "deep/\(long)/\(long)"
        let script = """
            mkdir -p in/\(deep) && cd in && echo 'def handle(req): return req' > handler.py && echo deep > \(deep)/file && chmod 700 handler.py \
            && ln -s handler.py same.py && ln handler.py hard.py && ln -s ../handler.py deep/up.py && tar --format=\(format) -cf ../out.tar .
            """
        let shell = Process()
        shell.executableURL = URL(fileURLWithPath: "/bin/sh")
        shell.arguments = ["-c", script]
        shell.currentDirectoryURL = URL(fileURLWithPath: directory)
        try shell.run()
        shell.waitUntilExit()
        try #require(shell.terminationStatus == 0)
        let out = directory + "/unpacked"
        try FileManager.default.createDirectory(atPath: out, withIntermediateDirectories: true)
        try TarExtractor(bytesMax: 1 << 20, entriesMax: 100).extract(directory + "/out.tar", into: out)
        #expect(try String(contentsOfFile: "\(out)/\(deep)/file", encoding: .utf8) == "deep\n")
        #expect(try String(contentsOfFile: "\(out)/same.py", encoding: .utf8).contains("handle"))
        #expect(try String(contentsOfFile: "\(out)/deep/up.py", encoding: .utf8).contains("handle"))
        #expect(try String(contentsOfFile: "\(out)/hard.py", encoding: .utf8).contains("handle"))
        let mode = try FileManager.default.attributesOfItem(atPath: "\(out)/handler.py")[.posixPermissions] as? Int
        #expect(mode == 0o755)
    }

    @Test("What is no tar archive is said to be none", arguments: ["", "#!/bin/sh\n", String(repeating: "x", count: 5000)])
    func noTar(_ content: String) async throws {
        let directory = try TestDirectory.make()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try Data(content.utf8).write(to: URL(fileURLWithPath: directory + "/x.tar"))
        let error = #expect(throws: BrumeError.self) {
            try TarExtractor(bytesMax: 1 << 20, entriesMax: 100).extract(directory + "/x.tar", into: directory)
        }
        #expect(error?.code == .invalid)
    }

    @Test("A missing handler file is answered with what is there")
    func missingHandler() async throws {
        let error = await #expect(throws: BrumeError.self) {
            _ = try await Deployment(.handler(language: .python, file: "handler.py"), Bundle(["main.py": "", "util.py": ""]))
        }
        #expect(error?.code == .invalid)
        #expect(error?.message == "The package has no file 'handler.py'; it holds main.py, util.py. Name the right one with --handler.")
    }

    @Test(
        "A syntax error is told with file, line and code",
        arguments: [
            (
                Contract.Language.python, "handler.py", "x = 1\ndef handle(req:\n    pass\n",
                "handler.py, line 2: '(' was never closed: def handle(req:"
            ),
            (.node, "handler.js", "const a = 1;\nconst b = ;\n", "handler.js, line 2: SyntaxError: Unexpected token ';': const b = ;"),
        ])
    func syntax(_ language: Contract.Language, _ file: String, _ code: String, _ message: String) async throws {
        let error = await #expect(throws: BrumeError.self) {
            _ = try await Deployment(.handler(language: language, file: file), Bundle([file: code]))
        }
        #expect(error?.code == .invalid)
        #expect(error?.message == message)
    }

    @Test("Nothing of a refused package stays")
    func leavesNothing() async throws {
        let root = try TestDirectory.make()
        defer { try? FileManager.default.removeItem(atPath: root) }
        let (path, digest) = try Bundle(["handler.py": "def ("]).write(to: root)
        let spec = try Fixture.spec(.handler(language: .python, file: "handler.py"), package: .bundle(digest: digest))
        await #expect(throws: BrumeError.self) { try await Fixture.channels(root).prepare(spec, bundle: path) }
        #expect(try FileManager.default.contentsOfDirectory(atPath: root + "/stage").isEmpty)
        #expect(!FileManager.default.fileExists(atPath: CodeStore(root: root).function(digest)))
    }

    @Test("Preparing twice, and twice at once, is the same as once")
    func idempotent() async throws {
        let root = try TestDirectory.make()
        defer { try? FileManager.default.removeItem(atPath: root) }
        let (path, digest) = try Bundle(["handler.py": "def handle(req): return req"]).write(to: root)
        let spec = try Fixture.spec(.handler(language: .python, file: "handler.py"), package: .bundle(digest: digest))
        let channels = Fixture.channels(root)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<4 { group.addTask { try await channels.prepare(spec, bundle: path) } }
            try await group.waitForAll()
        }
        try await channels.prepare(spec, bundle: nil)
        let files = try FileManager.default.contentsOfDirectory(atPath: CodeStore(root: root).function(digest)).sorted()
        #expect(files == ["__pycache__", "handler.py"])
    }

    @Test("Python requirements are installed once and importable")
    func requirements() async throws {
        let wheels = try TestDirectory.make()
        defer { try? FileManager.default.removeItem(atPath: wheels) }
        try Self.makeWheel(in: wheels)
        let code = "import brumetestpackage\ndef handle(req):\n    return brumetestpackage.word"
        let bundle = Bundle(["handler.py": code, "requirements.txt": "# ours\nbrumetestpackage==1.0\n"])
        let deployment = try await Deployment(
            .handler(language: .python, file: "handler.py"), bundle, install: ["PIP_NO_INDEX": "1", "PIP_FIND_LINKS": wheels])
        #expect(try await deployment.start().call().text == "from the wheel")
        let packages = deployment.root + "/packages"
        let first = try FileManager.default.contentsOfDirectory(atPath: packages)
        #expect(first.count == 1)
        // The same list in other code needs no installer: there is none to find the package any more.
        let (path, digest) = try Bundle(["handler.py": code + "\n", "requirements.txt": "# ours\nbrumetestpackage==1.0\n"]).write(
            to: deployment.root)
        let other = try Fixture.spec(.handler(language: .python, file: "handler.py"), package: .bundle(digest: digest))
        try await Fixture.channels(deployment.root).prepare(other, bundle: path)
        #expect(try FileManager.default.contentsOfDirectory(atPath: packages) == first)
    }

    @Test("A requirement that does not exist is said")
    func unknownRequirement() async throws {
        let error = await #expect(throws: BrumeError.self) {
            _ = try await Deployment(
                .handler(language: .python, file: "handler.py"),
                Bundle(["handler.py": "def handle(req): return req", "requirements.txt": "brume-no-such-package\n"]),
                install: ["PIP_NO_INDEX": "1"])
        }
        #expect(error?.message.contains("brume-no-such-package") == true, "\(error?.message ?? "")")
    }

    /// A wheel is a zip file; Python itself makes it.
    private static func makeWheel(in directory: String) throws {
        let program = """
            import zipfile, sys
            with zipfile.ZipFile(sys.argv[1] + '/brumetestpackage-1.0-py3-none-any.whl', 'w') as z:
                z.writestr('brumetestpackage.py', 'word = "from the wheel"')
                d = 'brumetestpackage-1.0.dist-info/'
                z.writestr(d + 'METADATA', 'Metadata-Version: 2.1\\nName: brumetestpackage\\nVersion: 1.0\\n')
                z.writestr(d + 'WHEEL', 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
                z.writestr(d + 'RECORD', '')
            """
        let python = Process()
        python.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
        python.arguments = ["-c", program, directory]
        try python.run()
        python.waitUntilExit()
        try #require(python.terminationStatus == 0)
    }
}
