"""What is wrong with where or how a model runs: one sentence, and what helps."""

from dataclasses import dataclass
from enum import StrEnum


class Remedy(StrEnum):
    RELOAD = "Load again"
    SETTINGS = "Open settings"
    LOOK = "Show performance"


class Kind(StrEnum):
    FALLBACK = "cpu_fallback"
    SPILL = "spill"
    SQUEEZED = "memory_taken"
    THROTTLED = "throttled"


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence, and what helps."""

    engine: str
    kind: Kind
    sentence: str
    remedy: Remedy
