# SPDX-License-Identifier: Apache-2.0
"""Writes vectors.txt: the messages of link.proto as Google's protobuf encodes them, one `name hexadecimal` a line.

Needs grpcio-tools from PyPI. Run it after every change of link.proto:  python3 vectors.py > vectors.txt
"""
import importlib, pathlib, sys, tempfile
from grpc_tools import protoc

root = pathlib.Path(__file__).resolve().parents[4]
proto = root / "Sources/Adapters/Link/Wire"
with tempfile.TemporaryDirectory() as out:
    if protoc.main(["protoc", f"-I{proto}", f"--python_out={out}", str(proto / "link.proto")]) != 0:
        sys.exit("link.proto does not compile")
    sys.path.insert(0, out)
    link = importlib.import_module("link_pb2")

node = "0123456789abcdef0123456789abcdef"
packets = {
    "empty": link.Packet(),
    "greeting": link.Packet(greeting=link.Greeting(
        version_min=1, version_max=300, node=node, instance=2**64 - 1, connection=1, succeeds=2**40, address="[::1]:7",
        revocations_digest=b"\x01\x02\x03", signs=True)),
    "control": link.Packet(
        moved=link.Moved(), probe=link.Probe(number=7), probed=link.Probe(number=2**63),
        revocations=link.Revocations(entries=[link.Revocation(node=node, at=1_700_000_000, signature=bytes(range(64)))]),
        certificate_request=link.CertificateRequest(request=b"\x30\x03"),
        certificate_reply=link.CertificateReply(certificate=b"\x09\x08", refusal="no"), goodbye=link.Goodbye(reason="bye ü")),
    "frames": link.Packet(frames=[
        link.Frame(kind=kind, payload=bytes([kind]) * count, more=count > 1)
        for kind in range(5) for count in (0, 1, 127, 128, 300)]),
    "enrol-request": link.EnrolRequest(
        version=1, token_number=b"\x01", token_secret=b"\x02\x03", request=b"\x04", address="h:1"),
    "enrol-reply": link.EnrolReply(
        certificate=b"\x01", members=[link.Member(node=node, address="a:1"), link.Member(node=node)],
        revocations=link.Revocations(entries=[link.Revocation(node=node, at=-5, signature=b"\x01\x02")])),
}
for name, message in packets.items():
    print(name, message.SerializeToString(deterministic=True).hex())
