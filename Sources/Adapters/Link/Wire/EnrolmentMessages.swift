// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// What a node that joins asks.
struct EnrolRequest: Equatable {
    var version = WireLimits.versionMax
    var tokenNumber: [UInt8] = []
    var tokenSecret: [UInt8] = []
    var request: [UInt8] = []
    var address = ""

    var encoded: [UInt8] {
        var writer = ProtobufWriter()
        writer.field(1, version)
        writer.field(2, tokenNumber)
        writer.field(3, tokenSecret)
        writer.field(4, request)
        writer.field(5, address)
        return writer.bytes
    }
}

extension EnrolRequest {
    init(decoding bytes: [UInt8]) throws(BrumeError) {
        self.init(version: 0)
        var reader = ProtobufReader(bytes[...])
        while let (number, value) = try reader.next() {
            switch number {
            case 1: version = try value.number()
            case 2: tokenNumber = Array(try value.bytes())
            case 3: tokenSecret = Array(try value.bytes())
            case 4: request = Array(try value.bytes())
            case 5: address = try value.text(WireLimits.addressBytesMax)
            default: break
            }
        }
    }
}

/// What the cluster answers it.
struct EnrolReply: Equatable {
    /// Members told to a node that joins: enough to find all others by gossip.
    static let membersMax = 1_000

    var certificate: [UInt8] = []
    var members: [LinkMember] = []
    var revocations: [Revocation] = []

    var encoded: [UInt8] {
        var writer = ProtobufWriter()
        writer.field(1, certificate)
        for member in members.prefix(Self.membersMax) {
            writer.message(2) {
                $0.field(1, member.id.description)
                $0.field(2, member.address)
            }
        }
        if !revocations.isEmpty { writer.message(3) { Packet.write(revocations, to: &$0) } }
        return writer.bytes
    }
}

extension EnrolReply {
    init(decoding bytes: [UInt8]) throws(BrumeError) {
        self.init()
        var reader = ProtobufReader(bytes[...])
        while let (number, value) = try reader.next() {
            switch number {
            case 1: certificate = Array(try value.bytes())
            case 2: members.append(try Self.member(try value.bytes()))
            case 3: revocations = try Packet.revocations(try value.bytes())
            default: break
            }
            guard members.count <= Self.membersMax else { throw BrumeError.wire("more members than one answer holds") }
        }
    }

    private static func member(_ bytes: ArraySlice<UInt8>) throws(BrumeError) -> LinkMember {
        var node = ""
        var address = ""
        var reader = ProtobufReader(bytes)
        while let (number, value) = try reader.next() {
            switch number {
            case 1: node = try value.text(WireLimits.nodeBytesMax)
            case 2: address = try value.text(WireLimits.addressBytesMax)
            default: break
            }
        }
        guard let id = try? NodeID(node) else { throw BrumeError.wire("a member without an identity") }
        return LinkMember(id: id, address: address)
    }
}
