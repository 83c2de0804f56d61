"""Multiple choice as HellaSwag has it: a beginning, four endings, one of them right. Knows no model.

The file is llama-perplexity's (`--hellaswag`): six lines an item, the beginning, the number of the right ending from 0,
and the endings. The ending with the highest mean log probability of its tokens is the model's answer (acc_norm).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from backends.measurement import Choices

NUM_ENDINGS = 4
LINES = 2 + NUM_ENDINGS
MAX_ITEMS = 20_000  # HellaSwag's own validation set has 10,042
MAX_LINE = 4000  # characters
MIN_ITEMS = 10
Z = 1.959963984540  # of 95 %


class BadItems(Exception):
    """What is no such file; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class Item:
    """right: the number of the true ending."""

    beginning: str
    endings: tuple[str, ...]
    right: int


@dataclass(frozen=True, slots=True)
class Answer:
    """Of one item: what was chosen, and the mean log probability of each ending."""

    chosen: int
    scores: tuple[float, ...]


def read_items(text: str) -> tuple[Item, ...]:
    """Raises BadItems."""
    lines = text.removesuffix("\n").split("\n")
    if len(lines) % LINES or not MIN_ITEMS <= len(lines) // LINES <= MAX_ITEMS:
        raise BadItems(
            f"A multiple-choice file has {LINES} lines for each item (beginning, number of the right ending from 0, "
            f"four endings) and {MIN_ITEMS} to {MAX_ITEMS:,} items; this one has {len(lines):,} lines."
        )
    return tuple(_item(lines[first : first + LINES], first + 1) for first in range(0, len(lines), LINES))


def _item(lines: list[str], number: int) -> Item:
    beginning, right, *endings = (line.removesuffix("\r") for line in lines)
    if not all((beginning.strip(), *map(str.strip, endings))) or max(map(len, lines)) > MAX_LINE:
        raise BadItems(f"Line {number} begins an item with an empty line, or one of over {MAX_LINE:,} characters.")
    if right not in ("0", "1", "2", "3"):
        raise BadItems(f"Line {number + 1} should be the number of the right ending, 0 to 3, not {right[:20]!r}.")
    if len(set(endings)) < NUM_ENDINGS:
        raise BadItems(f"Two of the endings after line {number + 1} are the same.")
    return Item(beginning, tuple(endings), int(right))


def answer(scores: Sequence[float]) -> Answer:
    """The first of the best, as llama-perplexity takes it."""
    return Answer(max(range(len(scores)), key=lambda ending: (scores[ending], -ending)), tuple(scores))


def judge(items: Sequence[Item], answers: Sequence[Answer], others: Sequence[Answer] | None, seconds: float) -> Choices:
    """others: the reference's answers to the same items."""
    right, low, high = _share(items, answers)
    reference = _share(items, others)[0] if others else None
    same = sum(a.chosen == b.chosen for a, b in zip(answers, others, strict=True)) if others else None
    return Choices(right, low, high, len(items), seconds, reference, None if same is None else same / len(items))


def _share(items: Sequence[Item], answers: Sequence[Answer]) -> tuple[float, float, float]:
    """Right ones, and the 95 % interval of Wilson (1927), which llama-perplexity prints too."""
    count = len(items)
    share = sum(one.chosen == item.right for item, one in zip(items, answers, strict=True)) / count
    z = Z * Z / count
    around = z * sqrt(count * (4 * share * (1 - share) + z)) / (2 * Z)
    return share, (share + z / 2 - around) / (1 + z), (share + z / 2 + around) / (1 + z)
