// SPDX-License-Identifier: Apache-2.0

public import BrumeModel

/// What one frame of kind ``LinkKind/membership`` says, besides the news that ride on it.
struct MembershipMessage: Equatable {
    /// First byte of each frame. A frame of a later version is refused as a whole.
    static let version: UInt8 = 1
    /// Longest frame that is read: a part of a full list, with room.
    static let frameBytesMax = 128 << 10
    /// A full list is cut into frames of about this length.
    static let listBytesMax = 60 << 10
    /// Most records of one frame; the smallest takes some thirty bytes.
    static let recordsMax = 4_096

    enum Body: Equatable {
        /// Are you there? Answered by an ack of the same number.
        case ping(UInt64)
        case ack(UInt64)
        /// Ping the target for me.
        case pingRequest(UInt64, target: NodeID)
        /// I was asked to ping, and got no answer yet: but I am here.
        case nack(UInt64)
        /// News alone.
        case gossip
        /// A sum of my list; answered by a list if yours differs.
        case digest(UInt64)
        /// My list, or a part; `wantsReply` on the last part.
        case list(wantsReply: Bool)
        /// Please drain, or cease to.
        case ask(drain: Bool)

        var isList: Bool {
            if case .list = self { true } else { false }
        }
    }

    var body: Body
    /// Which process of the sender speaks.
    var session: UInt64
    var records: [MemberRecord]

    func encoded() -> [UInt8] {
        var writer = MembershipWriter()
        writer.byte(Self.version)
        switch body {
        case .ping(let number):
            writer.byte(1)
            writer.number(number)
        case .ack(let number):
            writer.byte(2)
            writer.number(number)
        case .pingRequest(let number, let target):
            writer.byte(3)
            writer.number(number)
            writer.node(target)
        case .nack(let number):
            writer.byte(4)
            writer.number(number)
        case .gossip: writer.byte(5)
        case .digest(let sum):
            writer.byte(6)
            writer.fixed(sum)
        case .list(let wantsReply):
            writer.byte(7)
            writer.byte(wantsReply ? 1 : 0)
        case .ask(let drain):
            writer.byte(8)
            writer.byte(drain ? 1 : 0)
        }
        writer.fixed(session)
        writer.number(UInt64(records.count))
        for record in records { record.encode(into: &writer) }
        return writer.bytes
    }

    init(_ body: Body, session: UInt64, records: [MemberRecord] = []) {
        self.body = body
        self.session = session
        self.records = records
    }

    /// Reads a frame from a peer that may be broken or hostile: throws for anything but what ``encoded()`` writes, allocates no more
    /// than a small multiple of the frame.
    init(decoding bytes: [UInt8]) throws(BrumeError) {
        guard bytes.count <= Self.frameBytesMax else { throw .frameTooLong }
        var reader = MembershipReader(bytes)
        let version = try reader.byte()
        guard version <= Self.version else { throw .frameNewer(version) }
        guard version == Self.version else { throw .frameMalformed("version") }
        body = try Self.body(&reader)
        session = try reader.fixed()
        let count = try reader.count("number of records", most: Self.recordsMax)
        records = []
        for _ in 0..<count { records.append(try MemberRecord(decoding: &reader)) }
        guard reader.left == 0 else { throw .frameMalformed("end") }
    }

    private static func body(_ reader: inout MembershipReader) throws(BrumeError) -> Body {
        switch try reader.byte() {
        case 1: return .ping(try reader.number())
        case 2: return .ack(try reader.number())
        case 3: return .pingRequest(try reader.number(), target: try reader.node())
        case 4: return .nack(try reader.number())
        case 5: return .gossip
        case 6: return .digest(try reader.fixed())
        case 7: return .list(wantsReply: try flag(&reader))
        case 8: return .ask(drain: try flag(&reader))
        default: throw .frameMalformed("kind")
        }
    }

    private static func flag(_ reader: inout MembershipReader) throws(BrumeError) -> Bool {
        let value = try reader.byte()
        guard value <= 1 else { throw .frameMalformed("flag") }
        return value == 1
    }
}

extension MemberRecord {
    private static let drainingBit: UInt8 = 0x08

    func encode(into writer: inout MembershipWriter) {
        writer.node(id)
        writer.byte(status.rawValue | (isDraining ? Self.drainingBit : 0))
        writer.number(incarnation)
        writer.fixed(session)
        writer.number(ageMilliseconds)
        writer.number(UInt64(accusers.count))
        for accuser in accusers { writer.node(accuser) }
        writer.text(meta.address)
        writer.text(meta.version)
        writer.number(UInt64(meta.labels.count))
        for label in meta.labels {
            writer.text(label.key)
            writer.text(label.value)
        }
        writer.number(UInt64(meta.pairs.count))
        for pair in meta.pairs {
            writer.text(pair.key)
            writer.number(UInt64(pair.value.count))
            writer.raw(pair.value)
        }
    }

    init(decoding reader: inout MembershipReader) throws(BrumeError) {
        let id = try reader.node()
        let bits = try reader.byte()
        guard let status = MemberStatus(rawValue: bits & 0x07), bits & 0xF0 == 0 else { throw .frameMalformed("status") }
        let incarnation = try reader.number()
        let session = try reader.fixed()
        let age = try reader.number()
        var accusers: [NodeID] = []
        for _ in 0..<(try reader.count("number of accusers", most: Self.accusersMax)) { accusers.append(try reader.node()) }
        let address = try reader.text("address")
        let version = try reader.text("version")
        var labels: [MemberMeta.Label] = []
        for _ in 0..<(try reader.count("number of labels", most: MemberMeta.pairsMax)) {
            labels.append(MemberMeta.Label(try reader.text("label"), try reader.text("label")))
        }
        var pairs: [MemberMeta.Pair] = []
        for _ in 0..<(try reader.count("number of pairs", most: MemberMeta.pairsMax)) {
            let key = try reader.text("pair")
            let length = try reader.count("pair", most: MemberMeta.bytesMax)
            pairs.append(MemberMeta.Pair(key, Array(try reader.raw(length))))
        }
        let meta: MemberMeta
        do {
            meta = try MemberMeta(address: address, version: version, labels: labels, pairs: pairs)
        } catch {
            throw .frameMalformed("description")
        }
        // An incarnation at the end of the range could never be contradicted.
        guard incarnation <= Self.incarnationMax else { throw .frameMalformed("incarnation") }
        self.init(
            id: id, status: status, incarnation: incarnation, session: session, ageMilliseconds: age,
            isDraining: bits & Self.drainingBit != 0, accusers: accusers, meta: meta)
    }

    /// Highest incarnation that is believed.
    static let incarnationMax = UInt64.max >> 1

    /// The record as bytes, for a store that keeps it over restarts.
    public func encoded() -> [UInt8] {
        var writer = MembershipWriter()
        writer.byte(MembershipMessage.version)
        encode(into: &writer)
        return writer.bytes
    }

    /// - Throws: `BrumeError` (`corrupt`) for anything that ``encoded()`` did not write.
    public init(decoding bytes: [UInt8]) throws(BrumeError) {
        do {
            var reader = MembershipReader(bytes)
            guard try reader.byte() == MembershipMessage.version else { throw BrumeError.frameMalformed("version") }
            try self.init(decoding: &reader)
            guard reader.left == 0 else { throw BrumeError.frameMalformed("end") }
        } catch {
            throw BrumeError(.corrupt, "The kept record of a node cannot be read; remove the file and join again.", cause: error)
        }
    }
}
