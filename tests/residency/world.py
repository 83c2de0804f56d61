"""Models that load, work and leave as a Roster decides, by a clock that is moved by hand. No thread, no process."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.residency.pace import Pace
from app.residency.room import Bytes
from app.residency.roster import Moves, Resident, Roster, Stage
from app.residency.wish import Fixed, Wish

CLOSE_SECONDS = 0.2


@dataclass
class World:
    """costs: of each model by its name. load: seconds of each load."""

    costs: Mapping[str, Bytes | Wish]
    limits: Bytes
    load: float = 1.0
    pace: Pace = field(default_factory=Pace)

    def __post_init__(self) -> None:
        self.now = 1000.0
        self.roster = Roster(self.pace)
        self.users: dict[Resident, int] = {}
        self.left: dict[Resident, float] = {}  # when they were dismissed
        self.loads: list[str] = []
        self.refused: list[Resident] = []

    def want(self, name: str, *, is_person: bool = False) -> Resident | None:
        """One user more. None: it makes room for another, so its user has to ask again."""
        here = self.at(name)
        if here is None:
            cost = self.costs[name]
            here = Resident(name, Fixed(cost) if isinstance(cost, Mapping) else cost, self.now, is_person)
            self.users[here] = 0
            self.roster.add(here)
        elif here.is_drained:
            return None
        self.users[here] += 1
        self.look()
        return here

    def done(self, resident: Resident) -> None:
        """One user less."""
        self._refresh()
        self.users[resident] -= 1
        self.look()

    def at(self, name: str) -> Resident | None:
        return next((each for each in self.roster if each.name == name and each.stage is not Stage.LEAVING), None)

    def pass_by(self, seconds: float) -> None:
        """In small steps, at each of which all look."""
        end = self.now + seconds
        while self.now < end - 1e-9:
            self._refresh()
            self.now = min(end, self.now + 0.1)
            for each in list(self.roster):
                if each.stage is Stage.LOADING and self.now >= each.entered + self.load:
                    each.stage, each.ready = Stage.READY, self.now
                elif each.stage is Stage.LEAVING and self.now >= self.left[each] + CLOSE_SECONDS:
                    self.roster.remove(each)
            self.look()

    def look(self) -> Moves:
        self._refresh()
        moves = Moves()
        while True:
            found = self.roster.look(self.limits, self.now)
            for all_moves, new in ((moves.entered, found.entered), (moves.refused, found.refused)):
                all_moves.extend(new)
            if found.lacking is None:
                moves.dismissed.extend(found.dismissed)
                break
            assert not found.dismissed, "by then all is decided"
            found.lacking.make()
        for each in moves.dismissed:
            assert each.stage is Stage.READY
            assert not self.users[each], "somebody's answer would end"
            assert not each.is_pinned
            each.stage, self.left[each] = Stage.LEAVING, self.now
        for each in self.roster:
            assert not (each.is_drained and each.is_pinned)
        self.loads += [each.name for each in moves.entered]
        self.refused += moves.refused
        self.roster.check_integrity(self.limits)
        return moves

    def inside(self) -> list[str]:
        return [each.name for each in self.roster.inside if each.stage is not Stage.LEAVING]

    def _refresh(self) -> None:
        for each in self.roster:
            each.is_busy = self.users[each] > 0
            each.was_busy = each.was_busy or each.is_busy
            if each.is_busy:
                each.used = self.now
