"""What a step costs, learnt from the steps themselves: by rows of answers, and by tokens of prompts beside them.

Nothing is calibrated at load: the first steps teach it, and it follows the depth of the context and the load of the
machine. Seconds are wall time of Runner.run.
"""

SMOOTHING = 0.15  # weight of the newest step
OUTLIER = 4.0  # a step that the system interrupted says little: it counts as at most so many times the expected


class StepCosts:
    """Seconds of a step by its number of rows, where every row is sampled."""

    def __init__(self) -> None:
        self._by_rows: dict[int, float] = {}
        self._prompt_token: float | None = None

    @property
    def most_rows(self) -> int:
        """The largest step of answers seen so far; 0 before the first."""
        return max(self._by_rows, default=0)

    def observe(self, num_rows: int, num_prompt_tokens: int, seconds: float) -> None:
        """A step of `num_rows` sampled rows and so many prompt tokens beside them took so long."""
        if num_prompt_tokens:
            base = self.answers(num_rows) if num_rows else 0.0
            per_token = max(0.0, seconds - base) / num_prompt_tokens
            self._prompt_token = _mix(self._prompt_token, per_token)
        elif num_rows:
            self._by_rows[num_rows] = _mix(self._by_rows.get(num_rows), seconds)

    def answers(self, num_rows: int) -> float:
        """Seconds expected of a step of answers. Beyond what was seen the last slope goes on; unknown is free."""
        known = self._by_rows
        if num_rows in known or not known:
            return known.get(num_rows, 0.0)
        below = [n for n in known if n < num_rows]
        above = [n for n in known if n > num_rows]
        if not below:
            return known[min(above)]
        low = max(below)
        if above:
            high = min(above)
            return _line(low, known[low], high, known[high], num_rows)
        lower = max((n for n in below if n < low), default=None)
        if lower is None:
            return known[low]
        return max(known[low], _line(lower, known[lower], low, known[low], num_rows))

    def ratio(self, num_rows: int, base_rows: int = 1) -> float:
        """V(n): how many steps of `base_rows` one of `num_rows` costs. 1 while nothing is known."""
        base = self.answers(base_rows)
        return self.answers(num_rows) / base if base else 1.0

    def prompt_tokens_within(self, num_rows: int, times: float) -> int | None:
        """How many prompt tokens may join `num_rows` answers so that the step costs at most `times` as much.

        None while that is not known.
        """
        base = self.answers(num_rows)
        if not base or not self._prompt_token:
            return None
        return int((times - 1) * base / self._prompt_token)


def _mix(old: float | None, new: float) -> float:
    if old is None:
        return new
    return old + SMOOTHING * (min(new, OUTLIER * old) - old)


def _line(x1: int, y1: float, x2: int, y2: float, x: int) -> float:
    return y1 + (y2 - y1) * (x - x1) / (x2 - x1)
