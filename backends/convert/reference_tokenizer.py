"""The checkpoint's own tokenizer, run by the library that it was made with. In a child only; runs no code of it.

Some texts are left out: those on which llama.cpp is known to differ in a way that its format cannot express.
"""

import json
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.child import Refusal
from backends.convert.added_tokens import added_in_settings
from backends.convert.byte_level import byte_alphabet, normalizer_steps
from backends.convert.fallback_bpe import SPACE
from backends.convert.files import read_checked, read_json
from backends.convert.nasty_texts import NASTY_TEXTS
from backends.convert.pretokenizer import find
from backends.convert.sentencepiece_model import read_model
from backends.convert.tokenizer import MAX_TOKENIZER_BYTES
from backends.convert.vocabulary import TokenType
from backends.convert.wordpiece import is_read_alike

NUM_WORDS = 800
NUM_SPECIAL = 12


@dataclass(frozen=True, slots=True)
class ReferenceTokenizer:
    """encode: text -> ids, without the tokens around it."""

    encode: Callable[[str], list[int]]
    decode: Callable[[int], str]  # an id without a token is an empty text
    special: tuple[str, ...]
    whole: tuple[str, ...]  # texts that are one token wherever they stand
    is_comparable: Callable[[str], bool]

    def texts(self) -> Iterator[str]:
        """What both tokenizers must agree on."""
        return filter(self.is_comparable, (*NASTY_TEXTS, *self._around_special()))

    def words(self, num_rows: int) -> Iterator[str]:
        """Tokens of the vocabulary, common and rare, as texts. num_rows: of the model."""
        for id_ in range(0, num_rows, max(1, num_rows // NUM_WORDS)):
            text = self.decode(id_)
            if text and "\ufffd" not in text and self.is_comparable(text):
                yield text

    def _around_special(self) -> Iterator[str]:
        for token in (*self.special[:NUM_SPECIAL], *self.whole[:NUM_SPECIAL]):
            yield from (token, f"Hello{token}world", f"one {token} two", f"{token}\nuser\n{token}{token}")


def read_reference(folder: Path) -> ReferenceTokenizer:
    """Raises Refusal when the library does not accept the checkpoint's file."""
    if (folder / "tokenizer.json").exists():
        settings = folder / "tokenizer_config.json"
        return _from_json(folder / "tokenizer.json", read_json(settings) if settings.exists() else {})
    return _from_model(folder / "tokenizer.model")


def _from_json(path: Path, settings: dict[str, Any]) -> ReferenceTokenizer:
    tokenizer = _loaded(path, settings)
    added = list(tokenizer.get_added_tokens_decoder().values())
    return ReferenceTokenizer(
        encode=lambda text: list(tokenizer.encode(text, add_special_tokens=False).ids),
        decode=lambda id_: str(tokenizer.decode([id_], skip_special_tokens=False)),
        special=tuple(token.content for token in added if token.special),
        whole=tuple(token.content for token in added if not token.special),
        is_comparable=_comparable(tokenizer, added),
    )


def _loaded(path: Path, settings: dict[str, Any]) -> Any:
    """With the tokens that transformers adds from tokenizer_config.json."""
    from tokenizers import AddedToken, Tokenizer

    content = read_checked(path, MAX_TOKENIZER_BYTES)
    try:
        tokenizer = Tokenizer.from_buffer(content)
        known = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
        more = [token for token in added_in_settings(settings, known) if token.text not in known]
        tokenizer.add_tokens([AddedToken(t.text, special=t.is_special, normalized=False) for t in more])
        tokenizer.no_truncation()
        tokenizer.no_padding()
    except (KeyboardInterrupt, SystemExit, Refusal):
        raise
    except BaseException as fault:  # the library's own class for whatever it does not like, and its panics
        raise Refusal(f"{path.name} is damaged: {fault!s:.200}. Download the checkpoint again.") from fault
    return tokenizer


def _from_model(path: Path) -> ReferenceTokenizer:
    """Special tokens are none of SentencePiece's business: a text that holds one is not asked."""
    from sentencepiece import SentencePieceProcessor

    model = read_model(path)
    processor = SentencePieceProcessor()
    try:
        processor.LoadFromFile(str(path))
    except (RuntimeError, OSError) as fault:
        raise Refusal(f"{path.name} is damaged. Download the checkpoint again.") from fault
    num_pieces = processor.GetPieceSize()
    hidden = {TokenType.CONTROL, TokenType.UNKNOWN}
    if model.adds_space:  # llama.cpp adds one after such a piece, too
        hidden.add(TokenType.USER_DEFINED)
    special = [text for text, type_ in zip(model.tokens, model.types, strict=True) if type_ in hidden]
    return ReferenceTokenizer(
        encode=lambda text: list(processor.EncodeAsIds(text)),
        decode=lambda id_: "" if id_ >= num_pieces or processor.IsControl(id_) else str(processor.DecodeIds([id_])),
        special=(),
        whole=(),
        is_comparable=lambda text: SPACE not in text and not any(token in text for token in special),
    )


def _state(part: Any) -> Any:
    """A normalizer or pre-tokenizer of the library as tokenizer.json writes it."""
    return None if part is None else json.loads(part.__getstate__())


def _comparable(tokenizer: Any, added: list[Any]) -> Callable[[str], bool]:
    """Whether llama.cpp can give the tokens of a text at all. What it cannot is in the notes of the vocabulary."""
    if not hasattr(tokenizer.model, "byte_fallback"):  # WordPiece
        return is_read_alike
    splitter = _state(tokenizer.pre_tokenizer) or {}
    is_composed = normalizer_steps({"normalizer": _state(tokenizer.normalizer)}) == [{"type": "NFC"}]
    has_words = not tokenizer.model.byte_fallback
    capitals_differ = has_words and find(splitter).capitals_differ
    swallows = any(token.lstrip or token.rstrip for token in added)
    is_metaspace = splitter.get("type") == "Metaspace" and splitter.get("prepend_scheme") != "never"
    special = [token.content for token in added] if swallows or is_metaspace else []
    letters = byte_alphabet().items() if has_words else ()
    missing = {byte for byte, letter in letters if tokenizer.model.token_to_id(letter) is None}

    def is_comparable(text: str) -> bool:
        if is_composed and not unicodedata.is_normalized("NFC", text):
            return False
        if capitals_differ and any(is_marked(c) for c in text):
            return False
        if not has_words and SPACE in text:  # as a letter of the text's own
            return False
        if missing and not missing.isdisjoint(text.encode()):  # what is around them merges in the original
            return False
        if is_metaspace and text.startswith(" "):
            return False
        return not any(token in text for token in special)

    return is_comparable


def is_marked(character: str) -> bool:
    """A capital beyond ASCII, or a combining mark."""
    return not character.isascii() and unicodedata.category(character) in ("Lu", "Lt", "Mn", "Mc", "Me")
