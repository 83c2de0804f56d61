"""Recognises how a tokenizer.json splits text into words, by its structure. Knows no file and no llama.cpp.

A wrong name tokenizes wrongly or aborts, so only known structures count, and the new file is tried out afterwards.
"""

from typing import Any

from backends.child import Refusal
from backends.convert.splitters import GPT2, SPLITTERS, Splitter, Step

# some files write one and the same splitter in another way
_SPELLINGS: dict[Step, Step] = {
    ("regex", r"\p{N}{1,3}"): ("digits", "threes"),
    ("regex", r"\p{N}"): ("digits", "single"),
    ("regex", GPT2): ("words", ""),
}


def recognise(pre_tokenizer: Any, ignore_merges: bool) -> str:
    """The name for `tokenizer.ggml.pre`. Refuses every structure that is not exactly a known one."""
    splitter = find(pre_tokenizer)
    name = (splitter.shortcut or splitter.plain) if ignore_merges else (splitter.plain or splitter.shortcut)
    assert name is not None, "a splitter has a name"
    return name


def find(pre_tokenizer: Any) -> Splitter:
    steps = _steps(pre_tokenizer)
    key = [*map(_step, steps[:-1]), *_last(steps[-1])] if steps else []
    if None in key or (splitter := SPLITTERS.get(tuple(step for step in key if step is not None))) is None:
        raise Refusal("The tokenizer splits words in a way that is not supported yet (pre_tokenizer).")
    return splitter


def _steps(pre_tokenizer: Any) -> list[Any]:
    if isinstance(pre_tokenizer, dict) and pre_tokenizer.get("type") == "Sequence":
        steps = pre_tokenizer.get("pretokenizers")
        return steps if isinstance(steps, list) else []
    return [pre_tokenizer]


def _step(step: Any) -> Step | None:
    match step:
        case {"type": "Split", "pattern": {"Regex": str(regex)}, "behavior": str(behavior)}:
            # what is no match is dropped when the matches are what is removed: these regexes match every text
            is_known = (behavior, bool(step.get("invert"))) in (("Isolated", False), ("Removed", True))
            written: Step = ("regex", regex.replace("\r", r"\r").replace("\n", r"\n"))
            return _SPELLINGS.get(written, written) if is_known else None
        case {"type": "Digits", "individual_digits": True}:
            return "digits", "single"
    return None


def _last(step: Any) -> list[Step | None]:
    """The step that turns bytes into letters, which splits as GPT-2 does unless it is told not to."""
    if not isinstance(step, dict) or step.get("type") != "ByteLevel":
        return [None]
    if step.get("add_prefix_space", True):  # both defaults are those of the tokenizers library
        return [None]
    return [("words", "")] if step.get("use_regex", True) else []
