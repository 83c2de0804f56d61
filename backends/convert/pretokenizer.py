"""Recognises how a tokenizer.json splits text into words, by its regex. Knows llama.cpp's names for it.

llama.cpp holds each splitter in C++ (`src/llama-vocab.cpp`, `llm_tokenizer_bpe`) and finds it by
`tokenizer.ggml.pre`. A wrong name tokenizes wrongly or aborts, so only exact matches count.
"""

from typing import Any

from backends.child import Refusal

_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

# (regex, whether a word that is a token as it stands skips the merges) -> llama.cpp's name
BY_REGEX = {
    (_LLAMA3, True): "llama-bpe",
    (_LLAMA3, False): "smaug-bpe",  # the same splitter without the shortcut
    (_QWEN2, False): "qwen2",
}


def recognise(pre_tokenizer: Any, ignore_merges: bool) -> str:
    """The name for `tokenizer.ggml.pre`. Refuses every structure that is not exactly a known one."""
    match _steps(pre_tokenizer):
        case [{"type": "Split", "behavior": "Isolated", "pattern": {"Regex": str(regex)}} as split, last] if (
            not split.get("invert") and _is_byte_level(last, use_regex=False)
        ):
            name = BY_REGEX.get((regex, ignore_merges))
        case [only] if _is_byte_level(only, use_regex=True) and not ignore_merges:
            name = "gpt-2"
        case [{"type": "Digits", "individual_digits": True}, last] if (
            _is_byte_level(last, use_regex=True) and not ignore_merges
        ):
            name = "smollm"
        case _:
            name = None
    if name is None:
        raise Refusal("The tokenizer splits words in a way that is not supported yet (pre_tokenizer).")
    return name


def _steps(pre_tokenizer: Any) -> list[Any]:
    if isinstance(pre_tokenizer, dict) and pre_tokenizer.get("type") == "Sequence":
        steps = pre_tokenizer.get("pretokenizers")
        return steps if isinstance(steps, list) else []
    return [pre_tokenizer]


def _is_byte_level(step: Any, use_regex: bool) -> bool:
    return (
        isinstance(step, dict)
        and step.get("type") == "ByteLevel"
        and not step.get("add_prefix_space", True)  # both defaults are those of the tokenizers library
        and step.get("use_regex", True) is use_regex
    )
