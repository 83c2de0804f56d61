"""Real vocabularies through the converter: the tokens are those of the original on thousands of real texts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from app.jobs.child import run_in_child
from app.jobs.convert import convert_checkpoint
from tests.bench.architectures import compare
from tests.convert import gguf_tokenizers
from tests.convert import vocabularies as made
from tests.convert.checkpoints import write_json
from tests.real import things, vocabulary_checkpoints
from tests.real.texts import RealText, real_texts

pytestmark = pytest.mark.real
# of the sdist; most of them lack bytes
VOCABULARIES = ("gpt-neox", "mpt", "starcoder", "refact", "command-r", "gpt-2")
# names, licence and size of a model card; what is said although it is llama.cpp's default, or left out as such
OTHER_KEYS = {"tokenizer.ggml.add_eos_token", "tokenizer.ggml.add_space_prefix"}


@pytest.fixture(scope="module")
def texts() -> list[RealText]:
    found = real_texts(things.sdist())
    assert len(found) > 3000
    assert len({text.source for text in found}) > 40
    return found


def faults(folder: Path, texts: list[RealText]) -> tuple[int, list[str]]:
    """How many of the texts llama.cpp can get right at all, and what is wrong with some."""
    ((compared, found),) = run_in_child(
        "tests.convert.native:faults", log_path=folder / "log", folders=[folder], texts=[text.text for text in texts]
    )
    return compared, found


@pytest.mark.parametrize("name", things.TOKENIZERS)
def test_a_checkpoint_with_a_real_vocabulary_is_converted(name: str, texts: list[RealText], tmp_path: Path) -> None:
    folder = vocabulary_checkpoints.write(name, tmp_path / name)
    result = convert_checkpoint(folder, folder / "vocabulary.gguf", logs=tmp_path)
    assert result.verified_texts > 700
    compared, found = faults(folder, texts)
    assert found == []
    assert compared > 2000


@pytest.mark.parametrize("name", VOCABULARIES)
def test_a_vocabulary_that_lacks_bytes_is_converted(name: str, texts: list[RealText], tmp_path: Path) -> None:
    source = next(path for path in things.vocabularies() if path.stem == f"ggml-vocab-{name}")
    document = gguf_tokenizers.document(gguf_tokenizers.read(source), name)
    write_json(tmp_path / "tokenizer.json", document)
    write_json(tmp_path / "tokenizer_config.json", {"eos_token": "<|endoftext|>"})
    made.to_gguf(tmp_path, size=vocabulary_checkpoints.rows_needed(tmp_path))
    compared, found = faults(tmp_path, texts)
    assert found == []
    assert compared > 3000


def test_a_real_checkpoint_becomes_what_llama_cpps_converter_makes(texts: list[RealText], tmp_path: Path) -> None:
    checkpoint = things.smollm2_checkpoint()
    ours, theirs = tmp_path / "vocabulary.gguf", tmp_path / "theirs.gguf"
    result = convert_checkpoint(checkpoint, ours, logs=tmp_path)
    assert result.notes == ()
    upstream(checkpoint, theirs)
    found = compare(ours, theirs)
    assert (found["tensors equal"], found["tensors that differ"]) == (272, [])
    assert {key for key in found["keys that differ"] if not key.startswith("general.")} == OTHER_KEYS
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((checkpoint / name).read_bytes())
    compared, wrong = faults(tmp_path, texts)
    assert (compared, wrong) == (len(texts), [])


def test_the_checkpoint_says_what_the_published_file_says(texts: list[RealText]) -> None:
    """The way back from GGUF lost nothing: vocabulary, merges and tokens of real texts."""
    folder = things.smollm2_checkpoint()
    document = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    wanted = gguf_tokenizers.document(gguf_tokenizers.read(things.smollm2()), "smollm")
    pairs = [merge.split(" ") for merge in wanted["model"]["merges"]]
    assert document["model"]["vocab"] == wanted["model"]["vocab"]
    assert document["model"]["merges"] == pairs
    assert [t["content"] for t in document["added_tokens"]] == [t["content"] for t in wanted["added_tokens"]]
    published = run_in_child(
        "tests.convert.native:tokens", log_path=Path(os.devnull), path=things.smollm2(),
        texts=[text.text for text in texts], add_special=False,
    )  # fmt: skip
    original = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert [ids for ids, _ in published] == [original.encode(text.text).ids for text in texts]


def upstream(checkpoint: Path, target: Path) -> None:
    """llama.cpp's own converter as it is: it knows the tokenizer by what it makes of a text."""
    script = things.sdist() / "convert_hf_to_gguf.py"
    command = [sys.executable, str(script), str(checkpoint), "--outfile", str(target), "--outtype", "bf16"]
    subprocess.run(command, check=True, capture_output=True)
