"""Where a value lies on an axis, and which values are written beside it. Knows no widget."""

import math
from dataclasses import dataclass

STEPS = (1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Axis:
    """From low to high, low < high; a logarithmic one needs 0 < low."""

    low: float
    high: float
    is_logarithmic: bool = False

    @classmethod
    def around(cls, values: list[float], is_logarithmic: bool = False) -> "Axis":
        """With some air at both ends."""
        low, high = min(values), max(values)
        if is_logarithmic:
            low, high = math.log10(low), math.log10(high)
        air = 0.12 * (high - low) or (0.3 if is_logarithmic else 0.1 * abs(high) or 1.0)
        low, high = low - air, high + air
        return cls(10**low, 10**high, True) if is_logarithmic else cls(low, high)

    def place(self, value: float) -> float:
        """0 at the low end, 1 at the high end; what lies outside is put at the nearer end."""
        low, high = self.low, self.high
        value = min(max(value, low), high)
        if self.is_logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return (value - low) / (high - low)

    def ticks(self, count: int = 5) -> list[float]:
        """Round values inside the axis, about `count` of them."""
        return self._decades() if self.is_logarithmic else self._evenly(count)

    def _evenly(self, count: int) -> list[float]:
        raw = (self.high - self.low) / count
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(power * factor for factor in STEPS if power * factor >= raw * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        return [round(step * i, 12) for i in range(first, math.floor(self.high / step + 1e-9) + 1)]

    def _decades(self) -> list[float]:
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        factors = (1, 2, 5) if last - first <= 3 else (1,)
        values = [round(f * 10.0**power, 12) for power in range(first, last + 1) for f in factors]
        return [value for value in values if self.low <= value <= self.high]
