"""HTTPS on the port, and a sentence for each fault of its two files."""

import datetime
import socket
import ssl
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.errors import UsageError
from app.server import Server
from app.server.core.limits import Limits
from app.server.tls import Certificate, certificate_from
from tests.server.test_server import OneEngine

DAY = datetime.timedelta(days=1)


def make(folder: Path, name: str, first_day: int = -1, last_day: int = 1, password: bytes | None = None) -> Certificate:
    """One that signs itself, for localhost; good from and to these days from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now + first_day * DAY)
        .not_valid_after(now + last_day * DAY)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    hidden = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / f"{name}.crt").write_bytes(certificate.public_bytes(pem))
    (folder / f"{name}.key").write_bytes(key.private_bytes(pem, pkcs8, hidden))
    return Certificate(folder / f"{name}.crt", folder / f"{name}.key")


def test_a_client_that_trusts_the_certificate_speaks_https(tmp_path: Path) -> None:
    certificate = make(tmp_path, "own")
    server = Server(OneEngine())
    url = server.start("localhost", 0, certificate=certificate)
    try:
        assert url.startswith("https://localhost:")
        trust = ssl.create_default_context(cafile=str(certificate.chain))
        assert httpx.get(f"{url}/health", verify=trust).status_code == 200
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/health")
        with pytest.raises(httpx.HTTPError):
            httpx.get(url.replace("https", "http"))
        assert httpx.get(f"{url}/health", verify=trust, headers={"origin": url}).status_code == 200
    finally:
        server.stop()


def test_for_a_handshake_the_port_has_the_patience_that_it_has_for_a_header(tmp_path: Path) -> None:
    server = Server(OneEngine(), limits=Limits(header=0.3))
    address = urlsplit(server.start("localhost", 0, certificate=make(tmp_path, "own")))
    try:  # asyncio would wait a minute
        with socket.create_connection((address.hostname, address.port), timeout=40) as silent:
            assert silent.recv(1) == b""
    finally:
        server.stop()


def test_handshakes_that_never_end_take_nobodys_place(tmp_path: Path) -> None:
    """With half a greeting, or none; the oldest go, whatever patience there is, and whoever knows TLS is answered."""
    certificate = make(tmp_path, "own")
    server = Server(OneEngine(), limits=Limits(header=300.0, handshakes=8))
    url = server.start("localhost", 0, certificate=certificate)
    address = urlsplit(url)
    trust = ssl.create_default_context(cafile=str(certificate.chain))
    try:
        with ExitStack() as stack:
            halves = []
            for number in range(24):
                half = stack.enter_context(socket.create_connection((address.hostname, address.port), timeout=60))
                half.sendall(b"\x16\x03\x01\x02\x00\x01" if number % 2 else b"")
                halves.append(half)
            assert httpx.get(f"{url}/health", verify=trust).status_code == 200
            for half in halves[:15]:  # 8 may stay, and the honest one took the place of another
                with suppress(ConnectionResetError):
                    assert half.recv(1) == b""
            with httpx.Client(verify=trust) as client:  # a request and its answer are larger than a piece of TLS
                large = {"messages": [{"role": "user", "content": "x" * 200_000}], "model": "nobody"}
                assert client.post(f"{url}/v1/chat/completions", json=large).status_code == 404
    finally:
        server.stop()


def test_each_fault_has_its_sentence(tmp_path: Path) -> None:
    own, other = make(tmp_path, "own"), make(tmp_path, "other")
    (tmp_path / "text").write_text("hello")
    (tmp_path / "torn").write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    faults = {
        "cannot be read": Certificate(tmp_path / "missing", own.key),
        "folder": Certificate(tmp_path, own.key),
        "no certificate in PEM": Certificate(tmp_path / "text", own.key),
        "no private key in PEM": Certificate(own.chain, tmp_path / "text"),
        "another certificate": Certificate(own.chain, other.key),
        "not usable": Certificate(own.chain, tmp_path / "torn"),
        "has a password": make(tmp_path, "locked", password=b"secret"),
        "expired": make(tmp_path, "old", -2, -1),
        "not valid yet": make(tmp_path, "young", 1, 2),
    }
    for sentence, certificate in faults.items():
        with pytest.raises(UsageError, match=sentence):
            certificate.context()
    with pytest.raises(UsageError, match="both"):
        certificate_from("cert.pem", None)
