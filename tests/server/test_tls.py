"""HTTPS on the port, and a sentence for each fault of its two files."""

import datetime
import socket
import ssl
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
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
from tests.patience import until
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
    """With half a greeting, or none; some of them go, whatever patience there is, and whoever knows TLS is answered."""
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
                half.sendall(HALF_GREETING if number % 2 else b"")
                halves.append(half)
            assert httpx.get(f"{url}/health", verify=trust).status_code == 200
            # 8 may stay, and the honest one took the place of another
            until(lambda: sum(map(is_over, halves)) >= 15, lambda: f"{sum(map(is_over, halves))} of 15 to go")
            with httpx.Client(verify=trust) as client:  # a request and its answer are larger than a piece of TLS
                large = {"messages": [{"role": "user", "content": "x" * 200_000}], "model": "nobody"}
                assert client.post(f"{url}/v1/chat/completions", json=large).status_code == 404
    finally:
        server.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have one loopback address")
def test_handshakes_of_one_address_that_never_end_leave_those_of_another(tmp_path: Path) -> None:
    """Who is slow and honest keeps its place, though it is the oldest."""
    certificate = make(tmp_path, "own")
    server = Server(OneEngine(), limits=Limits(header=300.0, handshakes=8))
    address = urlsplit(server.start("127.0.0.1", 0, certificate=certificate))
    try:
        with ExitStack() as stack:
            slow = Greeter(stack.enter_context(socket.create_connection((address.hostname, address.port), timeout=60)))
            slow.send(1)
            halves = []
            for _ in range(40):
                half = stack.enter_context(
                    socket.create_connection((address.hostname, address.port), 60, source_address=("127.0.0.2", 0))
                )
                half.sendall(HALF_GREETING)
                halves.append(half)
            until(lambda: sum(map(is_over, halves)) >= 33, lambda: f"{sum(map(is_over, halves))} of 33 to go")
            slow.send()
            assert b" 200 OK" in slow.asked("/health")
    finally:
        server.stop()


def test_a_greeting_in_pieces_is_one(tmp_path: Path) -> None:
    server = Server(OneEngine())
    address = urlsplit(server.start("localhost", 0, certificate=make(tmp_path, "own")))
    try:
        with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
            greeter = Greeter(connection)
            for size in (1, 4, 100, None):
                greeter.send(size)
            assert b" 200 OK" in greeter.asked("/health")
    finally:
        server.stop()


@pytest.mark.parametrize("body", [b"", b"x" * 500_000])
def test_a_plain_request_is_told_that_the_port_speaks_https(body: bytes, tmp_path: Path) -> None:
    server = Server(OneEngine())
    url = server.start("localhost", 0, certificate=make(tmp_path, "own"))
    try:
        plain = url.replace("https", "http")
        response = httpx.post(f"{plain}/v1/completions", content=body) if body else httpx.get(f"{plain}/health")
        assert response.status_code == 400
        assert response.json()["error"]["message"] == "This port speaks https: ask with https:// in place of http://."
        assert response.headers["connection"] == "close"
    finally:
        server.stop()


def test_what_is_neither_is_hung_up_on(tmp_path: Path) -> None:
    server = Server(OneEngine())
    address = urlsplit(server.start("localhost", 0, certificate=make(tmp_path, "own")))
    try:
        with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
            connection.sendall(b"\x00\x01\x02")
            with suppress(ConnectionResetError):
                assert connection.recv(1) == b""
    finally:
        server.stop()


HALF_GREETING = b"\x16\x03\x01\x02\x00\x01"


def is_over(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


class Greeter:
    """A client of TLS that sends its greeting as it is told to."""

    def __init__(self, connection: socket.socket):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self._connection = connection
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing)
        with suppress(ssl.SSLWantReadError):
            self._tls.do_handshake()

    def send(self, size: int | None = None) -> None:
        """So many bytes of it; None: the rest."""
        self._connection.sendall(self._outgoing.read() if size is None else self._outgoing.read(size))

    def asked(self, path: str) -> bytes:
        """The answer's beginning, when hands have been shaken."""
        self._done(self._tls.do_handshake)
        self._tls.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        self.send()
        return self._done(lambda: self._tls.read(1000))

    def _done(self, step: Callable[[], Any]) -> Any:
        while True:
            try:
                result = step()
                self.send()
                return result
            except ssl.SSLWantReadError:
                self.send()
                data = self._connection.recv(65536)
                assert data, "it has hung up"
                self._incoming.write(data)


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
