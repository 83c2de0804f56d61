"""A trial of another thread mode: some steps in it, and what they say beside those of the mode before."""

from dataclasses import dataclass, field
from statistics import median

STEPS, SECONDS = 8, 1.0  # it ends with either
HOPELESS = 2.0  # times the time before, which two steps tell, or a long one

FEWER, MORE = 1, -1  # towards modes for a busier machine, or for a quieter one


@dataclass(slots=True)
class Trial:
    """Of a mode `distance` further on; paces are times the usual, `before` those of the present mode.

    num_wins: trials of the same mode that have won just before, each between steps of the present mode.
    """

    distance: int
    before: float
    num_wins: int = 0
    paces: list[float] = field(default_factory=list)
    seconds: float = 0.0
    lost: float = 0.0  # seconds more than the mode before would have taken

    def add(self, pace: float, seconds: float) -> None:
        self.paces.append(pace)
        self.seconds += seconds
        self.lost += seconds * (1 - self.before / pace)

    @property
    def direction(self) -> int:
        return FEWER if self.distance > 0 else MORE

    @property
    def is_over(self) -> bool:
        is_long = len(self.paces) > 1 or self.seconds > SECONDS
        is_hopeless = is_long and min(self.paces) > HOPELESS * self.before
        return is_hopeless or len(self.paces) > STEPS or (self.seconds > SECONDS and len(self.paces) > 2)

    @property
    def pace(self) -> float:
        """The first step still wakes or makes threads."""
        return median(self.paces[1:] or self.paces)

    @property
    def factor(self) -> float:
        """How many times as long its steps took."""
        return self.pace / self.before

    def meets(self, after: float) -> None:
        """Steps of the mode before have taken so long after it: what counts are the quicker ones."""
        self.before = min(self.before, after)
