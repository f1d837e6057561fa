// SPDX-License-Identifier: Apache-2.0

import BrumeLink
import BrumeModel
import Metrics

/// What goes over a node's link. Names begin with `brume_link_`; flows carry the kind of frame as a label.
struct LinkMetrics: Sendable {
    private struct Flow: Sendable {
        let kind: LinkKind
        let sentFrames: Gauge
        let sentBytes: Gauge
        let receivedFrames: Gauge
        let receivedBytes: Gauge

        init(_ kind: LinkKind) {
            self.kind = kind
            let dimensions = [("kind", "\(kind)")]
            sentFrames = Gauge(label: "brume_link_frames_sent", dimensions: dimensions)
            sentBytes = Gauge(label: "brume_link_sent_bytes", dimensions: dimensions)
            receivedFrames = Gauge(label: "brume_link_frames_received", dimensions: dimensions)
            receivedBytes = Gauge(label: "brume_link_received_bytes", dimensions: dimensions)
        }
    }

    private let flows = LinkKind.allCases.map(Flow.init)
    private let lost = Gauge(label: "brume_link_frames_lost")
    private let queued = Gauge(label: "brume_link_queued_bytes")
    private let socketSent = Gauge(label: "brume_link_socket_sent_bytes")
    private let socketReceived = Gauge(label: "brume_link_socket_received_bytes")
    private let connections = Gauge(label: "brume_link_connections")
    private let peersUp = Gauge(label: "brume_link_peers_up")

    static let descriptions = [
        "brume_link_frames_sent": "Frames that left since the start, by kind.",
        "brume_link_sent_bytes": "Bytes of those frames.",
        "brume_link_frames_received": "Frames that came since the start, by kind.",
        "brume_link_received_bytes": "Bytes of those frames.",
        "brume_link_frames_lost": "Frames that were queued and never left, because a connection broke or a peer was forgotten.",
        "brume_link_queued_bytes": "Bytes that wait to be sent to all peers together.",
        "brume_link_socket_sent_bytes": "Bytes written to sockets since the start, TLS and HTTP/2 included.",
        "brume_link_socket_received_bytes": "Bytes read from sockets since the start, TLS and HTTP/2 included.",
        "brume_link_connections": "Connections that stood since the start.",
        "brume_link_peers_up": "Nodes that are connected.",
    ]

    /// Brings the figures up to date; call before they are rendered.
    func publish(_ statistics: LinkStatistics) {
        for flow in flows {
            flow.sentFrames.record(statistics.sent(flow.kind).frames)
            flow.sentBytes.record(statistics.sent(flow.kind).bytes)
            flow.receivedFrames.record(statistics.received(flow.kind).frames)
            flow.receivedBytes.record(statistics.received(flow.kind).bytes)
        }
        lost.record(statistics.lost)
        queued.record(statistics.queuedBytes)
        socketSent.record(statistics.socketBytesSent)
        socketReceived.record(statistics.socketBytesReceived)
        connections.record(statistics.connections)
        peersUp.record(statistics.peersUp)
    }

    /// The same for `brume state stats`.
    static func figures(_ statistics: LinkStatistics) -> [(name: String, value: Double)] {
        let sums: [(String, Int)] = [
            ("link-frames-sent", statistics.sent.reduce(0) { $0 + $1.frames }),
            ("link-frames-received", statistics.received.reduce(0) { $0 + $1.frames }),
            ("link-frames-lost", statistics.lost), ("link-queued-bytes", statistics.queuedBytes),
            ("link-socket-sent-bytes", statistics.socketBytesSent), ("link-socket-received-bytes", statistics.socketBytesReceived),
            ("link-connections", statistics.connections), ("link-peers-up", statistics.peersUp),
        ]
        return sums.map { ($0.0, Double($0.1)) }
    }
}
