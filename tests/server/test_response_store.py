"""Responses on disk: bounded, for their owner alone, gone with delete."""

import json
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.server.auth import Authority, Pass
from app.server.core.client import OWNER, Client
from app.server.keys import Keys
from app.server.responses import store as store_module
from app.server.responses.items import as_items
from app.server.responses.store import MIGRATIONS, Bounds, Kept, ResponseStore, Unreadable
from app.server.scope import Scope
from app.whole_file import changing_file


def kept(id_: str, said: str = "Yes", previous: str | None = None, size: int = 0) -> Kept:
    content = [{"type": "output_text", "text": said, "annotations": []}]
    output = [{"id": f"msg_{id_}", "type": "message", "role": "assistant", "status": "completed", "content": content}]
    response: dict[str, Any] = {"id": id_, "output": output, "previous_response_id": previous}
    return Kept(as_items(f"{id_}?{'x' * size}"), response)


def add(store: ResponseStore, *responses: Kept) -> None:
    for each in responses:
        store.remember(each)
        store.save()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "responses.sqlite3"


def texts(items: Any) -> list[str]:
    return [item["content"][0]["text"] for item in items]


@pytest.mark.parametrize("is_on_disk", [False, True])
def test_a_conversation_is_found_from_its_end(file: Path, is_on_disk: bool) -> None:
    store = ResponseStore(file if is_on_disk else None)
    add(store, kept("a"), kept("b", "No", previous="a"))
    store.remember(kept("c", "Perhaps", previous="b"))  # not written yet
    assert texts(store.history("c")) == ["a?", "Yes", "b?", "No", "c?", "Perhaps"]
    item = store.item("msg_a")
    assert item is not None
    assert texts([item]) == ["Yes"]
    assert store.delete("a")
    assert store.history("c") is None
    assert store.item("msg_a") is None


def test_a_conversation_is_read_in_one_go(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each change of the file waits for the disk."""
    store = ResponseStore(file)
    add(store, kept("0"), *(kept(str(n), previous=str(n - 1)) for n in range(1, 9)))
    changed: list[Path] = []

    def counted(path: Path, patience: float) -> Any:
        changed.append(path)
        return changing_file(path, patience)

    monkeypatch.setattr(store_module, "changing_file", counted)
    assert len(store.history("8") or ()) == 18
    assert len(changed) == 1


def test_a_conversation_that_was_gone_on_from_stays_whole(file: Path) -> None:
    store = ResponseStore(file, Bounds(responses=3))
    add(store, kept("a"), kept("b", previous="a"), kept("c"))
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE responses SET used = used - 100")  # all of it was long ago
    assert store.history("b")
    add(store, kept("d"))
    assert [store.get(id_) is not None for id_ in "abcd"] == [True, True, False, True]


def test_another_process_finds_what_was_saved(file: Path) -> None:
    add(ResponseStore(file), kept("a"))
    assert ResponseStore(file).get("a") == kept("a") or texts(ResponseStore(file).history("a")) == ["a?", "Yes"]


def test_what_was_used_last_stays(file: Path) -> None:
    store = ResponseStore(file, Bounds(responses=2))
    add(store, kept("a"), kept("b"), kept("c"))
    assert [store.get(id_) is not None for id_ in "abc"] == [False, True, True]
    assert store.item("msg_a") is None
    few = ResponseStore(file, Bounds(bytes=1000))
    add(few, kept("d", size=500), kept("e", size=500))
    assert [few.get(id_) is not None for id_ in "bcde"] == [False, False, False, True]
    old = ResponseStore(file, Bounds(age=-1))
    add(old, kept("f"))
    assert old.get("f") is None


def test_what_is_deleted_is_in_the_file_no_more(file: Path) -> None:
    store = ResponseStore(file)
    add(store, kept("a", "a very private word"))
    assert b"a very private word" in file.read_bytes()
    assert store.delete("a")
    assert b"a very private word" not in file.read_bytes()
    assert not store.delete("a")


@pytest.mark.skipif(sys.platform == "win32", reason="rights are the folder's there")
def test_nobody_else_may_read_it(file: Path) -> None:
    add(ResponseStore(file), kept("a"))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_file_that_is_not_ours_is_set_aside(file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b"no database at all, but long enough to be looked at" * 20)
    store = ResponseStore(file)
    add(store, kept("a"))
    assert store.get("a")
    assert list(file.parent.glob("responses.sqlite3.broken-*"))


def test_where_the_disk_takes_nothing_it_is_remembered(file: Path) -> None:
    file.parent.mkdir()
    file.mkdir()
    store = ResponseStore(file)
    add(store, kept("a"), kept("b", previous="a"))
    assert texts(store.history("b")) == ["a?", "Yes", "b?", "Yes"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_what_cannot_be_deleted_is_said_and_not_a_fault_of_ours(file: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"")
    file.parent.mkdir()
    file.symlink_to(tmp_path / "elsewhere")  # it is not written through a link
    with pytest.raises(Unreadable):
        ResponseStore(file).delete("a")


def test_many_threads_lose_nothing(file: Path) -> None:
    store = ResponseStore(file)
    threads = [threading.Thread(target=add, args=(store, kept(f"r{n}"))) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(ResponseStore(file).get(f"r{n}") for n in range(8))


ROOT = Path(__file__).parents[2]
LAPTOP = Client("127.0.0.1", Pass("laptop", Scope.USE, "id of laptop"))
PHONE = Client("192.0.2.7", Pass("phone", Scope.USE, "id of phone"))


def owned(name: str | None, id_: str, size: int = 0) -> Kept:
    return replace(kept(id_, size=size), key_id=name and f"id of {name}")


@pytest.mark.parametrize("is_saved", [False, True])
def test_it_is_there_for_its_key_and_for_who_needs_none(file: Path, is_saved: bool) -> None:
    store = ResponseStore(file)
    for each in (owned("laptop", "a"), owned(None, "b")):
        store.remember(each)
    if is_saved:
        store.save()
    for client, seen in ((LAPTOP, {"a"}), (PHONE, set()), (OWNER, {"a", "b"})):
        assert {id_ for id_ in "ab" if store.get(id_, client)} == seen
        assert {id_ for id_ in "ab" if store.history(id_, client)} == seen
        assert {id_ for id_ in "ab" if store.item(f"msg_{id_}", client)} == seen
    assert not store.delete("a", PHONE)
    assert store.delete("a", LAPTOP)
    assert store.delete("b")


def test_no_key_crowds_out_what_another_has_kept(file: Path) -> None:
    store = ResponseStore(file, Bounds(responses=10))
    add(store, owned("phone", "first"), *(owned("laptop", f"l{n}") for n in range(20)))
    assert store.get("first")
    assert [store.get(f"l{n}") is not None for n in range(20)] == [False] * 11 + [True] * 9
    few = ResponseStore(file, Bounds(bytes=3000))
    add(few, *(owned("laptop", f"m{n}", size=500) for n in range(10)))
    assert few.get("first")
    assert few.get("m9")
    assert not few.get("m0")


def test_a_file_of_the_first_version_goes_on_and_is_its_owners(file: Path) -> None:
    file.parent.mkdir()
    with closing(sqlite3.connect(file)) as old, old:
        old.executescript(f"{MIGRATIONS[0]} PRAGMA user_version = 1;")
        made = kept("a")
        row = ("a", int(time.time()), 100, json.dumps(made.input), json.dumps(made.response))
        old.execute("INSERT INTO responses VALUES (?, ?, ?, ?, ?)", row)
    store = ResponseStore(file)
    add(store, owned("laptop", "b"))
    assert (store.get("a"), store.get("a", LAPTOP)) == (made, None)
    assert store.get("b", LAPTOP)
    assert not list(file.parent.glob("*.broken-*"))


def named(file: Path, **responses: tuple[str, float]) -> None:
    """A file of the second version, which has the names of keys: of each id its key's, and when it was answered."""
    file.parent.mkdir(parents=True)
    with closing(sqlite3.connect(file)) as old, old:
        old.executescript(f"{MIGRATIONS[0]} {MIGRATIONS[1]} PRAGMA user_version = 2;")
        for id_, (name, at) in responses.items():
            made = kept(id_)
            response = json.dumps(made.response | {"created_at": at})
            row = (id_, int(time.time()), 100, json.dumps(made.input), response, name)
            old.execute("INSERT INTO responses VALUES (?, ?, ?, ?, ?, ?)", row)


def test_what_was_kept_by_a_keys_name_goes_to_that_key_and_to_no_later_one_of_its_name(file: Path) -> None:
    keys = Keys(file.parent.parent / "keys.json")
    bob, ann = (Authority(keys).pass_of(keys.add(name).encode()) for name in ("bob", "ann"))
    assert bob
    now = time.time()
    named(file, a=("bob", now + 5), b=("bob", now - 5), c=("eve", now + 5), d=(bob.id, now + 5))
    store = ResponseStore(file, keys=keys)
    seen = {id_ for id_ in "abcd" if store.get(id_, Client("127.0.0.1", bob))}
    assert seen == {"a"}, "what was kept before it was made is another's, and a name is no id"
    assert not [id_ for id_ in "abcd" if store.get(id_, Client("127.0.0.1", ann))]
    assert all(store.get(id_) for id_ in "abcd"), "nothing is lost for who needs none"


def test_while_the_keys_cannot_be_read_nobody_loses_what_was_kept_by_name(file: Path) -> None:
    path = file.parent.parent / "keys.json"
    key = Keys(path).add("bob")
    bob = Authority(Keys(path)).pass_of(key.encode())
    named(file, a=("bob", time.time() + 5))
    sound = path.read_bytes()
    path.write_bytes(b"{")
    with pytest.raises(Unreadable):
        ResponseStore(file, keys=Keys(path)).get("a")
    path.write_bytes(sound)
    assert ResponseStore(file, keys=Keys(path)).get("a", Client("127.0.0.1", bob))


WRITER = """
import sys
from pathlib import Path
from tests.server.test_response_store import ResponseStore, add, owned
store = ResponseStore(Path(sys.argv[1]))
for number in range(10_000):
    add(store, owned("laptop", f"r{number}", size=50_000))
    print(number, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal there")
def test_a_death_in_a_write_leaves_what_was_saved_before_it(file: Path) -> None:
    """Wherever it comes: the response that was being written is there whole, or not at all."""
    for more in (1, 2, 4):
        told = -1
        command = [sys.executable, "-c", WRITER, str(file)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout
            while told < more:
                told = int(writer.stdout.readline())
            writer.kill()  # it is in the next one
            told = max([told, *map(int, writer.stdout)])
        store = ResponseStore(file)
        for number in range(told + 2):
            found, whole = store.get(f"r{number}", LAPTOP), owned("laptop", f"r{number}", size=50_000)
            assert found or number > told
            assert not found or (found.response, texts(found.input)) == (whole.response, texts(whole.input))
        assert not list(file.parent.glob("*.broken-*"))
        add(store, owned("phone", "after"))
        assert store.get("after")
