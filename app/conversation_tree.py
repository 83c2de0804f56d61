"""How the turns of a conversation hang together. Knows ids, no texts and no disk."""

from collections.abc import Iterable, Iterator, Mapping

Children = dict[int | None, list[int]]


class Tree:
    """Every turn but the first ones follows another. Of several that follow the same one, one is chosen to be shown.

    links: a turn's id, and that of the turn it follows, None for a first one. chosen: which of the turns that follow
    this one (None: of the first ones) is shown; else the newest. Ids grow: a turn is later than the one it follows.
    Whatever a damaged file says, each turn has its place: one that follows nothing there is hangs on the one before it.
    """

    def __init__(self, links: Iterable[tuple[int, int | None]], chosen: Mapping[int | None, int]):
        told = dict(links)
        self._parents: dict[int, int | None] = {}
        self._children: Children = {}
        self._chosen = dict(chosen)
        before: int | None = None
        for turn in sorted(told):
            parent = told[turn]
            if parent is not None and (parent >= turn or parent not in told):
                parent = before
            self._parents[turn] = parent
            self._children.setdefault(parent, []).append(turn)
            before = turn

    def __contains__(self, turn: object) -> bool:
        return turn in self._parents

    def __iter__(self) -> Iterator[int]:
        """All turns, the oldest first."""
        return iter(self._parents)

    def parent(self, turn: int) -> int | None:
        """Raises KeyError, as all do that are asked for a turn that is not there."""
        return self._parents[turn]

    def children(self, turn: int | None) -> tuple[int, ...]:
        """The oldest first; of None, the first turns."""
        return tuple(self._children.get(turn, ()))

    def siblings(self, turn: int) -> tuple[int, ...]:
        """With itself, the oldest first."""
        return self.children(self._parents[turn])

    def chosen(self, turn: int | None) -> int | None:
        """Which of its children is shown; None where it has none."""
        children = self._children.get(turn)
        if not children:
            return None
        wanted = self._chosen.get(turn)
        return wanted if wanted in children else children[-1]

    def choices(self) -> dict[int | None, int]:
        """Those that were made, where they are no choice of the newest."""
        parents = [turn for turn in self._chosen if turn is None or turn in self._parents]
        return {turn: self._chosen[turn] for turn in parents if self.chosen(turn) == self._chosen[turn]}

    def path(self) -> tuple[int, ...]:
        """What is shown, from a first turn to a last one."""
        return tuple(self._down(None))

    def path_to(self, turn: int) -> tuple[int, ...]:
        """From a first turn to this one."""
        path = [turn]
        while (parent := self._parents[path[-1]]) is not None:
            path.append(parent)
        return tuple(reversed(path))

    def path_through(self, turn: int) -> tuple[int, ...]:
        """And on to the last turn that was shown beneath it."""
        return (*self.path_to(turn), *self._down(turn))

    def beneath(self, turn: int) -> tuple[int, ...]:
        """Itself and all that follow it, in whatever branch."""
        self._parents[turn]
        found = [turn]
        for each in found:  # which grows meanwhile
            found += self._children.get(each, ())
        return tuple(found)

    def _down(self, turn: int | None) -> Iterator[int]:
        while (turn := self.chosen(turn)) is not None:
            yield turn
