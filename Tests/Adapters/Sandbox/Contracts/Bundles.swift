// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Foundation
import Testing

@testable import BrumeSandbox

/// Tar archives that are built entry by entry, so that also those can be made that no tar program makes.
struct Bundle {
    private(set) var bytes = Data()

    init(_ files: [String: String] = [:]) {
        for name in files.keys.sorted() { add(name, files[name] ?? "") }
    }

    mutating func add(
        _ name: String, _ content: String = "", type: Character = "0", mode: Int = 0o644, link: String = "", size: Int? = nil
    ) {
        let content = Data(content.utf8)
        var header = [UInt8](repeating: 0, count: 512)
        func put(_ text: String, at offset: Int) { for (index, byte) in text.utf8.enumerated() { header[offset + index] = byte } }
        func octal(_ value: Int, _ width: Int) -> String {
            let digits = String(value, radix: 8)
            return String(repeating: "0", count: width - digits.count) + digits
        }
        put(String(name.prefix(100)), at: 0)
        put(octal(mode, 7), at: 100)
        put(octal(size ?? content.count, 11), at: 124)
        put("        ", at: 148)
        put(String(type), at: 156)
        put(link, at: 157)
        put("ustar", at: 257)
        put("00", at: 263)
        put(octal(header.reduce(0) { $0 + Int($1) }, 6) + "\0 ", at: 148)
        bytes += header
        bytes += content
        bytes += Data(count: (512 - content.count % 512) % 512)
    }

    /// Ends the archive and writes it; returns the path and an (invented) digest.
    func write(to directory: String) throws -> (path: String, digest: String) {
        let digits = (0..<8).map { _ in UInt32.random(in: 0...UInt32.max) }
        let digest = digits.map { String(repeating: "0", count: 8 - String($0, radix: 16).count) + String($0, radix: 16) }.joined()
        let path = "\(directory)/\(digest).tar"
        try (bytes + Data(count: 1024)).write(to: URL(fileURLWithPath: path))
        return (path, digest)
    }
}

/// A directory of code with a started replica of a bundle in it.
final class Deployment: Sendable {
    let root: String
    let channels: ContractChannels
    let spec: FunctionSpec

    init(
        _ contract: Contract, _ bundle: Bundle, concurrency: Int = 1, environment: [String: String] = [:],
        annotations: [String: String] = [:], install: [String: String] = [:],
        wallAhead: Duration = .zero, limits: (inout ContractLimits) -> Void = { _ in }
    ) async throws {
        root = try TestDirectory.make()
        var settings = Fixture.channels(root, limits: limits).settings
        settings.installEnvironment = install
        settings.wallTime = { $0 + wallAhead }
        channels = ContractChannels(settings)
        let (path, digest) = try bundle.write(to: root)
        spec = try Fixture.spec(
            contract, package: .bundle(digest: digest), concurrency: concurrency, environment: environment, annotations: annotations)
        try await channels.prepare(spec, bundle: path)
    }

    deinit { try? FileManager.default.removeItem(atPath: root) }

    var functionDirectory: String {
        guard case .bundle(let digest) = spec.package else { return "" }
        return CodeStore(root: root).function(digest)
    }

    func start() async throws -> PlainReplica {
        // The replica keeps the files that it was started from.
        try await PlainReplica(channels.makeChannel(for: spec, replica: ReplicaID(1)), keeping: self)
    }
}
