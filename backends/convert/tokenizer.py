"""Reads a byte-level BPE tokenizer.json into the vocabulary of a GGUF file. Runs no tokenizer."""

from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

from backends.child import Refusal
from backends.convert.chat_template import Template, read_template
from backends.convert.files import read_json
from backends.convert.pretokenizer import recognise

SPECIAL_NAMES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
OUTSIDERS = "The tokenizer is not a byte-level BPE (tokenizer.json, {}); that is not supported yet."


class TokenType(IntEnum):
    """llama.h `llama_token_type`."""

    NORMAL = 1
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """tokens, types: one per id. merges: "left right", best first. special_ids: "eos" -> id."""

    pre: str
    tokens: list[str]
    types: list[TokenType]
    merges: list[str]
    special_ids: dict[str, int]
    adds_bos: bool
    adds_eos: bool
    template: Template | None


def read_vocabulary(folder: Path, size: int, config: dict[str, Any]) -> Vocabulary:
    """size: rows of the embedding; ids without a token become unused ones. Raises Refusal."""
    if not (folder / "tokenizer.json").exists() and (folder / "tokenizer.model").exists():
        raise Refusal("The tokenizer is a SentencePiece model without a tokenizer.json; that is not supported yet.")
    document = read_json(folder / "tokenizer.json")
    settings_file = folder / "tokenizer_config.json"
    settings = read_json(settings_file) if settings_file.exists() else {}
    model = _bpe(document)
    added = _added_tokens(document)
    tokens, types = _tokens(model["vocab"], added, size)
    special_ids = _special_ids(settings, config, {content: id_ for id_, (content, _) in added.items()}, size)
    first, last = _template_ends(document)
    return Vocabulary(
        pre=recognise(document.get("pre_tokenizer"), bool(model.get("ignore_merges"))),
        tokens=tokens,
        types=types,
        merges=_merges(model),
        special_ids=special_ids,
        adds_bos=_adds(settings.get("add_bos_token"), first, special_ids.get("bos"), tokens),
        adds_eos=_adds(settings.get("add_eos_token"), last, special_ids.get("eos"), tokens),
        template=read_template(folder, settings),
    )


def _bpe(document: dict[str, Any]) -> dict[str, Any]:
    model = document.get("model")
    if not isinstance(model, dict) or model.get("type", "BPE") != "BPE":
        raise Refusal(OUTSIDERS.format("model.type"))
    for key in ("byte_fallback", "dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(key):
            raise Refusal(OUTSIDERS.format(f"model.{key}"))
    normalizer = document.get("normalizer")
    # Qwen's NFC: llama.cpp leaves text as it is, and most text is NFC already
    if normalizer is not None and not (isinstance(normalizer, dict) and normalizer.get("type") == "NFC"):
        raise Refusal(OUTSIDERS.format("normalizer"))
    vocab = model.get("vocab")
    if not isinstance(vocab, dict) or not all(type(id_) is int for id_ in vocab.values()):
        raise Refusal("tokenizer.json is damaged: its vocabulary is not a table of ids.")
    if any(symbol not in vocab for symbol in byte_alphabet()):
        raise Refusal(OUTSIDERS.format("a byte has no token"))
    return model


def byte_alphabet() -> list[str]:
    """The characters that stand for the 256 bytes, as in GPT-2's `bytes_to_unicode`."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = (b for b in range(256) if b not in printable)
    return [chr(b) for b in sorted(printable)] + [chr(256 + i) for i, _ in enumerate(others)]


def _added_tokens(document: dict[str, Any]) -> dict[int, tuple[str, bool]]:
    """id -> (text, whether it steers the model and is never text of a person)."""
    added: dict[int, tuple[str, bool]] = {}
    for token in document.get("added_tokens") or []:
        match token:
            case {"id": int(id_), "content": str(content)} if id_ >= 0 and content:
                added[id_] = content, bool(token.get("special")) or _looks_special(content)
            case _:
                raise Refusal("tokenizer.json is damaged: an added token has no id or no text.")
        if token.get("lstrip") or token.get("rstrip") or token.get("single_word"):
            raise Refusal(f"The added token {content!r} swallows spaces around it; that is not supported yet.")
    return added


def _looks_special(content: str) -> bool:
    """Some checkpoints forget the mark (llama.cpp conversion/base.py, does_token_look_special)."""
    return (content.startswith("<|") and content.endswith("|>")) or content == "<pad>"


def _tokens(vocab: dict[str, int], added: dict[int, tuple[str, bool]], size: int) -> tuple[list[str], list[TokenType]]:
    by_id = {id_: text for text, id_ in vocab.items()}
    if len(by_id) != len(vocab):
        raise Refusal("tokenizer.json is damaged: two tokens share an id.")
    highest = max([*by_id, *added])
    if highest >= size or min(by_id) < 0:
        raise Refusal(f"The tokenizer knows token {highest}, but the model has only {size} rows for tokens.")
    tokens: list[str] = []
    types: list[TokenType] = []
    for id_ in range(size):
        if id_ in added:
            text, is_special = added[id_]
            tokens.append(text)
            types.append(TokenType.CONTROL if is_special else TokenType.USER_DEFINED)
        else:
            tokens.append(by_id.get(id_, f"[PAD{id_}]"))
            types.append(TokenType.NORMAL if id_ in by_id else TokenType.UNUSED)
    return tokens, types


def _merges(model: dict[str, Any]) -> list[str]:
    """Older files write "a b", newer ones ["a", "b"]. No side holds a space: it is written as a letter."""
    merges = []
    for merge in model.get("merges") or []:
        pair = merge.split(" ") if isinstance(merge, str) else merge
        if not isinstance(pair, list) or len(pair) != 2 or any(not s or " " in s for s in pair):
            raise Refusal("tokenizer.json is damaged: a merge is not a pair of tokens.")
        merges.append(f"{pair[0]} {pair[1]}")
    if not merges:
        raise Refusal("tokenizer.json is damaged: it holds no merges.")
    return merges


def _special_ids(settings: dict[str, Any], config: dict[str, Any], ids: dict[str, int], size: int) -> dict[str, int]:
    """By name in tokenizer_config.json, else by number in config.json, where a list names no single one."""
    special: dict[str, int] = {}
    for name in SPECIAL_NAMES:
        entry = settings.get(f"{name}_token")
        content = entry.get("content") if isinstance(entry, dict) else entry
        id_ = ids.get(content) if isinstance(content, str) else None
        if id_ is None:
            id_ = config.get(f"{name}_token_id")
        if type(id_) is int and 0 <= id_ < size:
            special[name] = id_
    return special


def _template_ends(document: dict[str, Any]) -> tuple[str | None, str | None]:
    """The special tokens that the post-processor puts before and after one text."""
    processor = document.get("post_processor") or {}
    for step in processor.get("processors", [processor]):
        if step.get("type") == "TemplateProcessing" and len(single := step.get("single") or []) > 1:
            ends = (single[0].get("SpecialToken"), single[-1].get("SpecialToken"))
            first, last = (end.get("id") if end else None for end in ends)
            return first, last
    return None, None


def _adds(setting: Any, end: str | None, special_id: int | None, tokens: list[str]) -> bool:
    """tokenizer_config.json has the last word, as in llama.cpp's converter (gguf-py vocab.py)."""
    if isinstance(setting, bool):
        return setting and special_id is not None
    if end is None:
        return False
    if special_id is None or tokens[special_id] != end:
        raise Refusal(f"The tokenizer adds {end!r} around a text, which llama.cpp cannot do.")
    return True
