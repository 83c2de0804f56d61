"""Checkpoints of tiny random weights with a real vocabulary: everything about them but the weights is published."""

import json
import shutil
from pathlib import Path

from tests.convert import checkpoints
from tests.real import things

# rows of the embedding, as the published models have them
ROWS = {
    "llama2": 32000,
    "llama3": 128256,
    "llama3_1": 128256,
    "qwen3": 151936,
    "gemma3": 262144,
    "deepseek_v3": 129280,
    "gptoss": 201088,
}
FILES = ("tokenizer.json", "tokenizer_config.json")
HIDDEN = 64


def write(name: str, folder: Path) -> Path:
    """A Llama or Qwen 3 of one layer. name: one of `things.TOKENIZERS`."""
    source = things.tokenizer(name)
    architecture = "Qwen3ForCausalLM" if name == "qwen3" else "LlamaForCausalLM"
    settings = checkpoints.config(
        architecture, hidden_size=HIDDEN, intermediate_size=128, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, vocab_size=ROWS[name], tie_word_embeddings=True, head_dim=32,
    )  # fmt: skip
    checkpoints.write(folder, settings)
    for file in FILES:
        shutil.copyfile(source / file, folder / file)
    return folder


def rows_needed(folder: Path) -> int:
    """Of the tokenizer.json alone."""
    document = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    return max(*document["model"]["vocab"].values(), *(token["id"] for token in document["added_tokens"])) + 1
