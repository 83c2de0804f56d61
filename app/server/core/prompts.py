"""Prompts as llama-server takes them: texts, token ids, both in one, parts of a message, and several at once."""

from dataclasses import dataclass
from typing import Any

from app.server.core.fields import not_supported, only_text, text, whole
from app.server.core.prompt import TOKEN_SCHEMA, TOKENS_SCHEMA, as_tokens, is_token

MAX_PIECES = 256  # of a prompt that mixes texts and tokens: each text is read by itself
TEXT, MEDIA, CONTENT = "prompt_string", "multimodal_data", "content"
NO_MEDIA: tuple[Any, ...] = (None, "", [])
Piece = str | int

STRING: dict[str, Any] = {"type": "string"}
SOME_TEXT = STRING | {"minLength": 1}
PIECES_SCHEMA: dict[str, Any] = {
    "type": "array",
    "items": {"anyOf": [TOKEN_SCHEMA, STRING]},
    "minItems": 1,
    "maxItems": MAX_PIECES,
}
# several texts without a token among them are several prompts
MIXED_SCHEMA = PIECES_SCHEMA | {"contains": {"type": "integer"}}
PART_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"type": {"const": "text"}, "text": STRING},
    "required": ["type", "text"],
}
WITH_CONTENT: dict[str, Any] = {
    "type": "object",
    "properties": {CONTENT: {"type": "array", "items": PART_SCHEMA}, TEXT: {"type": "null"}},
    "required": [CONTENT],
}


@dataclass(frozen=True, slots=True)
class Mixed:
    """Texts and tokens of one prompt, in their order."""

    pieces: tuple[Piece, ...]


OnePrompt = str | tuple[int, ...] | Mixed


def pieces_of(prompt: OnePrompt) -> str | tuple[Piece, ...]:
    return prompt.pieces if isinstance(prompt, Mixed) else prompt


@dataclass(frozen=True, slots=True)
class Prompts:
    """are_several: they were a list, and so are their answers."""

    prompts: tuple[OnePrompt, ...]
    are_several: bool


def schema(most: int, text: dict[str, Any] = STRING, *, has_contents: bool = False) -> dict[str, Any]:
    """What `as_prompts` takes, and `text` is said of a text."""
    with_text = {
        "type": "object",
        "properties": {TEXT: {"anyOf": [text, TOKENS_SCHEMA, PIECES_SCHEMA]}, MEDIA: {"enum": list(NO_MEDIA)}},
        "required": [TEXT],
    }
    objects = [with_text, WITH_CONTENT] if has_contents else [with_text]
    several = {
        "type": "array",
        "items": {"anyOf": [text, TOKENS_SCHEMA, PIECES_SCHEMA, *objects]},
        "minItems": 1,
        "maxItems": most,
    }
    return {"anyOf": [text, TOKENS_SCHEMA, MIXED_SCHEMA, *objects, several]}


def as_prompts(value: Any, most: int, *, has_contents: bool = False) -> Prompts:
    """has_contents: objects may have the parts of a message, which are joined as they are."""
    if isinstance(value, list) and (tokens := as_tokens(value)):
        return Prompts((tokens,), are_several=False)
    if not isinstance(value, list) or _is_one(value, most):
        return Prompts((_one(value, has_contents),), are_several=False)
    if not 1 <= len(value) <= most:
        raise ValueError(f"from 1 to {most} prompts are expected")
    return Prompts(tuple(_one(each, has_contents) for each in value), are_several=True)


def _is_one(value: list[Any], most: int) -> bool:
    """Of texts and tokens. No more is looked at than could be taken."""
    return any(type(whole(each)) is int for each in value[: max(most, MAX_PIECES)])


def _one(value: Any, has_contents: bool) -> OnePrompt:
    if isinstance(value, dict):
        if value.get(MEDIA) not in NO_MEDIA:
            raise not_supported(f"{MEDIA} is not supported: images and sound cannot be read")
        is_content = has_contents and value.get(TEXT) is None and CONTENT in value
        value = _joined(value[CONTENT]) if is_content else value.get(TEXT)
    if isinstance(value, str):
        return text(value)
    if isinstance(value, list) and (tokens := as_tokens(value)):
        return tokens
    if isinstance(value, list) and len(value) > MAX_PIECES and str in set(map(type, value)):
        raise ValueError(f"at most {MAX_PIECES} texts and tokens can be mixed")
    if isinstance(value, list) and 0 < len(value) <= MAX_PIECES and all(map(_is_piece, value)):
        return Mixed(tuple(text(piece) if isinstance(piece, str) else whole(piece) for piece in value))
    raise ValueError("a text, a list of tokens and texts, or an object with prompt_string is expected")


def _joined(parts: Any) -> str:
    if not isinstance(parts, list):
        raise ValueError(f"{CONTENT} is a list of parts")
    return "".join(map(_part_text, parts))


def _part_text(part: Any) -> str:
    if not isinstance(part, dict) or not isinstance(part.get("type"), str):
        raise ValueError("each part is an object with a type")
    if part["type"] != "text":
        raise only_text(part["type"], "parts")
    if not isinstance(part.get("text"), str):
        raise ValueError("a text part has a text")
    said: str = part["text"]
    return said


def _is_piece(value: Any) -> bool:
    return isinstance(value, str) or is_token(value)
