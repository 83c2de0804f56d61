"""Which of the files at hand a model is best compared to: the one that it was quantized from, or the next best."""

from collections.abc import Iterable

from app.library.entry import ModelEntry

BEST_FIRST = ("F32", "BF16", "F16", "Q8_0")


def reference_for(entry: ModelEntry, entries: Iterable[ModelEntry]) -> ModelEntry | None:
    """By architecture, number of parameters and name; whether they cut text alike is checked when they are read."""
    words = _words(entry)
    found = [
        other
        for other in entries
        if other.is_offered
        and other.path != entry.path
        and other.quantization in BEST_FIRST
        and (other.architecture, other.parameters) == (entry.architecture, entry.parameters)
        and _words(other) == words
        and _rank(other) < _rank(entry)
    ]
    return min(found, key=_rank, default=None)


def _rank(entry: ModelEntry) -> int:
    return BEST_FIRST.index(entry.quantization) if entry.quantization in BEST_FIRST else len(BEST_FIRST)


def _words(entry: ModelEntry) -> str:
    """The file's name without its type: "tiny-chat-Q4_K_M" and "Tiny-Chat.F16" are of one model."""
    name = entry.path.stem.casefold().replace(entry.quantization.casefold(), "")
    return "".join(letter for letter in name if letter.isalnum())
