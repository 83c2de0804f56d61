"""One library over everything on the disk: it finds what others have installed, and changes nothing there."""

import os
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from app.errors import ModelFileError, UnknownModelError
from app.library.gguf import read_model
from app.library.origin import Origin
from app.library.remarks import Check, Hash
from tests.library import foreign
from tests.library.conftest import Stage
from tests.library.gguf_bytes import model

NUM_MANY = 5000


@pytest.fixture
def full(stage: Stage) -> Stage:
    """One model, or two, of everybody."""
    home = stage.home
    stage.library.store.add(foreign.gguf(home / "in" / "own.gguf"), publisher="p", repo="own")
    foreign.gguf(home / ".lmstudio" / "models" / "org" / "repo" / "lm-Q4_K_M.gguf")
    foreign.projector(home / ".lmstudio" / "models" / "org" / "repo" / "mmproj-lm.gguf")
    foreign.gguf(home / ".lmstudio" / "models" / "org" / "repo" / "lora.gguf", **{"general.type": "adapter"})
    foreign.ollama(home / ".ollama" / "models", "llama3:8b", template="{{ .Prompt }}", params='{"stop": ["x"]}')
    jan_file = foreign.gguf(home / ".local/share/Jan/data/llamacpp/models/tiny/model.gguf")
    foreign.jan(home / ".local/share/Jan/data", "tiny", jan_file)
    foreign.hf_cache(
        home / ".cache/huggingface/hub",
        "acme/small",
        {"small-F16.gguf": model(), "config.json": b'{"model_type": "llama"}', "model.safetensors": b"x" * 99},
    )
    foreign.gguf(home / "own folder" / "a" / "b" / "deep.gguf")
    stage.folders.append(str(home / "own folder"))
    return stage


def test_everybodys_models_are_listed(full: Stage) -> None:
    entries = {entry.id: entry for entry in full.library.models()}
    assert list(entries) == [
        "p/own",
        "org/repo/lm-Q4_K_M",
        "org/repo/lora",
        "llama3:8b",
        "tiny",
        "acme/small",
        "acme/small/small-F16",
        "a/b/deep",
    ]
    assert [entry.origin for entry in entries.values()] == [
        Origin.MANAGED,
        Origin.LM_STUDIO,
        Origin.LM_STUDIO,
        Origin.OLLAMA,
        Origin.JAN,
        Origin.HF_CACHE,
        Origin.HF_CACHE,
        Origin.FOLDER,
    ]
    assert [entry.id for entry in entries.values() if entry.problem] == ["org/repo/lora"]
    assert [entry.id for entry in entries.values() if not entry.is_offered] == ["org/repo/lora", "acme/small"]
    assert entries["org/repo/lm-Q4_K_M"].mmproj is not None
    assert entries["tiny"].name == "Tiny"
    assert entries["acme/small"].is_checkpoint
    assert entries["acme/small"].architecture == "llama"
    assert entries["acme/small/small-F16"].source == "acme/small@c0ffee"
    ollama = entries["llama3:8b"]
    assert (ollama.name, ollama.details[0]) == ("llama3:8b", ("Template", "{{ .Prompt }}"))
    assert ollama.sha256 == ollama.path.name.removeprefix("sha256-")


def test_nothing_is_written_to_what_belongs_to_others(full: Stage) -> None:
    folders = [full.home / name for name in (".lmstudio", ".ollama", ".local", ".cache/huggingface", "own folder")]
    before = foreign.everything_below(*folders)
    for entry in full.library.models():
        full.library.write_note(entry.id, "a note")
        full.library.rename(entry.id, f"{entry.name} of mine")
        if entry.origin is not Origin.MANAGED:
            with pytest.raises(ModelFileError, match="is only read here"):
                full.library.remove(entry.id)
    full.library.duplicates()
    assert foreign.everything_below(*folders) == before
    assert all(entry.note == "a note" for entry in full.new_library().models())


def test_a_warm_list_opens_no_file(full: Stage, opened: Callable[[], list[str]]) -> None:
    first = full.library.models()
    assert len(full.read) == 8  # adapter and image part as well; the installed one's figures are in its manifest
    full.library = full.new_library()
    full.library.models()
    opened()
    again = full.library.models()
    assert again == first
    assert [name for name in opened() if str(full.home) in name] == []
    assert len(full.read) == 8


def test_what_changes_behind_our_back_is_noticed(full: Stage) -> None:
    full.library.models()
    full.read.clear()
    deep = full.home / "own folder" / "a" / "b" / "deep.gguf"
    foreign.gguf(deep, "another one", **{"llama.context_length": 77})
    new = foreign.gguf(full.home / "own folder" / "new.gguf")
    (full.home / ".lmstudio/models/org/repo/lm-Q4_K_M.gguf").unlink()
    entries = {entry.id: entry for entry in full.library.models()}
    assert sorted(full.read) == sorted([str(deep), str(new)])
    assert entries["a/b/deep"].context == 77
    assert "new" in entries
    assert "org/repo/lm-Q4_K_M" not in entries


def test_five_thousand_models_cost_stat_calls_only(stage: Stage, opened: Callable[[], list[str]]) -> None:
    raw = model(settings=foreign.SMALL)
    for number in range(NUM_MANY):
        folder = stage.home / "many" / f"org{number // 500}" / f"repo{number // 25}"
        if number % 25 == 0:
            folder.mkdir(parents=True)
        (folder / f"model-{number}.gguf").write_bytes(raw)
    stage.folders.append(str(stage.home / "many"))
    assert len(stage.library.models()) == NUM_MANY
    assert len(stage.read) == NUM_MANY
    stage.library = stage.new_library()
    opened()
    assert len(stage.library.models()) == NUM_MANY
    assert [name for name in opened() if name.endswith(".gguf")] == []
    assert len(stage.read) == NUM_MANY


def test_headers_wait_for_the_next_look_when_patience_ends(full: Stage) -> None:
    listing = full.library.look(0.0)
    assert listing.num_unread == 7  # the adapter looks like a model as yet
    assert not any(entry.is_read for entry in listing.entries if entry.origin is not Origin.MANAGED)
    assert full.library.find("a/b/deep").architecture == "llama"  # who asks for one gets it read
    assert full.library.look().num_unread == 0


def test_models_are_found_by_the_names_that_people_use(full: Stage) -> None:
    find = full.library.find
    assert find("llama3:8b").origin is Origin.OLLAMA
    assert find("deep.gguf").id == "a/b/deep"
    assert find(str(full.home / "own folder" / "a" / "b" / "deep.gguf")).id == "a/b/deep"
    assert find("p/own").origin is Origin.MANAGED
    loose = foreign.gguf(full.home / "loose.gguf")
    assert find(str(loose)).path == loose
    with pytest.raises(UnknownModelError, match="no model “nobody”"):
        find("nobody")


def test_the_same_id_twice_is_told_apart(stage: Stage) -> None:
    for folder in ("one", "two"):
        foreign.gguf(stage.home / folder / "same.gguf")
        stage.folders.append(str(stage.home / folder))
    assert stage.ids() == ["same", "folder/same"]


def test_a_model_in_parts_is_one_entry_and_a_missing_part_is_told(stage: Stage) -> None:
    files = foreign.parts(stage.home / "f", "big", 3)
    stage.folders.append(str(stage.home / "f"))
    (entry,) = stage.library.models()
    assert (entry.path, entry.parts) == (files[0], tuple(files[1:]))
    assert entry.bytes == sum(file.stat().st_size for file in files)
    assert (entry.parameters, entry.problem) == (192, None)
    files[1].unlink()
    (entry,) = stage.library.models()
    assert entry.problem == (
        "big-00002-of-00003.gguf is missing: it is a part of this model. Get the whole set, then it can be loaded."
    )
    assert not entry.is_offered


def test_odd_things_named_like_models_do_no_harm_and_say_why(stage: Stage) -> None:
    folder = stage.home / "odd"
    (folder / "folder.gguf").mkdir(parents=True)
    os.mkfifo(folder / "pipe.gguf")
    (folder / "gone.gguf").symlink_to(folder / "nowhere.gguf")
    (folder / "device.gguf").symlink_to("/dev/zero")
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "empty.gguf").touch()
    stage.folders.append(str(folder))
    entries = {entry.id: str(entry.problem) for entry in stage.library.models()}
    assert list(entries) == ["device", "empty", "gone", "pipe"]
    assert "is empty" in entries["empty"]
    assert "is a link to a file that is not there. Bring the file back" in entries["gone"]
    assert "is no file but a device, a pipe" in entries["pipe"]
    with pytest.raises(ModelFileError, match="is no file but a device, a pipe"):
        read_model(folder / "pipe.gguf")


def test_depth_has_a_bound(stage: Stage) -> None:
    folder = stage.home / "f"
    foreign.gguf(folder.joinpath(*"123456") / "in.gguf")
    foreign.gguf(folder.joinpath(*"1234567") / "out.gguf")
    stage.folders.append(str(folder))
    assert stage.ids() == ["1/2/3/4/5/6/in"]


def test_files_put_into_the_managed_folder_by_hand_are_shown_wherever_they_lie(stage: Stage) -> None:
    foreign.gguf(stage.models / "top.gguf")
    foreign.gguf(stage.models / "a" / "b" / "c" / "deep.gguf")
    foreign.gguf(stage.models / ".installs" / "1" / "half.gguf")
    entries = stage.library.models()
    assert [entry.id for entry in entries] == ["a/b/c/deep", "top"]
    assert all("was not installed by Slipstream" in str(entry.problem) for entry in entries)
    stage.library.remove("top")
    assert stage.ids() == ["a/b/c/deep"]


def test_removing_deletes_exactly_what_was_shown(stage: Stage) -> None:
    first, *others = foreign.parts(stage.home / "in", "big", 2)
    image, draft = foreign.projector(stage.home / "in" / "mmproj.gguf"), foreign.gguf(stage.home / "in" / "draft.gguf")
    store = stage.library.store
    entry = store.add(first, publisher="p", repo="r", parts=others, mmproj=image, draft=draft)
    shown = stage.library.removal("p/r")
    assert {path for path, _ in shown.files} == set(entry.files)
    assert shown.bytes == sum(path.stat().st_size for path in entry.files)
    stage.loaded.add("p/r")
    with pytest.raises(ModelFileError, match="is loaded"):
        stage.library.remove("p/r", shown)
    stage.loaded.clear()
    others[0] = entry.parts[0]
    with others[0].open("ab") as file:
        file.write(b"more")
    with pytest.raises(ModelFileError, match="have changed meanwhile"):
        stage.library.remove("p/r", shown)
    stage.library.remove("p/r", stage.library.removal("p/r"))
    assert list(stage.models.iterdir()) == []


def test_what_is_known_already_is_not_downloaded_twice(full: Stage) -> None:
    blob = next(entry for entry in full.library.models() if entry.origin is Origin.OLLAMA)
    assert blob.sha256
    known = full.library.known(blob.sha256.upper())
    assert known is not None
    assert known.id == "llama3:8b"
    assert full.library.known("0" * 64) is None


def test_duplicates_are_found_by_hash_and_links_cost_nothing(stage: Stage) -> None:
    content = model(settings=foreign.SMALL)
    foreign.ollama(stage.home / ".ollama" / "models", "one:latest", content)
    snapshot = foreign.hf_cache(stage.home / ".cache/huggingface/hub", "a/b", {"b.gguf": content})
    folder = stage.home / "f"
    folder.mkdir()
    (folder / "copy.gguf").write_bytes(content)
    stage.folders.append(str(folder))
    found = stage.library.duplicates()
    assert [len(group.entries) for group in found.groups] == [2]
    assert found.wasted == len(content)
    assert [len(same) for same in found.suspects] == [3]  # nobody has hashed the copy
    copy = stage.library.find("copy")
    status = copy.path.stat()
    sha = snapshot.joinpath("b.gguf").resolve().name
    hashed = Hash(str(copy.path), status.st_size, status.st_mtime_ns, sha)
    stage.library.save_check(copy, Check("2026-01-01T00:00:00+00:00", True, "fine", (hashed,)))
    found = stage.library.duplicates()
    assert [len(group.entries) for group in found.groups] == [3]
    assert (found.wasted, found.suspects) == (2 * len(content), ())
    copy.path.unlink()
    os.link(snapshot.joinpath("b.gguf").resolve(), folder / "copy.gguf")
    assert stage.library.duplicates().wasted == len(content)


def test_remarks_survive_and_a_broken_file_is_set_aside(full: Stage) -> None:
    full.library.set_favourite("llama3:8b", True)
    full.library.rename("llama3:8b", "  My   llama ")
    entry = full.new_library().find("llama3:8b")
    assert (entry.name, entry.is_favourite) == ("My llama", True)
    full.library.rename("llama3:8b", "")
    assert full.library.find("llama3:8b").name == "llama3:8b"
    remarks = full.home / "data" / "library.json"
    remarks.write_text('{"version": 1, "models": []}')
    assert not full.new_library().find("llama3:8b").is_favourite
    assert remarks.with_name("library.json.broken-1").exists()


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + bytes(200)])
def test_a_broken_index_is_made_anew(content: bytes, full: Stage) -> None:
    before = full.library.models()
    (full.home / "cache" / "library.sqlite3").write_bytes(content)
    full.read.clear()
    assert full.new_library().models() == before
    assert len(full.read) == 8
    full.read.clear()
    assert full.new_library().models() == before
    assert full.read == []


def test_what_is_not_wanted_is_not_shown(full: Stage) -> None:
    full.shown = ("jan",)
    full.folders.clear()
    assert full.ids() == ["p/own", "tiny"]


def test_a_download_of_ollama_that_stopped_is_told(stage: Stage) -> None:
    blob = foreign.ollama(stage.home / ".ollama" / "models", "cut:latest")
    os.truncate(blob, 100)
    foreign.ollama(stage.home / ".ollama" / "models", "lost:latest", b"something else").unlink()
    cut, lost = stage.library.models()
    assert "Ollama has not finished downloading cut:latest" in str(cut.problem)
    assert "is missing from Ollama's folder" in str(lost.problem)


def test_manifests_of_ollama_cannot_point_anywhere(stage: Stage) -> None:
    root = stage.home / ".ollama" / "models"
    foreign.ollama(root, "good:latest")
    evil = root / "manifests" / "registry.ollama.ai" / "library" / "evil" / "latest"
    evil.parent.mkdir(parents=True)
    for layers in (
        '[{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:../../../etc/passwd"}]',
        "7",
    ):
        evil.write_text(f'{{"layers": {layers}}}')
        assert stage.ids() == ["good:latest"]
    evil.unlink()
    os.mkfifo(evil)
    assert stage.ids() == ["good:latest"]


def checkpoint(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_bytes(b'{"model_type": "llama"}')
    (folder / "model.safetensors").write_bytes(b"x" * 99)
    (folder / "merges.txt").write_bytes(b"a")
    return folder


def test_a_checkpoint_that_was_kept_is_listed_and_can_be_removed(stage: Stage) -> None:
    folder = checkpoint(stage.models / "org" / "tiny" / "checkpoint")
    stage.library.store.add(foreign.gguf(stage.home / "in" / "tiny-F16.gguf"), publisher="org", repo="tiny")
    kept = next(entry for entry in stage.library.models() if entry.is_checkpoint)
    assert (kept.id, kept.name, kept.path, kept.source) == ("org/tiny/checkpoint", "tiny", folder, "org/tiny")
    assert (kept.bytes, kept.problem, kept.architecture) == (99, None, "llama")
    shown = stage.library.removal(kept.id)
    assert [path.name for path, _ in shown.files] == ["merges.txt", "model.safetensors", "config.json"]
    stage.library.remove(kept.id, shown)
    assert not folder.exists()
    assert stage.ids() == ["org/tiny"]


def test_a_persons_files_in_a_checkpoints_folder_stay_and_are_named(stage: Stage) -> None:
    folder = checkpoint(stage.models / "org" / "tiny" / "checkpoint")
    (folder / "thesis.txt").write_text("mine")
    (folder / "notes").mkdir()
    shown = stage.library.removal("org/tiny/checkpoint")
    assert [path.name for path in shown.staying] == ["notes", "thesis.txt"]
    stage.library.remove("org/tiny/checkpoint", shown)
    assert sorted(path.name for path in folder.iterdir()) == ["notes", "thesis.txt"]
    assert (folder / "thesis.txt").read_text() == "mine"
    assert stage.ids() == []


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_checkpoint_that_a_link_leads_to_is_left_alone(stage: Stage) -> None:
    elsewhere = checkpoint(stage.home / "elsewhere")
    (stage.models / "org" / "tiny").mkdir(parents=True)
    (stage.models / "org" / "tiny" / "checkpoint").symlink_to(elsewhere, target_is_directory=True)
    with pytest.raises(ModelFileError, match="outside the library"):
        stage.library.removal("org/tiny/checkpoint")
    assert len(list(elsewhere.iterdir())) == 3


def test_a_name_is_found_in_either_form_of_its_letters(stage: Stage) -> None:
    """macOS hands out é as two characters, keyboards write it as one."""
    whole, parted = "Modèle", unicodedata.normalize("NFD", "Modèle")
    stage.folders.append(str(stage.home / "f"))
    file = foreign.gguf(stage.home / "f" / f"{parted}.gguf")
    for name in (whole, f"{whole}.gguf", str(file.parent / f"{whole}.gguf")):
        assert stage.library.find(name).path == file
    other = foreign.gguf(stage.home / "f" / f"{whole}.gguf")
    assert stage.library.find(whole).path == other, "as it is written comes first"
    assert stage.library.find(parted).path == file
