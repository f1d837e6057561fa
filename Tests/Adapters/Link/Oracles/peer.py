# SPDX-License-Identifier: Apache-2.0
"""Another implementation of link.proto: joins a cluster, opens a link and exchanges frames, on OpenSSL's TLS, h2 and Google's protobuf.

    python3 peer.py HOST:PORT TOKEN

The node it speaks with must send every frame of kind `call` back. Needs grpcio-tools, h2 and cryptography from PyPI.
"""
import base64, hashlib, importlib, pathlib, random, socket, ssl, struct, sys, tempfile, time

import h2.config, h2.connection, h2.events
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import NameOID
from grpc_tools import protoc

work = tempfile.TemporaryDirectory()
wire = pathlib.Path(__file__).resolve().parents[4] / "Sources/Adapters/Link/Wire"
assert protoc.main(["protoc", f"-I{wire}", f"--python_out={work.name}", str(wire / "link.proto")]) == 0
sys.path.insert(0, work.name)
link = importlib.import_module("link_pb2")


class Stream:
    """One gRPC call on a connection of its own."""

    def __init__(self, address, context, method):
        host, port = address.rsplit(":", 1)
        self.socket = context.wrap_socket(socket.create_connection((host, int(port)), timeout=10))
        assert self.socket.version() == "TLSv1.3" and self.socket.selected_alpn_protocol() == "h2"
        self.connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.connection.initiate_connection()
        self.stream = self.connection.get_next_available_stream_id()
        self.connection.send_headers(self.stream, [
            (":method", "POST"), (":scheme", "https"), (":path", f"/brume.link.v1.{method}"), (":authority", address),
            ("te", "trailers"), ("content-type", "application/grpc")])
        self.received, self.trailers = b"", {}
        self.flush()

    def flush(self):
        self.socket.sendall(self.connection.data_to_send())

    def send(self, message, end=False):
        body = message.SerializeToString()
        body = struct.pack(">BI", 0, len(body)) + body
        while body:
            room = min(self.connection.local_flow_control_window(self.stream), self.connection.max_outbound_frame_size)
            if room == 0:
                self.read()
                continue
            self.connection.send_data(self.stream, body[:room])
            body = body[room:]
            self.flush()
        if end:
            self.connection.end_stream(self.stream)
            self.flush()

    def read(self):
        data = self.socket.recv(1 << 16)
        if not data:
            raise EOFError(self.trailers)
        for event in self.connection.receive_data(data):
            if isinstance(event, h2.events.DataReceived):
                self.received += event.data
                self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.TrailersReceived):
                self.trailers = dict(event.headers)
        self.flush()

    def message(self, kind):
        while len(self.received) < 5 or len(self.received) < 5 + struct.unpack(">I", self.received[1:5])[0]:
            if self.trailers:
                raise EOFError(self.trailers)
            self.read()
        count = 5 + struct.unpack(">I", self.received[1:5])[0]
        body, self.received = self.received[5:count], self.received[count:]
        return kind.FromString(body)


def context():
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.set_alpn_protocols(["h2"])
    return made


def join(address, token):
    text = token.removeprefix("brume1.")
    parts = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    assert hashlib.sha256(parts[:72]).digest()[:4] == parts[72:]
    key = ed25519.Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    node = hashlib.sha256(public).digest()[:16].hex()
    request = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, node)])).sign(key, None)
    stranger = context()
    stranger.verify_mode = ssl.CERT_NONE
    call = Stream(address, stranger, "Enrolment/Enrol")
    chain = [bytes(one.public_bytes(2)) for one in call.socket._sslobj.get_unverified_chain()]
    authority = next(der for der in chain if hashlib.sha256(der).digest() == parts[:32])
    call.send(link.EnrolRequest(
        version=1, token_number=parts[32:40], token_secret=parts[40:72],
        request=request.public_bytes(serialization.Encoding.DER)), end=True)
    reply = call.message(link.EnrolReply)
    member = context()
    member.load_verify_locations(cadata=authority)
    pem = ssl.DER_cert_to_PEM_cert(reply.certificate).encode() + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = pathlib.Path(work.name) / "node.pem"
    file.write_bytes(pem)
    member.load_cert_chain(file)
    return node, member


def main(address, token):
    node, member = join(address, token)
    print("joined as", node)
    call = Stream(address, member, "Link/Open")
    greeting = link.Greeting(
        version_min=1, version_max=1, node=node, instance=random.getrandbits(63) + 1, connection=random.getrandbits(63) + 1)
    call.send(link.Packet(greeting=greeting))
    answer = call.message(link.Packet).greeting
    assert answer.connection == greeting.connection and answer.version_max == 1
    print("linked with", answer.node)
    frames = [b"", b"hello", bytes(random.getrandbits(8) for _ in range(200_000))]
    for frame in frames:
        # A long frame goes in pieces, with another kind between them.
        pieces = [frame[at:at + 50_000] for at in range(0, len(frame), 50_000)] or [b""]
        for place, piece in enumerate(pieces):
            call.send(link.Packet(frames=[link.Frame(kind=1, payload=piece, more=place + 1 < len(pieces)), link.Frame(kind=4)]))
        back, more = b"", True
        while more:
            packet = call.message(link.Packet)
            for piece in packet.frames:
                back, more = back + piece.payload, piece.more
        assert back == frame
        print("a frame of", len(frame), "bytes came back")
    call.send(link.Packet(probe=link.Probe(number=77)))
    assert call.message(link.Packet).probed.number == 77
    call.send(link.Packet(goodbye=link.Goodbye(reason="That was all.")), end=True)
    try:
        while True:
            call.read()
    except (EOFError, ConnectionError, ssl.SSLError):
        print("ended with", call.trailers)


main(sys.argv[1], sys.argv[2])
