"""What the picture shows of each card, and how values are written. Knows no painter."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ui.figures import size

if TYPE_CHECKING:
    from app.lab.card import Card


class Measure(StrEnum):
    DIVERGENCE = "KL divergence from the original (lower is better)"
    SAME_TOP = "First choices kept (higher is better)"


@dataclass(frozen=True, slots=True)
class Point:
    """num_bytes: how far to the right; quality: None for the original itself, which has nothing to lose."""

    label: str
    num_bytes: int
    quality: float | None
    speed: float | None
    card: "Card | None"

    def text(self, measure: Measure) -> str:
        """All its values, for the caption and for who cannot see the picture."""
        parts = [self.label, size(self.num_bytes)]
        if self.quality is None:
            parts.append("the original")
        elif self.card and (kld := self.card.kld):
            parts += [f"KL divergence {kld.mean:.4f} ± {kld.error:.4f}", f"{kld.same_top:.1%} same next token"]
        else:
            parts.append(write(self.quality, measure))
        if self.speed is not None:
            parts.append(f"{self.speed:,.1f} tokens/s")
        return "  ·  ".join(parts)


def points(cards: "list[Card]", measure: Measure) -> list[Point]:
    """Smallest first: one for each card with a quality, and one for each original."""
    found, originals = [], {}
    for card in cards:
        if card.kld is None:
            continue
        quality = card.kld.mean if measure is Measure.DIVERGENCE else card.kld.same_top
        found.append(Point(_label(card), card.bytes, quality, card.speed.decode_per_second, card))
        if card.reference is not None:
            speed = card.reference.speed.decode_per_second if card.reference.speed else None
            name = card.reference.quantization or card.reference.name
            originals[card.reference.name] = Point(name, card.reference.bytes, None, speed, None)
    return sorted([*found, *originals.values()], key=lambda point: point.num_bytes)


def write(quality: float, measure: Measure) -> str:
    return f"{quality:.1%}" if measure is Measure.SAME_TOP else f"{quality:.4g}"


def _label(card: "Card") -> str:
    """The type is what differs; a quantized cache is named with it."""
    evaluation = card.evaluation
    types = (evaluation.kv_type_k, evaluation.kv_type_v) if evaluation else ("f16", "f16")
    cache = "" if types == ("f16", "f16") else f" (cache {types[0]}/{types[1]})"
    return f"{card.quantization or card.name}{cache}"
