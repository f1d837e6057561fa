// SPDX-License-Identifier: Apache-2.0

import BrumeModel
import Foundation
import Testing

@testable import BrumeLink

@Suite("The bytes are those of protobuf")
struct InteroperabilityTests {
    /// What Google's library wrote: see `Oracles/vectors.py`.
    private func vectors() throws -> [String: [UInt8]] {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Oracles/vectors.txt")
        var vectors: [String: [UInt8]] = [:]
        for line in try String(contentsOf: file, encoding: .utf8).split(separator: "\n") {
            let parts = line.split(separator: " ", omittingEmptySubsequences: false)
            let bytes: [UInt8] = try #require(Hexadecimal.bytes(parts[1]))
            vectors[String(parts[0])] = bytes
        }
        return vectors
    }

    private func node() throws -> NodeID { try NodeID("0123456789abcdef0123456789abcdef") }

    private func packets() throws -> [String: Packet] {
        [
            "empty": Packet(),
            "greeting": Packet(control: [
                .greeting(
                    Greeting(
                        versionMin: 1, versionMax: 300, node: try node().description, instance: .max, connection: 1, succeeds: 1 << 40,
                        address: "[::1]:7", revocationsDigest: [1, 2, 3], signs: true))
            ]),
            "control": Packet(control: [
                .moved, .probe(7), .probed(1 << 63),
                .revocations([Revocation(node: try node(), at: 1_700_000_000, signature: Array(0..<64))]), .certificateRequest([0x30, 3]),
                .certificateReply(certificate: [9, 8], refusal: "no"), .goodbye("bye ü"),
            ]),
            "frames": Packet(
                frames: LinkKind.allCases.flatMap { kind in
                    [0, 1, 127, 128, 300].map {
                        FramePiece(kind: kind, payload: [UInt8](repeating: kind.rawValue, count: $0)[...], more: $0 > 1)
                    }
                }),
        ]
    }

    @Test("What we write is what Google's library writes, and we read what it wrote")
    func vectorsMatch() throws {
        let vectors = try vectors()
        for (name, packet) in try packets() {
            let bytes = try #require(vectors[name])
            #expect(packet.encoded == bytes, "\(name)")
            #expect(try Packet(decoding: bytes) == packet, "\(name)")
        }
        let request = EnrolRequest(tokenNumber: [1], tokenSecret: [2, 3], request: [4], address: "h:1")
        #expect(request.encoded == vectors["enrol-request"])
        #expect(try EnrolRequest(decoding: try #require(vectors["enrol-request"])) == request)
        let reply = EnrolReply(
            certificate: [1], members: [LinkMember(id: try node(), address: "a:1"), LinkMember(id: try node(), address: "")],
            revocations: [Revocation(node: try node(), at: -5, signature: [1, 2])])
        #expect(reply.encoded == vectors["enrol-reply"])
        #expect(try EnrolReply(decoding: try #require(vectors["enrol-reply"])) == reply)
        #expect(vectors.count == 6)
    }
}
