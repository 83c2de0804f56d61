"""Finds an answer that goes round in circles by its last characters. Knows no tokens and no window."""

from dataclasses import dataclass

WINDOW = 2000  # characters that are looked at
LEAST_COVERED = 1000  # characters that must repeat, so that a table's line or a row of zeros is no circle
LEAST_TIMES = 4
STEP = 400  # new characters before one looks again


@dataclass(frozen=True, slots=True)
class Repetition:
    """How many characters come again and again, and how often, as far as one has looked."""

    length: int
    times: int

    def __str__(self) -> str:
        return f"The last {self.length:,} characters came {self.times:,} times in a row"


def repetition(text: str) -> Repetition | None:
    """Whether the text ends in one piece said over and over. Takes linear time in WINDOW, whatever the text."""
    tail = text[-WINDOW:][::-1]
    borders = [0] * len(tail)  # of each beginning of the reversed tail: its longest proper prefix that is a suffix, too
    best: Repetition | None = None
    border = 0
    for place in range(1, len(tail)):
        while border and tail[place] != tail[border]:
            border = borders[border - 1]
        if tail[place] == tail[border]:
            border += 1
        borders[place] = border
        covered, period = place + 1, place + 1 - border
        if covered >= LEAST_COVERED and covered // period >= LEAST_TIMES:
            best = Repetition(period, covered // period)
    return best


class RepetitionWatch:
    """Looks at a growing answer now and then, and finds its circle once."""

    def __init__(self) -> None:
        self._looked = 0  # characters of the answer then
        self._is_found = False

    def look(self, text: str) -> Repetition | None:
        if self._is_found or len(text) < self._looked + STEP:
            return None
        self._looked = len(text)
        found = repetition(text)
        self._is_found = found is not None
        return found
