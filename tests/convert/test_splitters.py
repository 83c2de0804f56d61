"""Which structures of a tokenizer.json are one and the same splitter, and which are none."""

from typing import Any

import pytest

from backends.child import Refusal
from backends.convert import splitters
from backends.convert.pretokenizer import recognise

BYTES = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}
WORDS = {**BYTES, "use_regex": True}


def split(regex: str, behavior: str = "Isolated", **more: Any) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": regex}, "behavior": behavior, "invert": False, **more}


def sequence(*steps: Any) -> dict[str, Any]:
    return {"type": "Sequence", "pretokenizers": list(steps)}


SINGLE = {"type": "Digits", "individual_digits": True}
KNOWN: dict[str, tuple[Any, bool, str]] = {
    "as Llama 3": (sequence(split(splitters.LLAMA3), BYTES), True, "llama-bpe"),
    "as Phi-4": (sequence(split(splitters.LLAMA3, "Removed", invert=True), BYTES), False, "smaug-bpe"),
    "as GPT-2": (WORDS, False, "gpt-2"),
    "GPT-2 written out": (sequence(split(splitters.GPT2), BYTES), False, "gpt-2"),
    "as Granite": (sequence(SINGLE, WORDS), False, "smollm"),
    "digits as a regex": (sequence(split(r"\p{N}"), WORDS), False, "smollm"),
    "lines as characters": (
        sequence(
            split(r"\p{N}{1,3}"),
            split("[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"),
            split(splitters.DEEPSEEK_V3.replace(r"\r", "\r").replace(r"\n", "\n")),
            BYTES,
        ),
        False,
        "deepseek-v3",
    ),
    "one name only": (sequence(split(splitters.GPT4O), BYTES), True, "gpt-4o"),
    "the other only": (sequence(split(splitters.TEKKEN), BYTES), False, "tekken"),
}


@pytest.mark.parametrize("case", KNOWN)
def test_a_known_structure_has_its_name(case: str) -> None:
    pre_tokenizer, ignore_merges, name = KNOWN[case]
    assert recognise(pre_tokenizer, ignore_merges) == name


UNKNOWN: dict[str, Any] = {
    "nothing": None,
    "no steps": sequence(),
    "steps that are none": {"type": "Sequence", "pretokenizers": 3},
    "a letter more": sequence(split(splitters.LLAMA3 + "?"), BYTES),
    "inverted": sequence(split(splitters.LLAMA3, invert=True), BYTES),
    "removed": sequence(split(splitters.LLAMA3, "Removed"), BYTES),
    "merged": sequence(split(splitters.LLAMA3, "MergedWithNext"), BYTES),
    "a step more": sequence(split(splitters.LLAMA3), split(splitters.LLAMA3), BYTES),
    "words twice": sequence(split(splitters.LLAMA3), WORDS),
    "space before": sequence(split(splitters.LLAMA3), {**BYTES, "add_prefix_space": True}),
    "space by default": {"type": "ByteLevel", "use_regex": True},
    "no bytes": sequence(split(splitters.LLAMA3)),
    "runs of digits": sequence({"type": "Digits", "individual_digits": False}, WORDS),
    "a list": [1, 2],
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_every_other_structure_is_refused(case: str) -> None:
    with pytest.raises(Refusal, match="splits words in a way that is not supported"):
        recognise(UNKNOWN[case], False)


def test_every_name_stands_for_one_structure() -> None:
    names = [name for s in splitters.SPLITTERS.values() for name in (s.plain, s.shortcut) if name]
    assert len(set(names)) == len(names)
