// SPDX-License-Identifier: Apache-2.0

import Foundation

/// One text file of the repository.
struct SourceFile: Sendable {
    /// From the root of the repository, with `/` between the parts.
    let path: String
    let text: String
    let lines: [Substring]

    init(path: String, text: String) {
        self.path = path
        self.text = text
        self.lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    }

    var isSwift: Bool { path.hasSuffix(".swift") }
    var isMarkdown: Bool { path.hasSuffix(".md") }
    var name: Substring { path.split(separator: "/").last ?? "" }

    func isUnder(_ folders: [String]) -> Bool { folders.contains { path.hasPrefix($0 + "/") } }
}

/// The repository as it lies on the disk round this test.
struct Tree: Sendable {
    let files: [SourceFile]

    /// The root, found from this file's own place in the sources.
    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// Read once for all tests.
    static let here = Tree.read()

    /// What is generated or not ours, by the name of the folder.
    private static let skipped: Set<String> = [".build", ".git", "brume-data", "node_modules", "__pycache__", "site-packages"]

    /// File name endings of text that people write.
    private static let endings: Set<String> = [
        "swift", "c", "h", "py", "mjs", "js", "md", "sh", "yml", "yaml", "json", "txt", "html", "css", "toml",
    ]

    /// Text files that have no ending.
    private static let names: Set<String> = ["Makefile", "LICENSE", ".swift-format", ".gitignore"]

    private static func read() -> Tree {
        var files: [SourceFile] = []
        collect(root, prefix: "", into: &files)
        return Tree(files: files.sorted { $0.path < $1.path })
    }

    private static func collect(_ folder: URL, prefix: String, into files: inout [SourceFile]) {
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        for entry in entries where !skipped.contains(entry) && !entry.hasPrefix(".build") {
            let url = folder.appendingPathComponent(entry)
            let path = prefix + entry
            var isFolder: ObjCBool = false
            guard unsafe FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) else { continue }
            if isFolder.boolValue {
                collect(url, prefix: path + "/", into: &files)
            } else if isText(entry, path: path), let text = try? String(contentsOf: url, encoding: .utf8) {
                files.append(SourceFile(path: path, text: text))
            }
        }
    }

    private static func isText(_ name: String, path: String) -> Bool {
        if names.contains(name) || path.hasPrefix("Scripts/") || path.hasPrefix(".ci/") { return true }
        let parts = name.split(separator: ".")
        guard parts.count > 1, let ending = parts.last else { return false }
        return endings.contains(String(ending))
    }

    func file(_ path: String) -> SourceFile? { files.first { $0.path == path } }

    /// Whether a file or folder is there, also one that is not text.
    static func exists(_ path: String) -> Bool {
        FileManager.default.fileExists(atPath: root.appendingPathComponent(path).path)
    }
}
