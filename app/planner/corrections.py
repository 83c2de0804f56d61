"""What a load has shown about the plans for a model: how much more or less it took than was reckoned.

Kept for each model and build of the engine; the next plan is corrected by it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from app.planner.memory import Take

MOST = 0.5  # of what was reckoned; a measurement that differs by more was of something else


@dataclass(frozen=True, slots=True)
class Correction:
    """factors: of the compute buffer, by device; what the header says of weights and cache is exact."""

    factors: Mapping[str, float] = field(default_factory=dict)

    def applied(self, takes: tuple[Take, ...]) -> tuple[Take, ...]:
        return tuple(
            replace(take, compute=round(take.compute * self.factors[take.device]))
            if take.device in self.factors
            else take
            for take in takes
        )

    @classmethod
    def of(cls, planned: Mapping[str, int], measured: Mapping[str, int]) -> "Correction":
        """Bytes of compute buffers by device, as they were planned and as they became."""
        factors = {}
        for device, reckoned in planned.items():
            found = measured.get(device)
            if found and reckoned and abs(found / reckoned - 1) <= MOST:
                factors[device] = found / reckoned
        return cls(factors) if factors else NONE


NONE = Correction()
