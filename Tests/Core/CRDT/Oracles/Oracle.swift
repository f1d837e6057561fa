// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// Other people's CRDTs, in Python, installed once into a cache outside of the tree.
enum Oracle {
    /// Exact versions: what is compared must not change by itself.
    private static let packages = ["pycrdt==0.14.13", "loro==1.17.1", "crdts==0.0.4"]

    /// A step of a history, as the script reads it: a JSON array of mixed types.
    enum Step: Encodable {
        case insert(Int, Int, String)
        case remove(Int, Int, Int)
        case set(Int, String, String)
        case delete(Int, String)
        case add(Int, Int)
        case sync(to: Int, from: Int)

        func encode(to encoder: any Encoder) throws {
            var list = encoder.unkeyedContainer()
            switch self {
            case .insert(let replica, let position, let text):
                try list.encode("insert")
                try list.encode(replica)
                try list.encode(position)
                try list.encode(text)
            case .remove(let replica, let position, let length):
                try list.encode("remove")
                for number in [replica, position, length] { try list.encode(number) }
            case .set(let replica, let key, let value):
                try list.encode("set")
                try list.encode(replica)
                try list.encode(key)
                try list.encode(value)
            case .delete(let replica, let key):
                try list.encode("delete")
                try list.encode(replica)
                try list.encode(key)
            case .add(let replica, let amount):
                try list.encode("add")
                for number in [replica, amount] { try list.encode(number) }
            case .sync(let to, let from):
                try list.encode("sync")
                for number in [to, from] { try list.encode(number) }
            }
        }
    }

    struct History: Encodable {
        var replicas: Int
        var steps: [Step] = []
    }

    struct Request: Encodable {
        var texts: [History] = []
        var maps: [History] = []
        var counters: [History] = []
    }

    /// What one system showed for one history: after each sync the learning replica, and at the end all.
    struct Shown<Value: Decodable & Equatable & Sendable>: Decodable, Equatable {
        var shown: [Value]
        var end: [Value]
    }

    struct Reply: Decodable {
        var texts: [String: [Shown<String>]] = [:]
        var maps: [String: [Shown<[String: String]>]] = [:]
        var counters: [String: [Shown<Int>]] = [:]

        private struct Name: CodingKey {
            var stringValue: String
            var intValue: Int? { nil }
            init(stringValue: String) { self.stringValue = stringValue }
            init?(intValue: Int) { nil }
        }

        init(from decoder: any Decoder) throws {
            let systems = try decoder.container(keyedBy: Name.self)
            for name in systems.allKeys {
                switch name.stringValue.split(separator: " ").last {
                case "text", "array", "list": texts[name.stringValue] = try systems.decode([Shown<String>].self, forKey: name)
                case "map", "set": maps[name.stringValue] = try systems.decode([Shown<[String: String]>].self, forKey: name)
                default: counters[name.stringValue] = try systems.decode([Shown<Int>].self, forKey: name)
                }
            }
        }
    }

    /// Runs the script on histories.
    static func run(_ request: Request) throws -> Reply {
        let library = try installed()
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("differential.py")
        let reply = try python([script.path], library: library, input: JSONEncoder().encode(request))
        return try JSONDecoder().decode(Reply.self, from: reply)
    }

    /// Installs the packages unless they are there. Another run that does the same at the same time does no harm: the first rename wins.
    private static func installed() throws -> URL {
        let files = FileManager.default
        let caches = try files.url(for: .cachesDirectory, in: .userDomainMask, appropriateFor: nil, create: true)
        let name = packages.joined(separator: "_").replacingOccurrences(of: "==", with: "-")
        let library = caches.appendingPathComponent("brume-test-oracles").appendingPathComponent(name)
        guard !files.fileExists(atPath: library.path) else { return library }
        let fresh = library.appendingPathExtension("\(ProcessInfo.processInfo.processIdentifier)")
        defer { try? files.removeItem(at: fresh) }
        let arguments = ["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--target", fresh.path]
        _ = try python(arguments + packages, library: nil, input: Data())
        try? files.moveItem(at: fresh, to: library)
        try #require(files.fileExists(atPath: library.path), "the packages cannot be put into \(library.path)")
        return library
    }

    private static func python(_ arguments: [String], library: URL?, input: Data) throws -> Data {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
        process.arguments = arguments
        var environment = ProcessInfo.processInfo.environment
        environment["PYTHONPATH"] = library?.path
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        process.environment = environment
        // Files, not pipes: neither side can wait for the other.
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("brume-oracle-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let names = ["input", "output", "errors"].map { folder.appendingPathComponent($0) }
        try input.write(to: names[0])
        for name in names.dropFirst() { try Data().write(to: name) }
        process.standardInput = try FileHandle(forReadingFrom: names[0])
        process.standardOutput = try FileHandle(forWritingTo: names[1])
        process.standardError = try FileHandle(forWritingTo: names[2])
        try process.run()
        process.waitUntilExit()
        let errors = try String(decoding: Data(contentsOf: names[2]), as: UTF8.self)
        try #require(process.terminationStatus == 0, "python3 \(arguments.joined(separator: " ")) failed: \(errors)")
        return try Data(contentsOf: names[1])
    }
}
