// SPDX-License-Identifier: Apache-2.0

import BrumeModel

/// The longest texts in messages: whoever sends more is no node of ours.
enum WireLimits {
    static let nodeBytesMax = 64
    static let addressBytesMax = 300
    static let reasonBytesMax = 1_000
    /// Longest message a server reads, from members and strangers alike: some packets as we write them.
    static let requestBytesMax = 256 << 10
    /// Longest message a client reads: the answer to joining holds every removal.
    static let answerBytesMax = 2 << 20
    /// Removals in one message between members: about 55 KB.
    static let revocationsMax = 500
    /// Longest packet of frames that is written: the time an urgent frame may have to wait for others before it.
    static let packetBytesWanted = 64 << 10
    /// Longest message of enrolment.
    static let enrolmentBytesMax = 64 << 10
    /// Versions of the protocol this build speaks.
    static let versionMin: UInt64 = 1
    static let versionMax: UInt64 = 1
}

/// The first words on a connection.
struct Greeting: Equatable {
    var versionMin = WireLimits.versionMin
    var versionMax = WireLimits.versionMax
    var node: String
    var instance: UInt64
    var connection: UInt64
    var succeeds: UInt64 = 0
    var address = ""
    var revocationsDigest: [UInt8] = []
    var signs = false
}

/// A piece of a frame.
struct FramePiece: Equatable {
    var kind: LinkKind
    var payload: ArraySlice<UInt8>
    var more: Bool
}

/// What two members say to each other beside frames.
enum ControlMessage: Equatable {
    case greeting(Greeting)
    case moved
    case probe(UInt64)
    case probed(UInt64)
    case revocations([Revocation])
    case certificateRequest([UInt8])
    case certificateReply(certificate: [UInt8], refusal: String)
    case goodbye(String)
    /// The cluster's key, for a node that shall sign as well.
    case authorityKey([UInt8])
    /// The sender signs from now on.
    case signs
}

/// One gRPC message of `Link/Open`.
struct Packet: Equatable {
    var control: [ControlMessage] = []
    var frames: [FramePiece] = []

    init(control: [ControlMessage] = [], frames: [FramePiece] = []) {
        self.control = control
        self.frames = frames
    }

    var encoded: [UInt8] {
        var writer = ProtobufWriter(reserving: frames.reduce(64) { $0 + $1.payload.count + 16 })
        for message in control { Self.write(message, to: &writer) }
        for frame in frames {
            // Written in place: a payload is copied once.
            let kind = UInt64(frame.kind.rawValue)
            let count = (kind == 0 ? 0 : 2) + Self.fieldBytes(frame.payload.count) + (frame.more ? 2 : 0)
            writer.header(2, count: count)
            writer.field(1, kind)
            writer.field(2, frame.payload)
            writer.field(3, frame.more)
        }
        return writer.bytes
    }

    private static func fieldBytes(_ count: Int) -> Int {
        guard count > 0 else { return 0 }
        return 1 + (64 - UInt64(count).leadingZeroBitCount + 6) / 7 + count
    }

    init(decoding bytes: [UInt8]) throws(BrumeError) {
        var reader = ProtobufReader(bytes[...])
        while let (number, value) = try reader.next() {
            switch number {
            case 1: control.append(.greeting(try Greeting(decoding: try value.bytes())))
            case 2: if let piece = try Self.piece(try value.bytes()) { frames.append(piece) }
            case 3:
                _ = try value.bytes()
                control.append(.moved)
            case 4: control.append(.probe(try Self.probe(try value.bytes())))
            case 5: control.append(.probed(try Self.probe(try value.bytes())))
            case 6: control.append(.revocations(try Self.revocations(try value.bytes())))
            case 7: control.append(.certificateRequest(try Self.field(1, of: try value.bytes())))
            case 8: control.append(try Self.certificateReply(try value.bytes()))
            case 9:
                let reason = try Self.field(1, of: try value.bytes())
                control.append(.goodbye(String(decoding: reason.prefix(WireLimits.reasonBytesMax), as: UTF8.self)))
            case 10: control.append(.authorityKey(try Self.field(1, of: try value.bytes())))
            case 11:
                _ = try value.bytes()
                control.append(.signs)
            default: break
            }
        }
    }

    private static func write(_ message: ControlMessage, to writer: inout ProtobufWriter) {
        switch message {
        case .greeting(let greeting): writer.message(1) { greeting.write(to: &$0) }
        case .moved: writer.message(3) { _ in }
        case .probe(let number): writer.message(4) { $0.fixed(1, number) }
        case .probed(let number): writer.message(5) { $0.fixed(1, number) }
        case .revocations(let entries): writer.message(6) { write(entries, to: &$0) }
        case .certificateRequest(let request): writer.message(7) { $0.field(1, request) }
        case .certificateReply(let certificate, let refusal):
            writer.message(8) {
                $0.field(1, certificate)
                $0.field(2, refusal)
            }
        case .goodbye(let reason): writer.message(9) { $0.field(1, reason) }
        case .authorityKey(let key): writer.message(10) { $0.field(1, key) }
        case .signs: writer.message(11) { _ in }
        }
    }

    static func write(_ entries: [Revocation], to writer: inout ProtobufWriter) {
        for entry in entries {
            writer.message(1) {
                $0.field(1, entry.node.description)
                $0.field(2, entry.at)
                $0.field(3, entry.signature)
            }
        }
    }

    /// Nil for a kind of a newer node: the protocol lets frames be lost, and who sends a new kind must cope.
    private static func piece(_ bytes: ArraySlice<UInt8>) throws(BrumeError) -> FramePiece? {
        var kind: UInt64 = 0
        var payload: ArraySlice<UInt8> = []
        var more = false
        var reader = ProtobufReader(bytes)
        while let (number, value) = try reader.next() {
            switch number {
            case 1: kind = try value.number()
            case 2: payload = try value.bytes()
            case 3: more = try value.number() != 0
            default: break
            }
        }
        guard let known = UInt8(exactly: kind).flatMap(LinkKind.init(rawValue:)) else { return nil }
        return FramePiece(kind: known, payload: payload, more: more)
    }

    private static func probe(_ bytes: ArraySlice<UInt8>) throws(BrumeError) -> UInt64 {
        var number: UInt64 = 0
        var reader = ProtobufReader(bytes)
        while let (field, value) = try reader.next() {
            if field == 1 { number = try value.number() }
        }
        return number
    }

    private static func certificateReply(_ bytes: ArraySlice<UInt8>) throws(BrumeError) -> ControlMessage {
        let certificate = try field(1, of: bytes)
        let refusal = try field(2, of: bytes)
        return .certificateReply(
            certificate: certificate, refusal: String(decoding: refusal.prefix(WireLimits.reasonBytesMax), as: UTF8.self))
    }

    private static func field(_ wanted: UInt64, of bytes: ArraySlice<UInt8>) throws(BrumeError) -> [UInt8] {
        var found: [UInt8] = []
        var reader = ProtobufReader(bytes)
        while let (number, value) = try reader.next() {
            if number == wanted { found = Array(try value.bytes()) }
        }
        return found
    }

    static func revocations(_ bytes: ArraySlice<UInt8>) throws(BrumeError) -> [Revocation] {
        var entries: [Revocation] = []
        var reader = ProtobufReader(bytes)
        while let (number, value) = try reader.next() {
            guard number == 1 else { continue }
            guard entries.count < Revocations.entriesMax else { throw BrumeError.wire("more removals than a cluster remembers") }
            var node = ""
            var at: UInt64 = 0
            var signature: [UInt8] = []
            var inner = ProtobufReader(try value.bytes())
            while let (number, value) = try inner.next() {
                switch number {
                case 1: node = try value.text(WireLimits.nodeBytesMax)
                case 2: at = try value.number()
                case 3: signature = Array(try value.bytes())
                default: break
                }
            }
            guard let id = try? NodeID(node) else { throw BrumeError.wire("a removal of no node") }
            entries.append(Revocation(node: id, at: Int64(bitPattern: at), signature: signature))
        }
        return entries
    }
}

extension Greeting {
    func write(to writer: inout ProtobufWriter) {
        writer.field(1, versionMin)
        writer.field(2, versionMax)
        writer.field(3, node)
        writer.fixed(4, instance)
        writer.fixed(5, connection)
        writer.fixed(6, succeeds)
        writer.field(7, address)
        writer.field(8, revocationsDigest)
        writer.field(9, signs)
    }

    init(decoding bytes: ArraySlice<UInt8>) throws(BrumeError) {
        self.init(versionMin: 0, versionMax: 0, node: "", instance: 0, connection: 0)
        var reader = ProtobufReader(bytes)
        while let (number, value) = try reader.next() {
            switch number {
            case 1: versionMin = try value.number()
            case 2: versionMax = try value.number()
            case 3: node = try value.text(WireLimits.nodeBytesMax)
            case 4: instance = try value.number()
            case 5: connection = try value.number()
            case 6: succeeds = try value.number()
            case 7: address = try value.text(WireLimits.addressBytesMax)
            case 8: revocationsDigest = Array(try value.bytes().prefix(32))
            case 9: signs = try value.number() != 0
            default: break
            }
        }
    }
}
