"""SmolLM2's real vocabulary through the converter: 49,152 tokens, 21 of 256 bytes without one."""

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from app.jobs.child import run_in_child
from backends.convert.byte_level import byte_alphabet, missing_bytes
from backends.convert.vocabulary import Vocabulary
from tests.convert import gguf_tokenizers
from tests.convert import vocabularies as made
from tests.convert.checkpoints import write_json
from tests.convert.gguf_tokenizers import Published
from tests.real.texts import real_texts

SIZE = 49_152
SETTINGS = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>"}


@pytest.fixture(scope="module")
def published(smollm2: Path) -> Published:
    return gguf_tokenizers.read(smollm2)


@pytest.fixture(scope="module")
def vocabulary(published: Published, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Vocabulary]:
    """tokenizer.json as published, what we read from it, and the GGUF file that we make of that."""
    folder = tmp_path_factory.mktemp("smollm2")
    write_json(folder / "tokenizer.json", gguf_tokenizers.document(published, "smollm"))
    write_json(folder / "tokenizer_config.json", SETTINGS)
    return folder, made.to_gguf(folder, SIZE)[1]


@pytest.fixture
def folder(vocabulary: tuple[Path, Vocabulary]) -> Path:
    return vocabulary[0]


def test_it_lacks_bytes_that_its_training_never_met(folder: Path) -> None:
    vocab = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    missing = missing_bytes(vocab)
    assert len(missing) == 21
    assert {0x04, 0x06, 0x13, 0xF1, 0xFF} < missing
    assert len(set(byte_alphabet().values())) == 256


def test_the_vocabulary_is_that_of_the_published_file(
    vocabulary: tuple[Path, Vocabulary], published: Published
) -> None:
    found = vocabulary[1]
    assert (found.lexicon.model, found.lexicon.pre) == ("gpt2", "smollm")
    assert (found.lexicon.tokens, found.lexicon.types) == (published.tokens, published.types)
    assert found.lexicon.merges == published.merges
    assert (found.special_ids, found.adds_bos, found.notes) == ({"bos": 1, "eos": 2}, False, ())


def test_real_texts_become_the_tokens_of_the_original(folder: Path, smollm2: Path, tmp_path: Path) -> None:
    texts = [text.text for text in real_texts()]
    assert len(texts) > 2000
    ((compared, faults),) = run_in_child(
        "tests.convert.native:faults", log_path=tmp_path / "log", folders=[folder], texts=texts
    )
    assert (compared, faults) == (len(texts), [])
    found = run_in_child(
        "tests.convert.native:tokens", log_path=tmp_path / "log", path=smollm2, texts=texts[::20], add_special=False
    )
    original = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert [ids for ids, _ in found] == [original.encode(text).ids for text in texts[::20]]


def test_what_the_original_cannot_say_both_leave_out(folder: Path, tmp_path: Path) -> None:
    texts = ["a\x04b", "\x13", "x \x06 y", "\U00040000"]
    got = run_in_child(
        "tests.convert.native:tokens", log_path=tmp_path / "log", path=folder / "vocabulary.gguf", texts=texts,
        add_special=False,
    )  # fmt: skip
    original = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert [ids for ids, _ in got] == [original.encode(text).ids for text in texts]
