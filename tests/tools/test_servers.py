"""Configured servers and grants: what can be one, how they are kept, and which secrets may travel."""

from pathlib import Path
from typing import Any

import pytest

from app.errors import UsageError
from app.settings import Settings, document_of, settings_from
from app.settings_file import SettingsFile
from app.tools.servers import Grant, Permission, ToolServer, checked, fingerprint, with_grant

STDIO = ToolServer("files", "npx", ("-y", "server", "/home/me"), {"DEBUG": "1"}, secrets=("API_KEY",), is_on=False)
HTTP = ToolServer("web", url="https://tools.example.org/mcp", secrets=("Authorization",))
MARK = fingerprint("target", "read", "Reads.", "{}")


def test_servers_and_grants_survive_the_settings_file(tmp_path: Path) -> None:
    settings = Settings(
        tool_servers=(STDIO, HTTP),
        tool_grants=(Grant("files", "read", Permission.ALWAYS, MARK), Grant("files", "write", Permission.NEVER)),
    )
    file = SettingsFile(tmp_path / "settings.toml")
    file.change(lambda _: settings)
    assert file.load() == (settings, None)


@pytest.mark.parametrize(
    "entry",
    [
        "files",
        {"name": "files"},
        {"name": "files", "command": "npx", "url": "https://example.org"},
        {"name": "files", "command": ""},
        {"name": "files", "command": 3},
        {"name": "", "command": "npx"},
        {"name": "a\nb", "command": "npx"},
        {"name": "Slipstream", "command": "npx"},
        {"name": "files", "command": "npx", "args": "x"},
        {"name": "files", "command": "npx", "args": [1]},
        {"name": "files", "command": "npx", "args": ["a\0b"]},
        {"name": "files", "command": "npx", "args": ["x"] * 65},
        {"name": "files", "command": "npx", "env": {"A B": "1"}},
        {"name": "files", "command": "npx", "env": {"A": 1}},
        {"name": "files", "command": "npx", "is_on": 1},
        {"name": "files", "command": "npx", "more": 1},
        {"name": "web", "url": "ftp://example.org"},
        {"name": "web", "url": "https://"},
        {"name": "web", "url": "https://me:pw@example.org/"},
        {"name": "web", "url": "https://example.org:99999/"},
        {"name": "web", "url": "https://exam ple.org/"},
        {"name": "web", "url": "https://example.org/", "secrets": ["Author\r\nization"]},
    ],
)
def test_what_is_no_server_spoils_the_list_and_is_told(entry: Any) -> None:
    assert settings_from({"tool_servers": [entry]}) == (Settings(), ("tool_servers",))


@pytest.mark.parametrize(
    "entry",
    [
        {"server": "files", "tool": "read", "permission": "always"},
        {"server": "files", "tool": "read", "permission": "always", "fingerprint": "abc"},
        {"server": "files", "tool": "read", "permission": "sometimes"},
        {"server": "files", "tool": "", "permission": "never"},
        {"server": "fi\nles", "tool": "read", "permission": "never"},
    ],
)
def test_a_grant_that_does_not_say_for_what_is_none(entry: Any) -> None:
    assert settings_from({"tool_grants": [entry]}) == (Settings(), ("tool_grants",))


def test_two_servers_of_one_name_are_refused() -> None:
    servers = document_of(Settings(tool_servers=(STDIO, ToolServer("Files", "uvx"))))
    assert settings_from(servers) == (Settings(), ("tool_servers",))


@pytest.mark.parametrize(
    ("url", "may"), [("http://127.0.0.1:8000/mcp", True), ("http://localhost/", True), ("http://192.168.1.5/", False)]
)
def test_a_secret_goes_to_another_computer_over_https_alone(url: str, may: bool) -> None:
    checked(ToolServer("web", url=url))
    server = ToolServer("web", url=url, secrets=("Authorization",))
    if may:
        assert checked(server) == server
    else:
        with pytest.raises(UsageError, match="https"):
            checked(server)


def test_to_ask_again_takes_a_grant_back() -> None:
    grants = with_grant((), Grant("files", "read", Permission.NEVER))
    assert with_grant(grants, Grant("files", "read", Permission.ASK)) == ()


def test_a_grant_takes_the_place_of_the_one_before() -> None:
    grants = with_grant((), Grant("files", "read", Permission.NEVER))
    allowed = Grant("files", "read", Permission.ALWAYS, MARK)
    assert with_grant(grants, allowed) == (allowed,)
