"""A card: what one file costs and gains on one machine. Knows how to say it in a sentence, not how to measure."""

from dataclasses import dataclass

from backends.measurement import Choices, Divergence, Evaluation, Noise, Speed

ALIKE = 1.05  # sizes and speeds within this factor are called the same
# mean KL divergence, from what is known of the usual types: Q8_0 0.001, Q4_K_M 0.03, Q4_0 0.07, IQ2 above 0.2
GRADES = ((0.005, "Practically the same answers"), (0.05, "Close to the original"), (0.15, "Noticeably worse"))
WORST = "Much worse"
GOOD_GRADES = 2  # so many of them need no warning
UNQUANTIZED = ("F32", "F16", "BF16")


@dataclass(frozen=True, slots=True)
class Reference:
    """The file that a card's own is compared to, measured in the same hour on the same machine."""

    name: str
    quantization: str
    bytes: int
    speed: Speed | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """identity: of the file's content, so that a card outlives a new name. made: ISO 8601, UTC.

    evaluation.kld is None where nothing was there to compare with.
    """

    identity: str
    name: str
    quantization: str
    bytes: int
    bits_per_weight: float
    machine: str
    made: str
    speed: Speed
    evaluation: Evaluation | None = None
    reference: Reference | None = None

    @property
    def kld(self) -> Divergence | None:
        return self.evaluation.kld if self.evaluation else None

    @property
    def choices(self) -> Choices | None:
        return self.evaluation.choices if self.evaluation else None

    @property
    def noise(self) -> Noise | None:
        return self.evaluation.noise if self.evaluation else None

    @property
    def is_worse(self) -> bool:
        """Whether a person should be warned of its quality."""
        return self.kld is not None and self.kld.mean >= GRADES[GOOD_GRADES - 1][0]


def verdict(card: Card) -> str:
    """What was given up and what was gained, in that order: a gain is never named without its price."""
    kld = card.kld
    if kld is None and card.quantization in UNQUANTIZED:
        return "Nothing was given up: its weights are not quantized."
    if kld is None or card.reference is None:
        return "Its quality is unknown: there was no reference to compare it with."
    grade = next((words for limit, words in GRADES if kld.mean < limit), WORST)
    parts = [f"{grade}: same next token in {kld.same_top:.1%}", _size(card.reference.bytes / card.bytes)]
    if card.reference.speed is not None:
        parts.append(_speed(card.speed.decode_per_second / card.reference.speed.decode_per_second))
    return "; ".join(parts) + f", compared to {card.reference.quantization or card.reference.name}."


def _size(factor: float) -> str:
    if 1 / ALIKE < factor < ALIKE:
        return "as large"
    return f"{factor:.1f} times smaller" if factor > 1 else f"{1 / factor:.1f} times larger"


def _speed(factor: float) -> str:
    if 1 / ALIKE < factor < ALIKE:
        return "as fast here"
    return f"{factor:.1f} times faster here" if factor > 1 else f"{1 / factor:.1f} times slower here"
