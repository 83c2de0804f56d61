"""The last ten minutes of figures, and what of them is drawn. Knows no widget."""

from collections import deque
from collections.abc import Iterable

from app.telemetry.sample import Moment

SECONDS = 600.0
GAP = 12.0  # seconds without a figure, after which a line is broken: while nothing works, samples are 5 s apart

Point = tuple[float, float]  # how far along the ten minutes, from 0 to 1, and a value


class Tape:
    def __init__(self) -> None:
        self._moments: deque[Moment] = deque()

    def put(self, moments: Iterable[Moment]) -> None:
        """Those of a history, instead of what was there."""
        self._moments = deque(moments)

    def add(self, moment: Moment) -> None:
        """A clock that was set back begins anew."""
        if self._moments and self._moments[-1].time >= moment.time:
            self._moments.clear()
        self._moments.append(moment)
        while self._moments[0].time < moment.time - SECONDS:
            self._moments.popleft()

    @property
    def is_empty(self) -> bool:
        return not self._moments

    def last(self, name: str) -> float | None:
        """Now; None when it is not known any more."""
        return self._moments[-1].figures.get(name) if self._moments else None

    def knows(self, name: str) -> bool:
        return any(name in moment.figures for moment in self._moments)

    def names(self) -> set[str]:
        return {name for moment in self._moments for name in moment.figures}

    def lines(self, name: str, most: int) -> list[list[Point]]:
        """Unbroken pieces of at most so many points in all; of those that fall together the largest value stays."""
        if not self._moments:
            return []
        begin = self._moments[-1].time - SECONDS
        pieces: list[list[Point]] = []
        seen, column = None, -1
        for moment in self._moments:
            value = moment.figures.get(name)
            if value is None:
                continue
            along = (moment.time - begin) / SECONDS
            if along < 0:
                continue
            if seen is None or moment.time - seen > GAP:
                pieces.append([])
                column = -1
            seen, piece = moment.time, pieces[-1]
            if piece and int(along * most) == column:
                piece[-1] = (piece[-1][0], max(piece[-1][1], value))
            else:
                piece.append((along, value))
                column = int(along * most)
        return pieces
