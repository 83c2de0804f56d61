"""YaRN, which stretches slow rotary frequencies and leaves fast ones: what llama.cpp computes of it, and what not."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.convert.rope import Rope, RopeKind
from backends.convert.sentences import quoted

FAST, SLOW = 32, 1  # turns within the original context, between which frequencies are stretched in part
MOST_RADIANS = 1e-3  # per token: some times gpt-oss's; a model that is more than this off would answer otherwise


@dataclass(frozen=True, slots=True)
class Rounding:
    """The dimensions between which frequencies are stretched in part, as the file has them and as llama.cpp."""

    exact: tuple[float, float]
    rounded: tuple[float, float]
    radians: float  # the largest difference that it makes, per token

    @property
    def note(self) -> str:
        (low, high), (first, last) = self.exact, self.rounded
        return (
            f"llama.cpp rounds where this model's YaRN scaling begins and ends (dimensions {low:.1f} to {high:.1f} "
            f"become {first:.0f} to {last:.0f}), as in every GGUF file of it: the angles between tokens 1,000 apart "
            f"are up to {1000 * self.radians:.2f} radians off."
        )


def yarn_rounding(rope: Rope, width: int) -> Rounding | None:
    """None where nothing is rounded that the file does not want rounded. width: of what is turned of a head."""
    if rope.kind is not RopeKind.YARN or rope.table.get("truncate") is not False or rope.theta <= 1:
        return None
    low, high = (_dimension(rope, width, turns) for turns in (FAST, SLOW))
    exact = max(low, 0.0), min(high, width - 1.0)
    rounded = max(math.floor(low), 0.0), min(math.ceil(high), width - 1.0)
    off = _frequencies(rope, width, *exact) - _frequencies(rope, width, *rounded)
    return Rounding(exact, rounded, float(np.abs(off).max()))


def _dimension(rope: Rope, width: int, turns: int) -> float:
    """That turns so often within the original context (transformers `find_correction_dim`)."""
    return width * math.log(rope.original_context / (turns * 2 * math.pi)) / (2 * math.log(rope.theta))


def _frequencies(rope: Rope, width: int, low: float, high: float) -> NDArray[np.float64]:
    """width / 2 of them (transformers `_compute_yarn_parameters`)."""
    pairs = np.arange(width // 2)
    stretched = np.clip((pairs - low) / max(high - low, 1e-3), 0, 1)
    return np.asarray(rope.theta ** (-2 * pairs / width) * (1 - stretched + stretched / rope.number("factor")))


def yarn_fault(rope: Rope, has_mscale: bool, width: int) -> str | None:
    """llama.cpp reads the factor and the original context; the rest is as transformers has it when nobody asks."""
    usual: dict[str, tuple[Any, ...]] = {"beta_fast": (FAST,), "beta_slow": (SLOW,), "truncate": (True, False)}
    usual |= {} if has_mscale else {"mscale": (), "mscale_all_dim": ()}
    for key, values in usual.items():
        if rope.table.get(key) is not None and rope.table[key] not in values:
            return f"A rotary scaling 'yarn' with {key} = {quoted(rope.table[key])}"
    if (rounding := yarn_rounding(rope, width)) is not None and rounding.radians > MOST_RADIANS:
        return "A rotary scaling 'yarn' with truncate = False, which llama.cpp rounds so far that answers change,"
    expected = 1.0 if has_mscale else 0.1 * math.log(max(rope.number("factor"), 1.0)) + 1
    if abs(rope.number("attention_factor", expected) - expected) > 1e-6:
        return "A rotary scaling 'yarn' with an attention_factor of its own"
    return None
