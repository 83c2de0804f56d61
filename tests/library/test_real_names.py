"""Models of the world as the library shows them: their publishers' names, and which of them have no chat format."""

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from app.library.store import ModelStore
from tests.library import foreign
from tests.library.conftest import Stage
from tests.real import things

BEFORE = """CREATE TABLE headers (
    path BLOB PRIMARY KEY, bytes INTEGER, mtime_ns INTEGER, inode TEXT, is_model INTEGER, name TEXT,
    architecture TEXT, parameters INTEGER, quantization TEXT, context INTEGER, problem TEXT
) WITHOUT ROWID"""  # an index of version 2
TITLE = "Smollm2 135M 8k Lc100K Mix1 Ep2"  # what the real file calls itself


def put(file: Path, *places: Path) -> None:
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        os.symlink(file, place)


def test_a_real_file_has_its_publishers_name_wherever_it_lies(stage: Stage, smollm2: Path) -> None:
    blobs = stage.home / ".ollama/models"
    foreign.ollama(blobs, "smollm2:135m").unlink()
    (blob,) = json.loads(next(blobs.rglob("135m")).read_text())["layers"]
    put(
        smollm2,
        stage.home / "mine" / "a" / "SmolLM2-135M-Instruct.Q4_1.gguf",
        stage.home / "mine" / "b" / "model.gguf",
        stage.home / "mine" / "SmolLM2-135M-Instruct-GGUF" / "ggml-model-q4_1.gguf",
        stage.home / ".lmstudio/models/bartowski/SmolLM2-135M-Instruct-GGUF/SmolLM2-135M-Instruct-Q4_1.gguf",
        blobs / "blobs" / blob["digest"].replace(":", "-"),
    )
    stage.folders.append(str(stage.home / "mine"))
    names = {entry.id: (entry.name, entry.quantization) for entry in stage.library.models()}
    assert names == {
        "a/SmolLM2-135M-Instruct.Q4_1": ("SmolLM2-135M-Instruct", "Q4_1"),
        "b/model": (TITLE, "Q4_1"),
        "SmolLM2-135M-Instruct-GGUF/ggml-model-q4_1": ("SmolLM2-135M-Instruct", "Q4_1"),
        "bartowski/SmolLM2-135M-Instruct-GGUF/SmolLM2-135M-Instruct-Q4_1": ("SmolLM2-135M-Instruct", "Q4_1"),
        "smollm2:135m": ("smollm2:135m", "Q4_1"),
    }
    full = [entry.full_name for entry in stage.library.models()]
    assert len(set(full)) == len(full), "no two rows are alike"
    assert not any(entry.is_base for entry in stage.library.models())


def test_what_is_installed_has_its_name_too(stage: Stage, smollm2: Path, tmp_path: Path) -> None:
    file = tmp_path / "SmolLM2-135M-Instruct-Q4_1.gguf"
    os.link(smollm2, file)
    store = ModelStore(stage.models)
    entry = store.add(file, publisher="bartowski", repo="SmolLM2-135M-Instruct-GGUF")
    assert (entry.name, entry.quantization, entry.is_base) == ("SmolLM2-135M-Instruct", "Q4_1", False)
    assert stage.library.models() == [entry]
    as_before(entry.path.with_name("manifest.json"), TITLE)
    (older,) = stage.new_library().models()
    assert (older.name, older.id, older.is_base) == ("SmolLM2-135M-Instruct", entry.id, False)


def as_before(manifest: Path, name: str) -> None:
    """As versions wrote it that showed what the header calls a model."""
    document = json.loads(manifest.read_text())
    document["models"] = [{**each, "name": name} for each in document["models"]]
    for each in document["models"]:
        del each["is_base"]
    manifest.write_text(json.dumps(document))


def base(path: Path, **settings: object) -> Path:
    return foreign.gguf(path, **{"tokenizer.chat_template": "", **settings})


def test_a_base_model_is_known_by_its_header(stage: Stage) -> None:
    base(stage.home / "f" / "gemma-3-270m.gguf")
    foreign.gguf(stage.home / "f" / "chat.gguf", **{"tokenizer.chat_template": "{{ messages }}"})
    base(stage.home / "f" / "embed.gguf", **{"llama.pooling_type": 1})
    base(stage.home / "f" / "encoder.gguf", **{"llama.attention.causal": False})
    stage.folders.append(str(stage.home / "f"))
    expected = {"gemma-3-270m": True, "chat": False, "embed": False, "encoder": False}
    for _ in range(2):  # by the header, then by the index
        assert {entry.id: entry.is_base for entry in stage.library.models()} == expected
        stage.library = stage.new_library()


def test_an_earlier_manifest_says_nothing_of_it_so_the_header_does(stage: Stage, tmp_path: Path) -> None:
    entry = ModelStore(stage.models).add(base(tmp_path / "m.gguf"), publisher="p", repo="r", name="Mine")
    as_before(entry.path.with_name("manifest.json"), "Mine")
    (older,) = stage.library.models()
    assert older.is_base
    assert len(stage.read) == 1
    assert stage.new_library().models() == [older]
    assert len(stage.read) == 1, "and is remembered"


def test_an_index_of_an_earlier_version_is_read_anew(stage: Stage) -> None:
    file = base(stage.home / "f" / "m.gguf")
    stage.folders.append(str(file.parent))
    index = stage.home / "cache" / "library.sqlite3"
    index.parent.mkdir()
    status = file.stat()
    row = (
        os.fsencode(file),
        status.st_size,
        status.st_mtime_ns,
        str(status.st_ino),
        1,
        TITLE,
        "llama",
        1,
        "Q8_0",
        1,
        None,
    )
    with closing(sqlite3.connect(index)) as database, database:
        database.executescript(f"{BEFORE}; PRAGMA user_version = 2")
        database.execute(f"INSERT INTO headers VALUES ({', '.join('?' * len(row))})", row)
    (entry,) = stage.library.models()
    assert entry.is_base
    assert stage.new_library().models() == [entry]
    assert len(stage.read) == 1
    assert [path.name for path in index.parent.iterdir() if "broken" in path.name] == []


@pytest.mark.parametrize(
    ("config", "tokenizer", "template", "is_base"),
    [
        ({"architectures": ["LlamaForCausalLM"]}, {}, None, True),
        ({"architectures": ["LlamaForCausalLM"]}, {"chat_template": "{{ messages }}"}, None, False),
        ({"architectures": ["LlamaForCausalLM"]}, {}, "{{ messages }}", False),
        ({"architectures": ["LlamaForCausalLM"]}, None, None, False),
        ({"architectures": ["BertModel"]}, {}, None, False),
        ({"architectures": 7}, {}, None, False),
    ],
)
def test_a_checkpoint_without_a_template_is_a_base_model(
    config: object, tokenizer: object, template: str | None, is_base: bool, stage: Stage
) -> None:
    folder = stage.home / "f" / "c"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(b"x")
    if tokenizer is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    if template is not None:
        (folder / "chat_template.jinja").write_text(template)
    stage.folders.append(str(folder.parent))
    (entry,) = stage.library.models()
    assert entry.is_base is is_base


@pytest.mark.real
def test_real_models_that_complete_and_those_that_chat(stage: Stage) -> None:
    put(things.gemma(), stage.home / "f" / "gemma-3-270m-q4_k_m.gguf")
    put(things.smollm2(), stage.home / "f" / "SmolLM2-135M-Instruct.Q4_1.gguf")
    (stage.home / "f").joinpath("all-MiniLM-L6-v2").symlink_to(things.minilm())
    stage.folders.append(str(stage.home / "f"))
    found = {entry.name: (entry.quantization, entry.is_base) for entry in stage.library.models()}
    assert found == {
        "gemma-3-270m": ("Q4_K_M", True),
        "SmolLM2-135M-Instruct": ("Q4_1", False),
        "all-MiniLM-L6-v2": ("safetensors", False),
    }


@pytest.mark.parametrize("version", [1, 99])
def test_an_index_of_another_version_is_replaced_and_leaves_nothing(stage: Stage, version: int) -> None:
    """It is a cache: only what may be somebody else's is worth keeping."""
    file = base(stage.home / "f" / "m.gguf")
    stage.folders.append(str(file.parent))
    index = stage.home / "cache" / "library.sqlite3"
    index.parent.mkdir()
    with closing(sqlite3.connect(index)) as database, database:
        database.executescript(
            f"CREATE TABLE headers (path TEXT PRIMARY KEY, later BLOB); PRAGMA user_version = {version}"
        )
        database.execute("INSERT INTO headers VALUES ('x', 1)")
    (entry,) = stage.library.models()
    assert stage.new_library().models() == [entry]
    assert len(stage.read) == 1, "and is remembered"
    assert [path.name for path in index.parent.iterdir() if "broken" in path.name] == []


def test_a_database_that_may_be_somebody_elses_is_kept(stage: Stage) -> None:
    stage.folders.append(str(base(stage.home / "f" / "m.gguf").parent))
    index = stage.home / "cache" / "library.sqlite3"
    index.parent.mkdir()
    with closing(sqlite3.connect(index)) as database, database:
        database.executescript("CREATE TABLE headers (path TEXT); CREATE TABLE mine (x); PRAGMA user_version = 99")
    stage.library.models()
    assert index.with_name("library.sqlite3.broken-1").exists()
