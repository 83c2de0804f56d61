"""The port's keys: made, shown once, revoked, and good for nobody when their file is not."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.errors import UsageError
from app.server import Server
from app.server import keys as module
from app.server.keys import Keys
from app.server.scope import Scope
from tests.server.test_server import OneEngine


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config" / "keys.json"


def name_of(keys: Keys, shown: str) -> str | None:
    found = keys.find(shown.encode())
    return found and found.name


def test_a_key_is_kept_as_a_hash_that_its_owner_alone_can_read(path: Path) -> None:
    key = Keys(path).add("laptop")
    assert len(key) >= 43, "32 random bytes"
    assert key not in path.read_text()
    assert key.removeprefix(module.PREFIX) not in path.read_text()
    if sys.platform != "win32":
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_key_opens_until_it_is_revoked_by_any_process(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.0)
    here, elsewhere = Keys(path), Keys(path)
    assert not here.is_required
    key, other = elsewhere.add("laptop"), elsewhere.add("phone")
    assert here.is_required
    assert [name_of(here, each) for each in (key, other)] == ["laptop", "phone"]
    assert here.find(key[:-1].encode()) is here.find(b"") is here.find(b"\xff") is None
    elsewhere.revoke("laptop")
    assert here.find(key.encode()) is None
    elsewhere.revoke("phone")
    assert here.is_required, "whoever had the last one is locked out"
    elsewhere.require(False)
    assert not here.is_required


def test_when_it_was_used_last_is_kept(path: Path) -> None:
    keys = Keys(path)
    key = keys.add("laptop")
    assert [each.last_used for each in keys.all()] == [None]
    keys.find(key.encode())
    keys.write_uses()
    (kept,) = Keys(path).all()
    assert kept.last_used is not None
    assert kept.last_used >= kept.created


def test_a_key_may_use_models_and_manage_them_if_its_owner_says_so(path: Path) -> None:
    keys = Keys(path)
    keys.add("phone")
    keys.add("laptop", Scope.MANAGE)
    assert [key.scope for key in Keys(path).all()] == [Scope.USE, Scope.MANAGE]
    keys.allow("phone", Scope.MANAGE)
    keys.allow("laptop", Scope.USE)
    assert [key.scope for key in Keys(path).all()] == [Scope.MANAGE, Scope.USE]
    with pytest.raises(UsageError, match="There are “phone”, “laptop”"):
        keys.allow("nobody", Scope.USE)


def test_keys_from_before_there_were_scopes_keep_what_they_could(path: Path) -> None:
    keys = Keys(path)
    key = keys.add("old")
    document = json.loads(path.read_text())
    del document["keys"][0]["scope"]
    path.write_text(json.dumps(document | {"version": 1}))
    keys = Keys(path)
    found = keys.find(key.encode())
    assert found
    assert found.scope is Scope.MANAGE
    keys.add("new")
    assert [each.scope for each in Keys(path).all()] == [Scope.MANAGE, Scope.USE]


@pytest.mark.parametrize("scope", [{}, {"scope": "all"}, {"scope": None}])
def test_a_key_whose_scope_is_lost_opens_nothing(path: Path, scope: dict[str, Any]) -> None:
    key = Keys(path).add("phone")
    document = json.loads(path.read_text())
    del document["keys"][0]["scope"]
    document["keys"][0] |= scope
    path.write_text(json.dumps(document))
    assert Keys(path).find(key.encode()) is None
    assert Keys(path).is_required


@pytest.mark.parametrize("name", ["", " ", "x" * 65, "two\nlines", "Laptop"])
def test_names_that_cannot_be_told_apart_or_shown_are_refused(path: Path, name: str) -> None:
    keys = Keys(path)
    keys.add("laptop")
    with pytest.raises(UsageError):
        keys.add(name)


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[1]", b'{"keys": [{"name": 1}], "is_required": false}', b'{"keys": [], "is_required": 0}', b"\xff"],
)
def test_a_broken_file_lets_nobody_in_and_is_set_aside_by_the_next_key(path: Path, content: bytes) -> None:
    keys = Keys(path)
    key = keys.add("laptop")
    path.write_bytes(content)
    again = Keys(path)
    assert again.is_required
    assert again.find(key.encode()) is None
    new = again.add("laptop")
    assert name_of(again, new) == "laptop"
    assert path.with_name("keys.json.broken-1").read_bytes() == content


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes there")
def test_a_pipe_in_place_of_the_file_holds_up_nobody(path: Path) -> None:
    path.parent.mkdir()
    os.mkfifo(path)
    assert Keys(path).is_required


def test_an_open_port_knows_keys_that_are_made_and_revoked_meanwhile(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.0)
    keys = Keys(path)
    server = Server(OneEngine(), keys=keys)
    url = server.start(port=0, api_key="sk-given")
    try:
        with httpx.Client(base_url=url) as client:

            def status(**headers: Any) -> int:
                return client.get("/v1/models", headers=headers).status_code

            assert status() == 401
            assert status(authorization="Bearer sk-given") == 200
            key = Keys(path).add("other process")
            assert status(authorization=f"Bearer {key}") == status(**{"x-api-key": key}) == 200
            Keys(path).revoke("other process")
            assert status(authorization=f"Bearer {key}") == 401
            assert status(authorization="Bearer sk-given") == 200
    finally:
        server.stop()


def test_the_command_makes_lists_and_revokes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from app.command_line import execute

    monkeypatch.setenv("SLIPSTREAM_HOME", str(tmp_path))

    def keys(*arguments: str) -> Any:
        assert execute(["keys", "--json", *arguments]) == 0
        return json.loads(capsys.readouterr().out)

    assert keys() == {"is_required": False, "keys": []}
    made = keys("--add", "laptop")
    assert made["key"].startswith("sk-slip-")
    listed = keys()
    assert [key["name"] for key in listed["keys"]] == ["laptop"]
    assert listed["is_required"]
    assert "key" not in listed
    assert "digest" not in listed["keys"][0]
    assert listed["keys"][0]["scope"] == "use"
    assert keys("--change", "laptop", "--scope", "manage")["keys"][0]["scope"] == "manage"
    assert keys("--add", "phone", "--scope", "manage")["keys"][1]["scope"] == "manage"
    assert execute(["keys"]) == 0
    assert "laptop: may use and manage models" in capsys.readouterr().out
    for wrong in (["--change", "laptop"], ["--scope", "use"], ["--revoke", "laptop", "--scope", "use"]):
        assert execute(["keys", *wrong]) == 2
    keys("--revoke", "phone")
    assert keys("--revoke", "laptop")["keys"] == []
    assert not keys("--require", "off")["is_required"]
    assert execute(["keys", "--revoke", "nobody"]) == 2
