"""What a row of the cards' table says: a card, or an original that cards are compared to. Knows no widget."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.lab.card import verdict

if TYPE_CHECKING:
    from app.lab.card import Card
    from backends.measurement import Divergence, Speed


@dataclass(frozen=True, slots=True)
class Row:
    """card: None for an original that has no card of its own. accuracy: of multiple choice, 0 to 1."""

    name: str
    quantization: str
    bytes: int
    bits: float
    kld: "Divergence | None"
    speed: "Speed | None"
    accuracy: float | None
    sentence: str
    card: "Card | None" = None


def rows(cards: "list[Card]") -> list[Row]:
    """One for each card, and one for each original that is none of them."""
    made = [_of_card(card) for card in cards]
    known = {(row.name, row.bytes) for row in made}
    originals = {}
    for card in cards:
        reference = card.reference
        if card.kld and reference and (reference.name, reference.bytes) not in known:
            originals[reference.name, reference.bytes] = _of_original(card)
    return [*made, *originals.values()]


def _of_card(card: "Card") -> Row:
    accuracy = card.choices.accuracy if card.choices else None
    sentence = verdict(card)
    bits = card.bits_per_weight
    return Row(card.name, card.quantization, card.bytes, bits, card.kld, card.speed, accuracy, sentence, card)


def _of_original(card: "Card") -> Row:
    """As it was measured for this card."""
    it = card.reference
    assert it is not None
    bits = card.bits_per_weight * it.bytes / card.bytes  # of the same weights
    accuracy = card.choices.reference_accuracy if card.choices else None
    sentence = "The original that the others are compared to."
    return Row(it.name, it.quantization, it.bytes, bits, None, it.speed, accuracy, sentence)
