"""Refuses vocabularies on which llama.cpp ends the process (src/llama-vocab.cpp). The header must hold KEPT arrays."""

from typing import Any

from backends.formats import FormatError
from backends.formats.gguf import Header
from backends.formats.gguf_cursor import ARRAY, STRING

I32, F32 = 5, 6  # enum gguf_type
BYTE = 6  # enum llama_token_type
MODELS = ("llama", "gpt2", "bert", "t5", "rwkv", "plamo2", "gemma4")
WITHOUT = ("none", "no_vocab")  # loads, and is then refused by the engine, which knows what it is for
WITH_BYTES = ("llama", "gpt2", "t5", "gemma4")  # whose byte tokens can be turned back
PREFIX = "tokenizer.ggml."
KEPT = frozenset({f"{PREFIX}tokens", f"{PREFIX}token_type"})  # arrays that have to be read for this


def check_vocabulary(header: Header) -> None:
    """Raises FormatError. Empty tokens and those cut off at a NUL are named as llama.cpp names them."""
    model = header.metadata.get(f"{PREFIX}model")
    if model in WITHOUT:
        return
    if model not in MODELS:
        raise _refuse(header, f"it has no tokenizer that can be used ({model!r:.40})")
    tokens = _texts(header, "tokens")
    if not tokens:
        raise _refuse(header, "its tokenizer has no tokens")
    if len(set(tokens)) != len(tokens):
        raise _refuse(header, "its tokenizer has the same token twice")
    if model in ("gpt2", "gemma4") and header.metadata.get(f"{PREFIX}pre") != "kimi-k2":
        _check_texts(header, "merges")
    _check_lists(header, len(tokens))
    kinds = header.metadata.get(f"{PREFIX}token_type") or []
    _check_bytes(header, str(model), tokens, kinds)


def _texts(header: Header, name: str) -> list[str]:
    """As llama.cpp sees them: a text ends at its first NUL, an empty one gets a name."""
    _check_texts(header, name)
    texts = header.metadata[PREFIX + name] or []
    return [text.partition("\0")[0] or f"[EMPTY_{number}]" for number, text in enumerate(texts)]


def _check_texts(header: Header, name: str) -> None:
    kind = header.kinds.get(PREFIX + name)
    if kind is None or (kind.type, kind.element) != (ARRAY, STRING):
        raise _refuse(header, f"its tokenizer has no {name}")


def _check_lists(header: Header, num_tokens: int) -> None:
    for name, elements in (("scores", (I32, F32)), ("token_type", (I32,))):
        kind = header.kinds.get(PREFIX + name)
        if kind and (kind.type != ARRAY or kind.element not in elements or kind.count < num_tokens):
            raise _refuse(header, f"the {name} of its tokenizer do not go with its tokens")


def _check_bytes(header: Header, model: str, tokens: list[str], kinds: list[Any]) -> None:
    if model not in WITH_BYTES and BYTE in kinds:
        raise _refuse(header, "its tokenizer has byte tokens, which its kind does not know")
    if model != "llama":
        return
    known = set(tokens)
    if missing := next((b for b in range(256) if f"<0x{b:02X}>" not in known and chr(b) not in known), None):
        raise _refuse(header, f"its tokenizer has no token for the byte {missing}")


def _refuse(header: Header, what: str) -> FormatError:
    return FormatError(f"{header.path.name} cannot be loaded: {what}. Download it again.")
