"""The same over TLS and through proxies."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from app.downloads import Patience, proxy
from app.errors import DownloadError
from tests.downloads.conftest import CONTENT, NAME, REPO, Place
from tests.downloads.tunnel import tunnel
from tests.hub.double import HubDouble, HubRepo, make_certificate

MB = 1_000_000
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def unknown(place: Place, certificate: Path) -> Iterator[Place]:
    """The place, with a double that speaks TLS with a certificate that nobody knows."""
    proxy._tls.cache_clear()
    with HubDouble([HubRepo(REPO, {NAME: CONTENT})], certificate=certificate) as double:
        yield replace(place, double=double)
    proxy._tls.cache_clear()


@pytest.fixture
def known(unknown: Place, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    return unknown


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize("fault", [{}, {"cut_after": MB, "times": 1}, {"chunked": True}, {"no_length": True}])
def test_a_file_comes_whole(fault: dict[str, int], known: Place) -> None:
    known.double.fail(on="/cdn/*", **fault)
    known.fetch()
    assert known.target.read_bytes() == CONTENT


def test_an_unknown_certificate_is_told_and_nothing_is_sent(unknown: Place) -> None:
    with pytest.raises(DownloadError, match=r"^The certificate of 127\.0\.0\.1 is not valid \(.*\), so nothing is"):
        unknown.fetch(unknown.source(token="hf_secret"))
    assert unknown.double.requests == []


def test_a_stop_in_a_stall(known: Place) -> None:
    known.double.fail(on="/cdn/*", stall_after=MB)
    known.pause_after(MB)
    known.double.faults.clear()
    known.fetch()
    assert known.double.downloads()[-1].headers["range"] == f"bytes={MB}-"


def test_a_way_out_of_tls_is_not_taken(known: Place, place: Place) -> None:
    known.double.fail(on="*/resolve/*", redirect_to=place.source().url)
    with pytest.raises(DownloadError, match=r"sends to 127\.0\.0\.1 without encryption, which is refused"):
        known.fetch()
    assert place.double.requests == []


def test_a_proxy_of_the_environment_carries_tls(known: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with tunnel() as server:
        monkeypatch.setenv("https_proxy", f"http://ann:p%40ss@127.0.0.1:{server.server_address[1]}")
        known.fetch()
    assert known.target.read_bytes() == CONTENT
    ports = [address.rpartition(":")[2] for address in (known.double.endpoint, known.double.cdn)]
    assert [head.split()[1] for head in server.heads] == [f"127.0.0.1:{port}" for port in ports]
    assert all("Proxy-Authorization: Basic YW5uOnBAc3M=" in head for head in server.heads)


def test_a_proxy_that_refuses_is_told(known: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with HubDouble() as refusing:
        refusing.fail(status=407)
        monkeypatch.setenv("https_proxy", refusing.endpoint)
        with pytest.raises(
            DownloadError, match=r"^The proxy does not let anything through to 127\.0\.0\.1 \(407 Proxy"
        ):
            known.fetch()
        monkeypatch.setenv("http_proxy", refusing.endpoint)
        source = known.source()
        with pytest.raises(DownloadError, match=r"^The proxy in front of hub\.invalid wants a user and a password"):
            known.fetch(replace(source, url="http://hub.invalid/model.gguf"))


def test_a_proxy_of_the_environment_carries_http(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", place.double.endpoint)  # the double answers to whole addresses as well
    source = place.source("config.json")
    place.fetch(replace(source, url=source.url.replace(place.double.endpoint, "http://hub.invalid")))
    assert place.names == ["config.json"]
    assert place.double.requests[0].headers["host"] == "hub.invalid"


def test_no_proxy_is_respected(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    place.fetch()
    assert place.target.read_bytes() == CONTENT


def test_a_proxy_of_another_kind_is_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:1080")
    with pytest.raises(DownloadError, match=r"^The proxy socks5://127\.0\.0\.1 is of a kind that downloads cannot use"):
        place.fetch()


def test_a_proxy_that_answers_nonsense_is_told_and_let_go(known: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    is_left = threading.Event()

    def answer(server: socket.socket) -> None:
        client, _ = server.accept()
        with client:
            client.sendall(b"nonsense\r\n\r\n")
            client.settimeout(5)
            with suppress(TimeoutError):
                while client.recv(1 << 16):
                    pass
                is_left.set()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer, args=(server,))
        thread.start()
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{server.getsockname()[1]}")
        with pytest.raises(DownloadError, match=r"the connection to 127\.0\.0\.1 broke") as told:
            known.fetch(patience=Patience(tries=1))
        thread.join()
    assert is_left.is_set(), told
