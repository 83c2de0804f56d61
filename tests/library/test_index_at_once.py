"""Several processes use one index of headers: what one of them is making, no other reads, makes or sets aside."""

from pathlib import Path

import pytest

from app.library.facts import Facts
from app.library.found import Found
from app.library.index import Index
from app.library.origin import Origin
from app.whole_file import changing_file

FOUND = Found(Origin.FOLDER, "m", "/m.gguf", 1, 1, 1)


def index_at(path: Path) -> Index:
    return Index(path, lambda _: Facts(True, "m", "llama", 1, "Q4_K_M", 4096))


def test_what_another_has_open_stays_and_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.library.index.SECONDS", 0.05)
    path = tmp_path / "library.sqlite3"
    with changing_file(path):
        path.write_bytes(b"half of what it will be" * 100)
        index = index_at(path)
        assert index.get(FOUND) is None
        facts = index.read(FOUND)
        index.save()
    assert path.read_bytes() == b"half of what it will be" * 100
    assert list(tmp_path.glob("*.broken-*")) == []
    later = index_at(path)
    assert later.get(FOUND) is None
    later.read(FOUND)
    later.save()
    assert index_at(path).get(FOUND) == facts
