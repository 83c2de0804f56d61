"""Reads a tokenizer.model of SentencePiece into the vocabulary of a GGUF file. Runs no tokenizer.

The file is a protocol buffer (sentencepiece_model.proto): ModelProto {pieces = 1, trainer_spec = 2,
normalizer_spec = 3}, SentencePiece {piece = 1, score = 2, type = 3}.
"""

import math
from dataclasses import dataclass
from pathlib import Path

from backends.child import Refusal
from backends.convert.fallback_bpe import SPACE, UNUSED_SCORE, put_added
from backends.convert.protobuf import fields
from backends.convert.vocabulary import AddedToken, Lexicon, TokenType
from backends.regular_file import OddFileError, TooLargeError, read_regular

MAX_FILE_BYTES = 16 << 20  # the largest, of Gemma: 5 MB with 262,144 pieces
MAX_PIECES = 300_000
MAX_SETTINGS = 500  # fields of the trainer and of the file that are no pieces
KINDS = {1: "Unigram", 2: "BPE", 3: "Word", 4: "Character"}  # TrainerSpec.ModelType
DAMAGED = "tokenizer.model is damaged, or no SentencePiece model. Download the checkpoint again."


@dataclass(slots=True)
class SentencePieceModel:
    """The pieces and the settings of it that change tokens, with the defaults of the schema."""

    tokens: list[str]
    types: list[TokenType]
    scores: list[float]
    kind: int = 1
    adds_space: bool = True
    collapses_spaces: bool = True
    changes_characters: bool = False
    special_ids: tuple[int, int, int, int] = (0, 1, 2, -1)  # unk, bos, eos, pad


def read_lexicon(model: SentencePieceModel, added: dict[int, AddedToken], size: int) -> Lexicon:
    """size: rows of the embedding. Added tokens beyond it can never be used and are left out. Raises Refusal."""
    if model.kind != 2:
        kind = KINDS.get(model.kind, "unknown")
        raise Refusal(f"The tokenizer is a SentencePiece model of the kind {kind}; only BPE is supported.")
    if model.collapses_spaces or model.changes_characters:
        raise Refusal("The tokenizer rewrites a text before it cuts it (normalizer_spec), which llama.cpp cannot do.")
    if model.types.count(TokenType.BYTE) != 256:
        raise Refusal("The tokenizer has no tokens for single bytes, which llama.cpp needs for a SentencePiece model.")
    if len(model.tokens) > size:
        raise Refusal(f"The tokenizer knows {len(model.tokens)} tokens, but the model has only {size} rows for them.")
    num_missing = size - len(model.tokens)
    tokens = model.tokens + [f"[PAD{id_}]" for id_ in range(len(model.tokens), size)]
    types = model.types + [TokenType.UNUSED] * num_missing
    scores = model.scores + [UNUSED_SCORE] * num_missing
    put_added(tokens, types, scores, added)
    return Lexicon("llama", "default", tokens, types, scores=scores, adds_space=model.adds_space)


def read_model(path: Path) -> SentencePieceModel:
    """Raises Refusal when the file is too large or not a SentencePiece model."""
    try:
        return _parse(read_regular(path, MAX_FILE_BYTES))
    except TooLargeError as fault:
        raise Refusal(f"{path.name} is too large to be what its name says.") from fault
    except OddFileError as fault:
        raise Refusal(f"{path.name} is not what its name says: {fault.strerror}.") from fault
    except OSError as fault:
        raise Refusal(f"{path} cannot be read: {fault.strerror or fault}.") from fault
    except (ValueError, TypeError) as fault:
        raise Refusal(DAMAGED) from fault


def _parse(message: bytes) -> SentencePieceModel:
    model = SentencePieceModel([], [], [])
    for number, value in fields(message, MAX_PIECES + MAX_SETTINGS):
        if number == 1:
            _add_piece(model, dict(fields(_bytes(value))))
        elif number == 2:
            trainer = dict(fields(_bytes(value), MAX_SETTINGS))
            model.kind = _int(trainer.get(3, 1))
            ids = [_int(trainer.get(40 + i, default)) for i, default in enumerate((0, 1, 2, -1))]
            unk, bos, eos, pad = (id_ if id_ < MAX_PIECES else -1 for id_ in ids)  # −1 is written as 2⁶⁴ − 1
            model.special_ids = unk, bos, eos, pad
        elif number == 3:
            normalizer = dict(fields(_bytes(value), MAX_SETTINGS))
            model.changes_characters = len(_bytes(normalizer.get(2, memoryview(b"")))) > 0
            model.adds_space = bool(normalizer.get(3, True))
            model.collapses_spaces = bool(normalizer.get(4, True))
    if not model.tokens:
        raise ValueError("no pieces")
    return model


def _add_piece(model: SentencePieceModel, piece: dict[int, int | float | memoryview]) -> None:
    type_ = TokenType(_int(piece.get(3, 1)))
    text = str(_bytes(piece[1] if 1 in piece else memoryview(b"")), "utf-8")
    score = piece.get(2, 0.0)
    if not text or not isinstance(score, float) or not math.isfinite(score) or len(model.tokens) >= MAX_PIECES:
        raise ValueError("not a piece")
    model.tokens.append(text.replace(SPACE, " ") if type_ is TokenType.USER_DEFINED else text)
    model.types.append(type_)
    model.scores.append(score)


def _bytes(value: int | float | memoryview) -> memoryview:
    if not isinstance(value, memoryview):
        raise ValueError("a number where bytes belong")
    return value


def _int(value: int | float | memoryview) -> int:
    if not isinstance(value, int):
        raise ValueError("no whole number")
    return value
