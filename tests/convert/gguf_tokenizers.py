"""The tokenizer.json of a real vocabulary, written back from the GGUF file of it: for byte-level BPE without flags.

What the format does not hold is set as the model's publisher writes it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf

CONTROL, USER_DEFINED, UNUSED = 3, 4, 5
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
DIGITS = {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, BYTE_LEVEL]}
NFC = {"type": "NFC"}
PUBLISHED: dict[str, tuple[dict[str, Any], dict[str, Any] | None]] = {
    "smollm": (DIGITS, None),
    "starcoder": (DIGITS, None),
    "refact": (DIGITS, None),
    "command-r": (DIGITS, NFC),
    "gpt-neox": (BYTE_LEVEL, NFC),
    "mpt": (BYTE_LEVEL, NFC),
    "gpt-2": (BYTE_LEVEL, None),
}


@dataclass(frozen=True, slots=True)
class Published:
    """What a GGUF file says of its vocabulary."""

    tokens: list[str]
    types: list[int]
    merges: list[str]


def read(path: Path) -> Published:
    fields = gguf.GGUFReader(path).fields
    return Published(*(fields[f"tokenizer.ggml.{key}"].contents() for key in ("tokens", "token_type", "merges")))


def document(found: Published, name: str) -> dict[str, Any]:
    """name: of a tokenizer in PUBLISHED."""
    tokens, types, merges = found.tokens, found.types, found.merges
    real = [(id_, text, type_) for id_, (text, type_) in enumerate(zip(tokens, types, strict=True)) if not _fills(text)]
    splitter, normalizer = PUBLISHED[name]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": id_, "content": text, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
             "special": type_ == CONTROL}
            for id_, text, type_ in real if type_ in (CONTROL, USER_DEFINED)
        ],
        "normalizer": normalizer,
        "pre_tokenizer": splitter,
        "post_processor": None,
        "decoder": {**BYTE_LEVEL, "add_prefix_space": True},
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
            "vocab": {text: id_ for id_, text, type_ in real if type_ != USER_DEFINED}, "merges": merges,
        },
    }  # fmt: skip


def _fills(text: str) -> bool:
    """A row that the vocabulary has no token for, as llama.cpp's converter names it."""
    return text.startswith("[PAD") and text.endswith("]")
