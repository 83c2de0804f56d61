"""Real vocabularies of models that write text: what people write holds no control token, and nothing is lost.

Not among them: BERT's and XLM-R's (bert-bge, nomic-bert-moe), which encode texts, cannot spell every one back, and are
refused as chat models.
"""

import json
import random
from pathlib import Path

import pytest

from backends.llama import native
from backends.llama.native import NativeModel
from tests.convert import vocabularies
from tests.llama.renderings import faults, random_texts
from tests.real import things

pytestmark = pytest.mark.real
NUM_CHATS = 300
FROM_SDIST = (
    *("aquila", "baichuan", "command-r", "deepseek-coder", "deepseek-llm", "falcon", "gemma-4", "gpt-2", "gpt-neox"),
    *("llama-bpe", "llama-spm", "mpt", "phi-3", "qwen2", "qwen35", "refact", "starcoder"),
)
MODELS = {"SmolLM2": things.smollm2, "Gemma 3 270M": things.gemma}


def vocabulary(name: str, folder: Path) -> Path:
    """A GGUF file that holds it."""
    if name in MODELS:
        return MODELS[name]()
    if name in FROM_SDIST:
        return things.sdist() / "models" / f"ggml-vocab-{name}.gguf"
    for file in things.tokenizer(name).iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    tokenizer = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    ids = (*tokenizer["model"]["vocab"].values(), *(token["id"] for token in tokenizer["added_tokens"]))
    return vocabularies.to_gguf(folder, max(ids) + 1)[0]


def test_all_vocabularies_of_the_sdist_are_here() -> None:
    left_out = {"bert-bge", "nomic-bert-moe"}
    assert {path.stem.removeprefix("ggml-vocab-") for path in things.vocabularies()} == {*FROM_SDIST, *left_out}


@pytest.mark.parametrize("name", [*MODELS, *FROM_SDIST, *things.TOKENIZERS])
def test_people_write_no_control_token_and_nothing_is_lost(name: str, tmp_path: Path) -> None:
    native.start()
    with NativeModel(vocabulary(name, tmp_path), vocab_only=True) as model:
        assert faults(model.vocabulary, random_texts(model.vocabulary, NUM_CHATS, random.Random(name))) == []
