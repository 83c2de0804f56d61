"""Prompts as llama-server takes them: texts, token ids, both in one, and several at once."""

from dataclasses import dataclass
from typing import Any

from app.server.core.fields import MAX_INT, not_supported, text

MAX_PROMPTS = 128
MAX_PIECES = 256  # of a prompt that mixes texts and tokens: each text is read by itself
TEXT, MEDIA = "prompt_string", "multimodal_data"
Piece = str | int

PIECES_SCHEMA: dict[str, Any] = {"type": "array", "items": {"anyOf": [{"type": "integer"}, {"type": "string"}]}}
ONE_SCHEMA: dict[str, Any] = {"anyOf": [{"type": "string"}, PIECES_SCHEMA, {"type": "object"}]}
SCHEMA: dict[str, Any] = {"anyOf": [*ONE_SCHEMA["anyOf"], {"type": "array", "items": ONE_SCHEMA}]}


@dataclass(frozen=True, slots=True)
class Mixed:
    """Texts and tokens of one prompt, in their order."""

    pieces: tuple[Piece, ...]


OnePrompt = str | tuple[int, ...] | Mixed


@dataclass(frozen=True, slots=True)
class Prompts:
    """are_several: they were a list, and so are their answers."""

    prompts: tuple[OnePrompt, ...]
    are_several: bool


def as_prompts(value: Any) -> Prompts:
    is_list_of_prompts = isinstance(value, list) and not any(type(each) is int for each in value)
    if not is_list_of_prompts:
        return Prompts((_one(value),), are_several=False)
    if not 1 <= len(value) <= MAX_PROMPTS:
        raise ValueError(f"from 1 to {MAX_PROMPTS} prompts are expected")
    return Prompts(tuple(map(_one, value)), are_several=True)


def _one(value: Any) -> OnePrompt:
    if isinstance(value, dict):
        if value.get(MEDIA):
            raise not_supported(f"{MEDIA} is not supported: images and sound cannot be read", "prompt")
        value = value.get(TEXT)
    if isinstance(value, str):
        return text(value)
    if isinstance(value, list) and value and all(map(_is_piece, value)):
        if not any(isinstance(piece, str) for piece in value):
            return tuple(value)
        if len(value) <= MAX_PIECES:
            return Mixed(tuple(text(piece) if isinstance(piece, str) else piece for piece in value))
        raise ValueError(f"at most {MAX_PIECES} texts and tokens can be mixed")
    raise ValueError("a text, a list of tokens and texts, or an object with prompt_string is expected")


def _is_piece(value: Any) -> bool:
    return isinstance(value, str) or (type(value) is int and 0 <= value <= MAX_INT)
