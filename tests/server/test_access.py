"""Names and pages that a person lets in, and what browsers are told of it."""

import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.access import Access, host_from, origin_from
from app.errors import UsageError
from app.paths import Paths
from app.server import Server
from app.server.auth import Authority
from app.server.cors import preflight
from app.services import Services
from tests.server.test_guard import verdict

KEYED = Authority(given="sk-x")
PAGE = "http://localhost:3000"


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("Desk.tailnet.ts.net.", "desk.tailnet.ts.net"),
        ("host.docker.internal", None),
        ("FE80::1", "[fe80::1]"),
        ("*", None),
    ],
)
def test_names_are_compared_as_browsers_send_them(text: str, host: str | None) -> None:
    assert host_from(text) == (host or text)


@pytest.mark.parametrize("text", ["", "http://desk", "desk:8642", "desk/x", "*.desk", "a b", "de\nsk", "-x", "x" * 300])
def test_what_is_no_name_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(UsageError, match="not a host name"):
        host_from(text)


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        (PAGE, None),
        ("HTTPS://Chat.example/", "https://chat.example"),
        ("https://chat.example:443", "https://chat.example"),
        ("app://obsidian.md", None),
        ("tauri://localhost", None),
        ("vscode-webview://*", None),
        ("http://[::1]:3000", None),
    ],
)
def test_origins_are_compared_as_browsers_send_them(text: str, origin: str | None) -> None:
    assert origin_from(text) == (origin or text)


@pytest.mark.parametrize(
    "text", ["*", "null", "", "localhost:3000", "http://*", "https://*:1", "http://x/y", "http://a b", "file:///"]
)
def test_all_pages_at_once_and_what_is_no_origin_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        origin_from(text)


def test_an_allowed_name_is_let_in_and_any_name_only_with_a_key() -> None:
    named, anyone = Access(("desk.ts.net",)), Access(("*",))
    assert verdict({"host": "desk.ts.net:8642"}, access=named)[0] == 200
    assert verdict({"host": "other.ts.net"}, access=named)[0] == 403
    assert verdict({"host": "evil.example"}, access=anyone)[0] == 403
    assert verdict({"host": "evil.example"}, access=anyone, authority=KEYED)[0] == 401
    shown = {"host": "evil.example", "authorization": "Bearer sk-x"}
    assert verdict(shown, access=anyone, authority=KEYED)[0] == 200


def test_a_named_page_reads_answers_and_refusals_and_no_other_does() -> None:
    access = Access(origins=(PAGE, "vscode-webview://*"))
    for origin in (PAGE, "vscode-webview://1f2e3d"):
        status, headers = verdict({"host": "localhost:8642", "origin": origin}, access=access)
        assert (status, headers["access-control-allow-origin"], headers["vary"]) == (200, origin, "Origin")
        status, headers = verdict({"host": "localhost:8642", "origin": origin}, access=access, authority=KEYED)
        assert (status, headers["access-control-allow-origin"]) == (401, origin)
        assert "access-control-allow-credentials" not in headers
    for origin in ("http://localhost:3001", "https://localhost:3000", "null", "http://vscode-webview", "file://x"):
        status, headers = verdict({"host": "localhost:8642", "origin": origin}, access=access)
        assert status == 403
        assert not [name for name in headers if name.startswith("access-control")]


def test_a_preflight_needs_no_key_and_allows_what_clients_send() -> None:
    asked = "authorization, content-type, x-stainless-os, anthropic-version, x-api-key, cookie, x-evil"
    headers = {
        "host": "localhost:8642",
        "origin": PAGE,
        "access-control-request-method": "POST",
        "access-control-request-headers": asked,
        "access-control-request-private-network": "true",
    }
    how: dict[str, Any] = {"method": "OPTIONS", "path": "/v1/chat/completions", "authority": KEYED}
    status, answer = verdict(headers, access=Access(origins=(PAGE,)), **how)
    assert status == 200
    assert answer["access-control-allow-origin"] == PAGE
    assert "POST" in answer["access-control-allow-methods"]
    assert answer["access-control-allow-headers"] == asked.removesuffix(", cookie, x-evil")
    assert answer["access-control-allow-private-network"] == "true"
    assert "access-control-allow-credentials" not in answer
    assert verdict(headers, **how)[0] == 403, "a page that nobody has named"


def test_the_names_of_a_preflights_headers_are_written_as_the_standard_does() -> None:
    asked = {"origin": PAGE, "access-control-request-method": "POST"}
    names = [name for name, _ in preflight(PAGE, asked).raw_headers]
    assert b"Access-Control-Allow-Origin" in names
    assert b"Access-Control-Allow-Methods" in names


def test_with_tls_its_own_page_is_one_of_https() -> None:
    own = {"host": "localhost:8642", "origin": "https://localhost:8642"}
    assert verdict(own, scheme="https")[0] == 200
    assert verdict(own)[0] == 403


def test_an_open_port_follows_the_settings(tmp_path: Path) -> None:
    services = Services(Paths.below(tmp_path))
    services.server = Server(services.directory)
    url = services.start_server(port=0)
    page = {"origin": PAGE}
    try:
        with httpx.Client(base_url=url) as client:
            assert client.get("/health", headers=page).status_code == 403
            services.change_settings(lambda s: replace(s, allow_origins=(PAGE,), allow_hosts=("desk",)))
            assert client.get("/health", headers=page).headers["access-control-allow-origin"] == PAGE
            assert client.get("/health", headers={"host": "desk:1"}).status_code == 200
            services.change_settings(lambda s: replace(s, allow_origins=()))
            assert client.get("/health", headers=page).status_code == 403
    finally:
        services.close()


def test_port_0_is_any_that_is_free_whatever_the_settings_say(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        services = Services(Paths.below(tmp_path))
        try:
            services.change_settings(lambda s: replace(s, port=taken.getsockname()[1]))
            assert httpx.get(f"{services.start_server(port=0)}/health").status_code == 200
        finally:
            services.close()
