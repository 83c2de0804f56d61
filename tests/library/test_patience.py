"""How the library behaves on slow disks, beside its own folder, and on a system that gives no inodes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.library import documents, hf_cache
from app.library.documents import MAX_REMEMBERED, read_bytes
from app.library.found import Found
from app.library.places import Place
from app.library.scan import Folder, walk
from tests.library import foreign
from tests.library.conftest import Stage
from tests.library.gguf_bytes import model


def test_a_slow_walk_leaves_time_to_read_headers(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look would else end before the first header, and begin anew for ever."""
    foreign.gguf(stage.home / "f" / "a.gguf")
    stage.folders.append(str(stage.home / "f"))
    now, models = [0.0], Place.models

    def slow(place: Place) -> Iterator[Found]:
        now[0] += 10.0
        return models(place)

    monkeypatch.setattr(Place, "models", slow)
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    listing = stage.library.look(0.3)
    assert (len(listing.entries), listing.num_unread) == (1, 0)


def test_a_folder_around_the_library_lists_nothing_twice(stage: Stage) -> None:
    stage.library.store.add(foreign.gguf(stage.home / "in" / "own.gguf"), publisher="p", repo="own")
    foreign.gguf(stage.home / "beside.gguf")
    stage.folders.append(str(stage.home))
    assert stage.ids() == ["p/own", "beside"]


def test_removing_the_last_file_leaves_the_library_itself(stage: Stage) -> None:
    foreign.gguf(stage.models / "top.gguf")
    foreign.gguf(stage.models / "a" / "b" / "c" / "deep.gguf")
    stage.library.remove("top")
    stage.library.remove("a/b/c/deep")
    assert stage.models.is_dir()
    assert list(stage.models.iterdir()) == []


def test_snapshots_are_told_apart_where_a_listing_gives_no_inodes(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_inodes(root: str, max_depth: int) -> Iterator[Folder]:
        for folder in walk(root, max_depth):
            files = tuple(file._replace(inode=0) for file in folder.files)
            yield Folder(folder.path, folder.depth, files)

    monkeypatch.setattr(hf_cache, "walk", without_inodes)
    cache = stage.home / ".cache/huggingface/hub"
    foreign.hf_cache(cache, "a/b", {"one.gguf": model(), "two.gguf": model() + b"x"}, "c0ffee")
    foreign.hf_cache(cache, "a/b", {"one.gguf": model() + b"y"}, "decade")
    assert stage.ids() == ["a/b/one", "a/b/two"]


def test_large_documents_of_others_are_not_kept_in_memory(tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"{}")
    large.write_bytes(b" " * (MAX_REMEMBERED + 1))
    before = documents._content.cache_info().currsize
    for _ in range(2):
        assert len(read_bytes(str(small))) == 2
        assert len(read_bytes(str(large))) == MAX_REMEMBERED + 1
    assert documents._content.cache_info().currsize - before == 1
