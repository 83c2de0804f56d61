"""`slipstream models`: the table and the JSON, and what it does on request."""

import json
from pathlib import Path

import pytest

from app.__main__ import main
from app.library.store import ModelStore
from app.paths import Paths
from tests.library import foreign


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    """One model of ours, the same one in Ollama, and another in a folder."""
    store = ModelStore(Paths.from_environment().models)
    file = foreign.gguf(tmp_path / "a.gguf", "A model")
    foreign.ollama(tmp_path / "home" / ".ollama" / "models", "twin:latest", file.read_bytes())
    foreign.gguf(tmp_path / "drive" / "deep" / "b.gguf")
    store.add(file, publisher="p", repo="r")
    return store


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["models", *arguments])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_the_table_names_everything(
    store: ModelStore,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, _ = run(capsys, "--add-folder", str(tmp_path / "drive"))
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split() == ["MODEL", "SIZE", "TYPE", "ARCHITECTURE", "CONTEXT", "FROM"]
    assert [line.split()[0] for line in lines[1:4]] == ["p/r", "twin:latest", "deep/b"]
    assert lines[-1].startswith("3 models, ")
    document = json.loads(run(capsys, "--json")[1])
    assert [model["origin"] for model in document["models"]] == ["slipstream", "ollama", "folder"]
    assert document["models"][0]["bytes"] == store.models()[0].bytes


def test_the_windows_name_stands_beside_an_id_that_does_not_say_it(
    store: ModelStore, capsys: pytest.CaptureFixture[str]
) -> None:
    foreign.gguf(store.models_dir / "p" / "same-name" / "Same Name.gguf")
    (line,) = (line for line in run(capsys)[1].splitlines() if line.startswith("p/r"))
    assert line.startswith(f"p/r ({store.find('p/r').name})  ")
    assert "(Same Name)" not in run(capsys)[1]


def test_a_file_of_the_same_name_elsewhere_is_not_the_librarys(
    store: ModelStore, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = store.models_dir / "x.gguf"
    foreign.gguf(own, "ours")
    other = foreign.gguf(tmp_path / "elsewhere" / "x.gguf", "another")
    monkeypatch.chdir(other.parent)
    for name in (str(other), "x.gguf"):
        code, _, err = run(capsys, "--remove", name, "--yes")
        assert code == 1, err
        assert own.exists()
        assert other.exists()
        assert json.loads(run(capsys, "--verify", name, "--json")[1])["sha256"].keys() == {str(other)}


def test_a_base_model_is_called_one(capsys: pytest.CaptureFixture[str]) -> None:
    foreign.gguf(Paths.from_environment().models / "p" / "r" / "base.gguf", **{"tokenizer.chat_template": ""})
    lines = run(capsys)[1].splitlines()
    assert "F16, base" in lines[1]
    assert "base: completes text, has no chat format" in lines
    assert json.loads(run(capsys, "--json")[1])["models"][0]["is_base"] is True


def test_an_empty_library_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert "“slipstream install guide” installs the model" in run(capsys)[1]


def test_one_model_is_one_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = ModelStore(Paths.from_environment().models)
    store.add(foreign.gguf(tmp_path / "a.gguf"), publisher="p", repo="r")
    assert run(capsys)[1].splitlines()[-1].startswith("1 model, ")


def test_removing_a_checkpoint_names_what_stays(capsys: pytest.CaptureFixture[str]) -> None:
    folder = Paths.from_environment().models / "org" / "tiny" / "checkpoint"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "model.safetensors").write_bytes(b"x")
    (folder / "thesis.txt").write_text("mine")
    code, _, error = run(capsys, "--remove", "org/tiny/checkpoint")
    assert code == 2
    assert "Not the model's, and left alone: thesis.txt." in error
    code, out, _ = run(capsys, "--remove", "org/tiny/checkpoint", "--yes", "--json")
    assert (code, json.loads(out)["staying"]) == (0, [str(folder / "thesis.txt")])
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]


def test_checking_tells_duplicates(store: ModelStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--verify ID" in run(capsys, "--duplicates")[1]
    code, out, _ = run(capsys, "--verify", "p/r")
    assert code == 0
    assert "no publisher hash to compare" in out
    document = json.loads(run(capsys, "--duplicates", "--json")[1])
    assert [len(group["models"]) for group in document["groups"]] == [2]
    assert document["wasted_bytes"] == store.models()[0].bytes


def test_a_damaged_file_ends_with_one(store: ModelStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "--verify", "twin")
    blob = next((tmp_path / "home" / ".ollama" / "models" / "blobs").iterdir())
    content = bytearray(blob.read_bytes())
    content[-1] ^= 1
    blob.write_bytes(content)
    code, out, _ = run(capsys, "--verify", "twin", "--json")
    assert (code, json.loads(out)["is_sound"]) == (1, False)
    assert len(store.models()) == 1


@pytest.mark.parametrize("content", [b"", b"<html>", b"version https://git-lfs.github.com/spec/v1\n", b"GGUF\3\0"])
def test_checking_a_file_that_can_never_run_says_why(content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    path = Paths.from_environment().models / "p" / "r" / "bad.gguf"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    problem = json.loads(run(capsys, "--json")[1])["models"][0]["problem"]
    for _ in range(2):
        code, out, _ = run(capsys, "--verify", "p/r")
        assert code == 1
        assert problem in out
        assert "No errors found" not in out


def test_the_count_tells_models_from_files_that_cannot_run(
    store: ModelStore, capsys: pytest.CaptureFixture[str]
) -> None:
    (store.models_dir / "page.gguf").write_bytes(b"<html>")
    assert run(capsys)[1].splitlines()[-1].startswith("2 models and 1 file that cannot run, ")


@pytest.mark.usefixtures("store")
def test_files_of_one_size_are_not_said_to_differ(capsys: pytest.CaptureFixture[str]) -> None:
    out = run(capsys, "--duplicates")[1]
    assert "--verify ID" in out
    assert "No duplicates found" not in out
    assert "Hashes are not known yet" in out


def test_removing_lists_the_files_and_wants_a_yes(store: ModelStore, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, error = run(capsys, "--remove", "p/r")
    assert code == 2
    assert "a.gguf" in error
    assert len(store.models()) == 1
    code, _, error = run(capsys, "--remove", "twin", "--yes")
    assert code == 1
    assert "is only read here" in error
    assert run(capsys, "--remove", "p/r", "--yes", "--json")[0] == 0
    assert store.models() == []


def test_a_checkpoint_that_cannot_be_converted_is_told_wherever_it_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    folder = Paths.from_environment().models / "org" / "mini" / "checkpoint"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"architectures": ["T5EncoderModel"], "model_type": "t5"}')
    (folder / "model.safetensors").write_bytes(b"x")
    told = "cannot be converted: T5EncoderModel is"
    assert told in run(capsys)[1]
    for command in (
        ["evaluate", "org/mini/checkpoint"],
        ["evaluate", str(folder)],
        ["quantize", "org/mini/checkpoint"],
    ):
        assert main(command) == 1
        error = capsys.readouterr().err
        assert told in error, command
        assert "Convert it first" not in error
