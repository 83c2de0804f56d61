"""What is private is for its owner's eyes alone, whatever the umask, and what earlier versions made is tightened."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.conversation import Role
from app.history_opening import open_history
from app.lab.card_store import CardStore
from app.library.checkpoint_folder import add_checkpoint
from app.library.store import ModelStore
from app.paths import Paths
from app.services import Services
from backends.ownership.folder import OwnedFolder
from tests.lab.cards import card
from tests.library import foreign

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no such modes there")


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.lstat().st_mode & 0o777 for path in sorted(folder.rglob("*"))}


def use(paths: Paths) -> None:
    """What a person does: settings, a chat, a card, a note on a model."""
    paths.ensure()
    foreign.gguf(paths.models / "org" / "repo" / "model.gguf")
    services = Services(paths)
    services.change_settings(lambda settings: replace(settings, api_key="secret"))
    chat = services.history.create("private")
    services.history.append(chat.id, Role.USER, "my secret")
    services.lab.cards.save(card())
    services.library.write_note(services.library.models()[0].id, "mine")
    for path in modes(paths.data):
        if path.startswith("slipstream.sqlite3-"):  # while the database is open
            assert (paths.data / path).stat().st_mode & 0o777 == 0o600
    services.close()


@pytest.mark.usefixtures("umask")
def test_a_new_home_is_private(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    use(Paths.below(home))
    found = modes(home)
    kept = {path: mode for path, mode in found.items() if not path.startswith("models")}
    assert {mode for path, mode in kept.items() if (home / path).is_dir()} == {0o700}
    assert {mode for path, mode in kept.items() if not (home / path).is_dir()} == {0o600}
    assert {"data/slipstream.sqlite3", "config/settings.toml", "data/library.json", "cache/library.sqlite3"} <= set(
        kept
    )
    assert any(path.startswith("data/cards/") for path in kept)
    assert home.stat().st_mode & 0o022 == 0, "nobody else may put folders of his in the place of ours"


def test_models_are_as_the_umask_says_but_never_writable_for_others(tmp_path: Path, umask: int) -> None:
    """They are large and public, and other programs read them."""
    paths = Paths.below(tmp_path / "home")
    use(paths)
    file = foreign.gguf(tmp_path / "in" / "model.gguf")
    ModelStore(paths.models).add(file, publisher="p", repo="r")
    kept = paths.models / "p" / "r" / "checkpoint"
    (tmp_path / "config.json").write_bytes(b"{}")
    add_checkpoint(paths.models, kept, [tmp_path / "config.json"])
    assert paths.models.stat().st_mode & 0o777 == 0o755 & ~umask
    found = {path: mode for path, mode in modes(paths.models).items() if path.startswith("p")}
    assert set(found) >= {"p/r/manifest.json", "p/r/model.gguf", "p/r/checkpoint/config.json"}
    for path, mode in found.items():
        assert mode == (0o755 if (paths.models / path).is_dir() else 0o644) & ~umask, path


def test_what_an_earlier_version_made_for_everybody_is_tightened(tmp_path: Path) -> None:
    paths = Paths.below(tmp_path)
    use(paths)
    history, _ = open_history(paths.database_file)
    chat = history.create("again")
    history.append(chat.id, Role.USER, "so that there is a journal")
    for path in tmp_path.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    paths.ensure()
    found = modes(tmp_path)
    history.close()
    private = {path: mode for path, mode in found.items() if not path.startswith(("models", "data/cards/", "logs"))}
    assert {mode for path, mode in private.items() if (tmp_path / path).is_dir()} == {0o700}
    assert {mode for path, mode in private.items() if "/" in path and "." in path} == {0o600}
    assert "data/slipstream.sqlite3-wal" in private


def test_folders_of_others_and_empty_ones_keep_their_mode(tmp_path: Path) -> None:
    """Their names are everybody's."""
    for name in ("logs", "data/models", "data/cache", "cache"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "logs" / "nginx.log").touch()
    (tmp_path / "cache" / "library.sqlite3").write_bytes(b"SQLite format 3\0 of another program")
    (tmp_path / "data" / "library.json").write_text('{"books": []}')
    for path in tmp_path.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    (tmp_path / "config").mkdir()
    (tmp_path / "config").chmod(0o1777)
    before = {name: (tmp_path / name).stat().st_mode for name in ("logs", "data", "cache", "config")}
    Paths.below(tmp_path).ensure()
    assert {name: (tmp_path / name).stat().st_mode for name in before} == before


def test_a_folder_with_a_marked_one_in_it_is_tightened(tmp_path: Path) -> None:
    paths = Paths.below(tmp_path)
    paths.ensure()
    OwnedFolder.claim(paths.prompt_cache, "prompts", lambda *_: False).close()
    paths.cache.chmod(0o755)
    paths.ensure()
    assert paths.cache.stat().st_mode & 0o777 == 0o700
    paths.prompt_cache.rename(paths.cache / "work-1")  # the mark names another folder
    paths.cache.chmod(0o755)
    paths.ensure()
    assert paths.cache.stat().st_mode & 0o777 == 0o755


def test_what_is_shared_on_purpose_or_lies_elsewhere_keeps_its_mode(tmp_path: Path) -> None:
    paths = Paths.below(tmp_path / "home")
    paths.ensure()
    disk = tmp_path / "other disk"
    disk.mkdir(mode=0o755)
    (disk / "chats").write_bytes(b"")
    (disk / "chats").chmod(0o644)
    paths.database_file.symlink_to(disk / "chats")
    paths.logs.rmdir()
    paths.logs.symlink_to(disk, target_is_directory=True)
    paths.config.chmod(0o755)
    (paths.config / "a person's").touch()
    history, sentence = open_history(paths.database_file)
    history.close()
    paths.ensure()
    assert sentence is None
    assert [path.stat().st_mode & 0o777 for path in (disk, disk / "chats", paths.config)] == [0o755, 0o644, 0o755]


@pytest.mark.usefixtures("umask")
def test_a_card_is_replaced_and_removed_as_before(tmp_path: Path) -> None:
    store = CardStore(tmp_path / "cards")
    store.save(card())
    store.save(card())
    assert set(modes(tmp_path).values()) == {0o700, 0o600}
    assert store.cards() == [card()]
    store.remove(card())
    store.remove(card())
    assert store.cards() == []
