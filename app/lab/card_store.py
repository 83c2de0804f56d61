"""Cards on disk, a JSON file each. Thread-safe by atomic replacement; knows no measuring.

Files, not the chats' database: cards are written by the window, by commands and by installations, each from a thread of
its own; they are few, never queried, worth copying to another machine, and must outlive a damaged chat history.
"""

import hashlib
import json
import os
from dataclasses import asdict, replace
from pathlib import Path

from app.errors import EvaluationError
from app.lab.card import Card
from app.shaped import shaped
from app.whole_file import replace_file, set_aside
from backends.ownership.files import delete_file
from backends.regular_file import read_regular

SUFFIX = ".card.json"
MAX_BYTES = 1 << 16
VERSION = 2
READABLE = (1, VERSION)  # 1 had no multiple choice and no kernel noise


class CardStore:
    """One card for each file content, machine and setting: a new one replaces the old."""

    def __init__(self, folder: Path):
        self._folder = folder

    def save(self, card: Card) -> None:
        """Raises EvaluationError when the disk does not take it."""
        document = {"version": VERSION, "card": asdict(card)}
        try:
            content = json.dumps(document, indent=2, ensure_ascii=False)
            _keep_odd(self._folder / _file_name(card))
            replace_file(self._folder / _file_name(card), content.encode())
            if card.evaluation:  # which says all that a card of the speed alone says
                self.remove(replace(card, evaluation=None))
        except OSError as fault:
            raise EvaluationError(
                f"The card could not be kept in {self._folder}: {fault.strerror or fault}."
            ) from fault

    def cards(self) -> list[Card]:
        """Newest first. A damaged one is passed over: it can be measured again."""
        found = [card for path in self._folder.glob(f"*{SUFFIX}") if (card := _read(path))]
        return sorted(found, key=lambda card: card.made, reverse=True)

    def of(self, identity: str) -> list[Card]:
        """Those of one file content, newest first."""
        return [card for card in self.cards() if card.identity == identity]

    def remove(self, card: Card) -> None:
        delete_file(self._folder / _file_name(card))


def _file_name(card: Card) -> str:
    evaluation = card.evaluation
    cache = (evaluation.kv_type_k, evaluation.kv_type_v, evaluation.context) if evaluation else ()
    key = repr((card.identity, card.machine, cache))
    return hashlib.sha256(key.encode()).hexdigest()[:32] + SUFFIX


def _read(path: Path) -> Card | None:
    try:
        document = json.loads(read_regular(path, MAX_BYTES))
        if document["version"] not in READABLE:
            return None
        card = shaped(Card, document["card"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    return card if _is_sane(card) else None


def _is_sane(card: Card) -> bool:
    """Its sizes and speeds are divided by."""
    speeds = [each for each in (card.speed, card.reference and card.reference.speed) if each]
    sizes = [card.bytes, *([card.reference.bytes] if card.reference else [])]
    return min(sizes) > 0 and all(min(speed.decode_per_second, speed.prompt_per_second) > 0 for speed in speeds)


def _keep_odd(path: Path) -> None:
    """What lies in a card's place and is none is not written over. Raises OSError."""
    if os.path.lexists(path) and _read(path) is None:
        set_aside(path)
