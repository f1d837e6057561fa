// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// The linker of release builds (Scripts/link/lean) leaves out what nothing reaches, and nothing that a program can ask for as it runs.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct ReleaseLinkTests {
    /// Asks for conformances by casts, for types by their mangled names, for fields by reflection.
    private static let main = #"""
        let shapes: [Any] = [Square(side: 2), Circle(radius: 1), Named("x"), 7, "text"]
        for shape in shapes {
            if let area = shape as? any Area { print("area", area.area) }
            if let text = shape as? any CustomStringConvertible { print("says", text.description) }
            print(shape, Mirror(reflecting: shape).children.map { "\($0.label ?? "-")=\($0.value)" })
        }
        print(Box<Square>(Square(side: 3)).doubled(), Box<Circle>(Circle(radius: 2)).doubled(), type(of: Box(Square(side: 1))))
        print([Key(word: "a"): 1, Key(word: "b"): 2].sorted { $0.key.word < $1.key.word })
        print(\Square.side, Square(side: 5)[keyPath: \Square.side], Mood.allCases, Mood(rawValue: "glad") as Any)
        do { try fail() } catch { print(error, error is any Area, String(reflecting: error)) }
        var counter = 0
        let count = { counter += 1 }
        count()
        count()
        print(counter, opaque().area, (opaque() as Any) is Square, [1: "x"] as Any is [Int: String])
        await withTaskGroup(of: Int.self) { group in
            for number in 1...3 { group.addTask { await Worker().work(number) } }
            var sum = 0
            for await number in group { sum += number }
            print("sum", sum)
        }
        print(await Worker().state)
        """#

    private static let shapes = #"""
        public protocol Area { var area: Int { get } }
        public struct Square: Equatable { public var side: Int }
        public struct Circle { var radius: Int }
        public final class Named { let name: String; init(_ name: String) { self.name = name } }
        public struct Key: Hashable { var word: String }
        public enum Mood: String, CaseIterable { case glad, sad }
        public enum Trouble: Error { case deep(at: Int) }
        public func fail() throws { throw Trouble.deep(at: 3) }
        public func opaque() -> some Area { Square(side: 9) }
        public actor Worker {
            public enum State { case idle, done(Int) }
            public private(set) var state = State.idle
            public init() {}
            public func work(_ number: Int) async -> Int { await Task.yield(); state = .done(number); return number * number }
        }
        public struct Unreached { public var word: String }
        extension Unreached: Area { public var area: Int { print("nobody ever reads this sentence \(word)"); return 0 } }
        """#

    /// Conformances away from their types, as modules have them.
    private static let areas = #"""
        extension Square: Area { public var area: Int { side * side } }
        extension Circle: Area { public var area: Int { 3 * radius * radius } }
        extension Circle: CustomStringConvertible { public var description: String { "a circle of \(radius)" } }
        extension Int: Area { public var area: Int { self } }
        public class Base<Content> { var content: Content; init(_ content: Content) { self.content = content } }
        public final class Box<Content: Area>: Base<Content> { func doubled() -> Int { 2 * content.area } }
        extension Box: Area { public var area: Int { content.area } }
        """#

    /// Links the program and says what it prints, and whether a sentence of a type that nothing uses is in it.
    private static func build(_ name: String, in folder: String, _ more: [String] = []) async throws -> (said: String, hasUnused: Bool) {
        let flags = [
            "swiftc", "-O", "-wmo", "-num-threads", "2", "-Xfrontend", "-function-sections", "-static-stdlib", "-use-ld=lld",
            "-Xlinker", "--gc-sections", "-Xlinker", "--no-export-dynamic", "-module-name", "shapes", "-o", name,
        ]
        let built = try await NodeUnderTest.run(
            "/usr/bin/env", flags + more + ["main.swift", "shapes.swift", "areas.swift"], directory: folder)
        try #require(built.exitCode == 0, "\(built.complaint)\(built.output)")
        let ran = try await NodeUnderTest.run("\(folder)/\(name)", [])
        try #require(ran.exitCode == 0, "\(ran.complaint)")
        let program = try Data(contentsOf: URL(filePath: "\(folder)/\(name)"))
        return (ran.output, program.range(of: Data("nobody ever reads".utf8)) != nil)
    }

    @Test("a release program answers every cast and shows every field as before, without the types that nothing reaches")
    func links() async throws {
        try await withTemporaryDirectory { folder in
            for (name, text) in [("main", Self.main), ("shapes", Self.shapes), ("areas", Self.areas)] {
                try text.write(toFile: "\(folder)/\(name).swift", atomically: true, encoding: .utf8)
            }
            let compile = """
                linker=$(dirname "$(readlink -f "$(command -v swiftc)")")/ld.lld
                clang -std=gnu17 -O2 -Wall -Wextra -Werror -DLINKER="\\"$linker\\"" -o "$0" "$1"/Scripts/link/lean/*.c
                """
            let tool = "\(folder)/lean-ld"
            let compiled = try await NodeUnderTest.run("/bin/sh", ["-e", "-c", compile, tool, ExampleTests.root.path])
            try #require(compiled.exitCode == 0, "\(compiled.complaint)")

            let plain = try await Self.build("plain", in: folder)
            let lean = try await Self.build("lean", in: folder, ["-Xclang-linker", "--ld-path=\(tool)"])
            #expect(lean.said == plain.said)
            #expect(plain.said.contains("area 4\nSquare(side: 2) [\"side=2\"]\narea 3\nsays a circle of 1\n"), "\(plain.said)")
            #expect(plain.hasUnused)
            #expect(!lean.hasUnused)
        }
    }
}
