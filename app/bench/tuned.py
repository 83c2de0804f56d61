"""What tuning has found for one model: values only. Knows no engine."""

from dataclasses import dataclass
from enum import StrEnum

from app.bench.figures import Comparison, Sample, is_busy
from app.library.defaults import ModelDefaults
from backends.measurement import Divergence


class Purpose(StrEnum):
    """CHAT: how soon one person has an answer. BATCH: what many requests get through together."""

    CHAT = "chat"
    BATCH = "batch"


UNITS = {Purpose.CHAT: "turns a minute", Purpose.BATCH: "tokens/s in all"}


@dataclass(frozen=True, slots=True)
class Trial:
    """words: what was tried. score: more is better, in the purpose's unit; None where it could not be measured, and
    problem says why. is_taken: the search went on from it."""

    words: str
    options: ModelDefaults
    score: Sample | None = None
    is_taken: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """A KV cache of `kind` beside what was found. It changes the answers, by `divergence`; None: not measured."""

    kind: str
    options: ModelDefaults
    gain: Comparison
    divergence: Divergence | None = None


@dataclass(frozen=True, slots=True)
class Tuned:
    """before, after: options of the model's own. equal: the first ones beside themselves, in engines started anew
    (A/A). gain: the last ones beside the first, in engines that took no part in the search; None: nothing better was
    seen. others: cores that other programs used."""

    identity: str
    name: str
    purpose: Purpose
    machine: str
    num_cores: int
    build: str
    measured: str  # when it began: ISO 8601, seconds, with the zone
    before: ModelDefaults
    after: ModelDefaults
    equal: Comparison
    gain: Comparison | None = None
    trials: tuple[Trial, ...] = ()
    offer: Offer | None = None
    others: tuple[float, ...] = ()

    @property
    def noise(self) -> float:
        """The share by which equal engines came out apart."""
        return max(self.equal.apart, self.equal.scatter or 0.0)

    @property
    def is_gain(self) -> bool:
        """More than equal engines differ by."""
        return self.gain is not None and is_more(self.gain, self.noise)

    @property
    def is_offer_gain(self) -> bool:
        return self.offer is not None and is_more(self.offer.gain, self.noise)

    @property
    def is_busy(self) -> bool:
        return any(is_busy(others, self.num_cores) for others in self.others)


def is_more(comparison: Comparison, noise: float) -> bool:
    return comparison.ratio - 1 > noise and comparison.is_shown
