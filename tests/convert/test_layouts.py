"""How the files of a checkpoint lie in folders that were not written by save_pretrained of today."""

import json
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from backends.child import Refusal
from backends.convert.converter import convert
from backends.convert.weights import read_weights
from backends.formats.gguf import read_header
from tests.convert import checkpoints


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    checkpoints.write(tmp_path / "checkpoint")
    return tmp_path / "checkpoint"


def names(folder: Path) -> set[str]:
    return set(read_weights(folder))


def split(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    half = len(tensors) // 2
    save_file(dict(list(tensors.items())[:half]), folder / "model-00001-of-00002.safetensors")
    save_file(dict(list(tensors.items())[half:]), folder / "model-00002-of-00002.safetensors")


def index(folder: Path) -> None:
    found = {}
    for file in sorted(folder.glob("model-*.safetensors")):
        found |= dict.fromkeys(load_file(file), file.name)
    checkpoints.write_json(folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": found})


def test_the_makers_own_file_beside_the_shards_is_not_read(folder: Path) -> None:
    """Mistral's repositories hold consolidated.safetensors with the same weights under other names."""
    whole = names(folder)
    save_file(
        {"tok_embeddings.weight": next(iter(load_file(folder / "model.safetensors").values()))},
        folder / "consolidated.safetensors",
    )
    assert names(folder) == whole
    split(folder)
    index(folder)
    assert names(folder) == whole


def test_folders_with_other_forms_are_not_read(folder: Path) -> None:
    """gpt-oss and Llama bring original/ and metal/, others onnx/."""
    whole = names(folder)
    for name in ("original", "metal", "onnx"):
        (folder / name).mkdir()
        (folder / name / "model.safetensors").write_bytes(b"something else")
    assert names(folder) == whole


def test_one_file_under_another_name_is_the_model(folder: Path, tmp_path: Path) -> None:
    whole = names(folder)
    (folder / "model.safetensors").rename(folder / "SmolModel-v2.safetensors")
    (folder / "adapter_notes.safetensors").write_bytes(b"no weights of the model")
    assert names(folder) == whole
    convert(lambda _: None, folder, tmp_path / "model.gguf", "bf16")


def test_shards_without_an_index_are_read_if_all_are_there(folder: Path) -> None:
    whole = names(folder)
    split(folder)
    assert names(folder) == whole
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(Refusal, match=r"not complete: model-00002-of-00002\.safetensors is missing"):
        names(folder)


def test_two_files_of_which_none_is_the_model_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "a.safetensors")
    (folder / "b.safetensors").write_bytes((folder / "a.safetensors").read_bytes())
    with pytest.raises(Refusal, match=r"model\.safetensors is missing"):
        names(folder)


def test_the_first_architecture_that_is_known_counts(folder: Path, tmp_path: Path) -> None:
    settings = json.loads((folder / "config.json").read_text())
    checkpoints.change_json(folder / "config.json", architectures=["LlamaModelOfOurs", *settings["architectures"]])
    convert(lambda _: None, folder, tmp_path / "model.gguf", "bf16")
    assert read_header(tmp_path / "model.gguf").architecture == "llama"
