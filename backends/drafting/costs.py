"""What a step costs, learnt from the steps themselves: by rows of answers, and by chunks of prompts beside them.

Two things change at different paces: how much more a step of n rows costs than one of one row, V(n), which is the
model's and the machine's; and what one row costs now, which the depth of the context and other programs change all
the time. So they are kept apart, and what a step of one size teaches of the moment holds for all sizes.
Seconds are wall time of Runner.run.
"""

from backends.drafting.chunk_costs import Chunk
from backends.drafting.pace import Pace
from backends.median import running_median

FAST, SLOW = 0.08, 0.02  # shares that one step may move what a row costs now, and V(n)


class StepCosts:
    """Seconds of a step by its number of rows, where every row is sampled."""

    def __init__(self, pace: Pace | None = None) -> None:
        self.pace = pace or Pace()
        self._row: float | None = None  # seconds of a step of one row
        self._ratios: dict[int, float] = {1: 1.0}
        self.prompt_token: float | None = None  # seconds to read one of a prompt
        self.most_rows = 0  # the largest step of answers seen so far
        # seconds that a step of another size than the last takes longer: llama.cpp plans its graph anew
        self.change = 0.0
        self._last_rows = 0

    def observe(self, num_rows: int, seconds: float, chunks: list[Chunk] | None = None) -> None:
        """A step of `num_rows` sampled rows, and beside them these chunks of prompts, took so long."""
        if chunks:
            alone = self.answers(num_rows)
            per_token = max(0.0, seconds - alone) / sum(num_tokens for num_tokens, _ in chunks)
            self.prompt_token = running_median(self.prompt_token, per_token, FAST)
            self.pace.observe(chunks, seconds, alone)
            self._last_rows = 0
            return
        self.most_rows = max(self.most_rows, num_rows)
        known = self._ratios.get(num_rows)
        if self._comes_after_more(num_rows) and known and self._row:
            longer, most = seconds - self._row * known - self.change, SLOW * self._row
            self.change = max(0.0, self.change + min(max(longer, -most), most))
            return
        if known is None and self._row is not None:
            self._ratios[num_rows] = max(1.0, seconds / self._row)
            return
        self._row = running_median(self._row, seconds / self._ratio(num_rows), FAST)
        if num_rows > 1:
            self._ratios[num_rows] = running_median(known, seconds / self._row, SLOW)

    def _comes_after_more(self, num_rows: int) -> bool:
        last, self._last_rows = self._last_rows, num_rows
        return num_rows < last

    def measured(self, num_rows: int, seconds: float) -> None:
        """A careful measurement on an idle machine, which is believed at once."""
        if num_rows == 1 or self._row is None:
            self._row = seconds / self._ratio(num_rows)
        else:
            self._ratios[num_rows] = max(1.0, seconds / self._row)
        self.most_rows = max(self.most_rows, num_rows)

    def answers(self, num_rows: int) -> float:
        """Seconds expected of a step of answers; 0 without any, or while nothing is known."""
        return self._row * self._ratio(num_rows) if self._row and num_rows else 0.0

    def _ratio(self, num_rows: int) -> float:
        """V(n). Between known sizes a straight line, beyond them the last slope; unknown is free."""
        known = self._ratios
        if num_rows in known:
            return known[num_rows]
        low = max(n for n in known if n < num_rows)
        if above := [n for n in known if n > num_rows]:
            high = min(above)
            return _line(low, known[low], high, known[high], num_rows)
        lower = max((n for n in known if n < low), default=None)
        if lower is None:
            return known[low]
        return max(known[low], _line(lower, known[lower], low, known[low], num_rows))


def _line(x1: int, y1: float, x2: int, y2: float, x: int) -> float:
    return y1 + (y2 - y1) * (x - x1) / (x2 - x1)
