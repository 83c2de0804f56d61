"""How many threads compute a step, and whether they spin while they wait for each other. Knows clocks, no runtime.

On a quiet machine a thread for each core is quickest, and spinning at the barriers between operations. Beside other
programs a spinning thread takes the time of the very thread it waits for, which can cost all of the speed; then
sleeping is quicker, or fewer threads. No figure says beforehand which: so the next mode is tried for a few steps and
kept if these were quicker. A trial that failed is followed by so long a pause in its direction that trials cost
MAX_SHARE of the time: one of spinning threads beside others may lose a second, and says nothing of fewer threads.
But when the present mode has become slow since, and has lost as much by that, what the trial said is out of date.

Steps become slow for other reasons, too: the host of a virtual machine takes its processors away for a while, a
conversation grows. Whoever tried fewer threads then, and compared them with the slow steps before, would find them
quicker when it is over. So nothing is tried because of slow steps alone where nobody else is seen, and who is not
plainly quicker must be so between steps of the present mode, before and after.
"""

from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from statistics import median

from backends.engine.thread_trial import FEWER, MORE, Trial
from backends.median import running_median

QUICKER = 0.93  # of the time before, or a mode is not kept: steps of one mode differ by some percent
RECENT = 8  # steps that a trial is compared with
ENOUGH, ENOUGH_SECONDS = 4, 0.3  # of them before a trial; of slow steps two that took so long together
SLOW = 1.5  # times the usual: something has changed, so the next mode is due
LEARNING = 0.02  # share that one step moves what is usual
MAX_SHARE = 0.02  # of the time, for trials of one direction that fail
FIRST_PAUSE, MAX_PAUSE = 1.0, 60.0  # seconds between rounds of trials in one direction; doubled by each that fails
QUIET_PAUSE = 10.0
NEIGHBOURS_INTERVAL, SOONER = 1.0, 0.2  # seconds between two looks at other programs; when steps have become slow
IDLE = 1.0  # seconds between two steps
BUSY, NO_LONGER_BUSY = 0.5, 0.3  # cores that other programs use
FRESH = 10.0  # seconds, the least between two times that others come or go and what trials have cost is forgotten

PLAINLY_QUICKER = 0.5  # of the time before: it needs no steps of the mode before beside it
# where nobody else is there: only noise makes fewer threads a little quicker, and nothing speaks against all of them
QUIET_QUICKER = {FEWER: 0.75, MORE: 1.0}
QUIET_WINS, BUSY_WINS = 2, 1  # in a row, each between steps of the mode before

Neighbours = Callable[[], float | None]  # cores that other programs have used since the last call; None: not known


@dataclass(frozen=True, slots=True)
class ThreadMode:
    """is_spinning: threads look for each other at a barrier for a while before they sleep."""

    num_threads: int
    is_spinning: bool


def thread_modes(most: int, can_sleep: bool) -> tuple[ThreadMode, ...]:
    """From the one for a quiet machine to the one for the busiest."""
    fewer = sorted({max(1, most * quarters // 4) for quarters in (1, 2, 3)} | {1}, reverse=True)
    asleep = (ThreadMode(most, False),) if can_sleep and most > 1 else ()
    return (ThreadMode(most, True), *asleep, *(ThreadMode(n, not can_sleep) for n in fewer if n < most))


class Threads:
    """Told of each step, it says in which mode the next one is computed. `now` is of any clock, in seconds."""

    def __init__(
        self,
        modes: tuple[ThreadMode, ...],
        now: float,
        neighbours: Neighbours = lambda: None,
        others: float | None = None,
    ):
        """others: cores that other programs use now; None: as many as `neighbours` says."""
        self._modes = modes
        self._neighbours = neighbours
        self._others = neighbours() if others is None else others
        self._is_busy = is_busy = self._others is not None and self._others >= BUSY
        self._at = 1 if is_busy and len(modes) > 1 and modes[1].num_threads == modes[0].num_threads else 0
        self._trial: Trial | None = None
        self._winner: Trial | None = None  # until it has been met by steps of the mode before
        self._usual: dict[Hashable, float] = {}  # seconds of a step of one kind and size 1
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._recent_seconds = 0.0  # since the last trial
        self._pauses = {FEWER: FIRST_PAUSE, MORE: FIRST_PAUSE}
        self._due = {FEWER: now if is_busy else now + 2 * FIRST_PAUSE, MORE: now + FIRST_PAUSE}
        self._rest_until = {FEWER: now, MORE: now}  # no trial before, or those would cost more than their share
        self._lost = 0.0  # seconds, by the last trial of fewer threads that failed
        self._beaten = 0.0  # the pace it was compared with
        self._slower = 0.0  # seconds that slow steps of the present mode have lost now
        self._last_won: int | None = None
        self._looked = self._last = now  # at others; the end of the last step
        self._refreshed = now - FRESH
        self._reach = {FEWER: 1, MORE: 1}  # how many modes further the next trial of a direction goes

    @property
    def mode(self) -> ThreadMode:
        """For the next step."""
        return self._modes[self._at + (self._trial.distance if self._trial else 0)]

    @property
    def settled(self) -> ThreadMode:
        """The best so far; `mode` may be a trial of another."""
        return self._modes[self._at]

    @property
    def is_trying(self) -> bool:
        """Another mode than the settled one, or for its sake: every step counts."""
        return self._trial is not None or self._winner is not None

    @property
    def is_crowded(self) -> bool:
        """Other programs are why not all threads work, or not as they would on a quiet machine."""
        return self._at > 0 and (self._others is None or self._is_busy)

    @property
    def _is_quiet(self) -> bool:
        return self._others is not None and not self._is_busy

    def observe(self, kind: Hashable, seconds: float, now: float, size: float = 1.0) -> None:
        """A step of that kind, as its number of rows, took so long in the present `mode`. Steps of one kind whose
        `size` differs take as many times as long."""
        if len(self._modes) == 1 or seconds <= 0:
            return
        if now - seconds - self._last > IDLE:  # what ran while the engine had nothing to do says nothing of now
            self._neighbours()
            self._looked = now
            self._recent.clear()
        self._last = now
        pace = self._pace(kind, seconds / size)
        if self._trial:
            self._trial.add(pace, seconds)
            if self._trial.is_over:
                self._judge(self._trial, now)
            return
        self._recent.append(pace)
        self._recent_seconds += seconds
        if self._rest_until[FEWER] > now:
            self._regret(pace, seconds, now)
        self._usual[kind] = running_median(self._usual[kind], seconds / size, LEARNING)
        is_unusual = not 1 / SLOW <= pace <= SLOW
        if now - self._looked >= (SOONER if is_unusual else NEIGHBOURS_INTERVAL):
            self._look(now)
        # what is recent becomes unusual with an unusual step: other steps need not look at all of it
        if self._winner:
            self._confirm(self._winner, now)
        elif is_unusual or self._is_due(FEWER, now) or self._is_due(MORE, now):
            self._begin_trial(now)

    def _pace(self, kind: Hashable, seconds: float) -> float:
        """Times the usual. A kind that is new is as slow as the others are now."""
        usual = self._usual.get(kind)
        if usual is None:
            usual = self._usual[kind] = seconds / self._present
        return seconds / usual

    @property
    def _present(self) -> float:
        return median(self._recent) if self._recent else 1.0

    @property
    def _are_recent_enough(self) -> bool:
        return len(self._recent) >= (2 if self._recent_seconds > ENOUGH_SECONDS else ENOUGH)

    def _begin_trial(self, now: float) -> None:
        if not self._are_recent_enough:
            return
        present = self._present
        jumped = FEWER if present > SLOW and not self._is_quiet else MORE if present < 1 / SLOW else None
        rested = [d for d in (MORE, FEWER) if now >= self._rest_until[d]]
        due = [d for d in rested if self._is_due(d, now) or (d == jumped and self._room(d))]
        if due:
            direction = max(due, key=lambda d: now - self._due[d])
            self._trial = Trial(direction * self._reach[direction], present)

    def _is_due(self, direction: int, now: float) -> bool:
        return now >= self._due[direction] and self._room(direction) > 0

    def _judge(self, trial: Trial, now: float) -> None:
        self._trial, self._recent_seconds = None, 0.0
        if not self._wins(trial):
            self._drop(trial, now)
        elif trial.direction == MORE if self._is_quiet else trial.factor < PLAINLY_QUICKER:
            self._keep(trial, now)
        else:
            self._winner = trial
            self._recent.clear()

    def _confirm(self, trial: Trial, now: float) -> None:
        """When there are enough steps of the mode before."""
        if not self._are_recent_enough:
            return
        self._winner, self._recent_seconds = None, 0.0
        trial.meets(self._present)
        if not self._wins(trial):
            self._drop(trial, now)
        elif trial.num_wins + 1 < (QUIET_WINS if self._is_quiet else BUSY_WINS):
            self._trial = Trial(trial.distance, self._present, trial.num_wins + 1)
        else:
            self._keep(trial, now)

    def _regret(self, pace: float, seconds: float, now: float) -> None:
        """Slow steps in a row."""
        if pace <= SLOW * self._beaten:
            self._slower = 0.0
            return
        self._slower += seconds * (1 - self._beaten / pace)
        if self._slower >= self._lost:
            self._rest_until[FEWER] = now
            slow = [pace for pace in self._recent if pace > SLOW * self._beaten]
            self._recent = deque(slow, maxlen=RECENT)  # a trial is compared with what is, not with what was

    def _wins(self, trial: Trial) -> bool:
        return trial.factor < (QUIET_QUICKER[trial.direction] if self._is_quiet else QUICKER)

    def _drop(self, trial: Trial, now: float) -> None:
        direction = trial.direction
        if direction == FEWER:
            self._lost, self._beaten, self._slower = trial.lost, trial.before, 0.0
        self._rest_until[direction] = now + min(max(0.0, trial.lost) / MAX_SHARE, MAX_PAUSE)
        room = 1 if self._is_quiet else self._room(direction)
        self._reach[direction] = self._reach[direction] % room + 1  # what lies behind a worse mode may be better
        if self._reach[direction] == 1:  # all of them have been tried
            self._pauses[direction] = min(2 * self._pauses[direction], MAX_PAUSE)
            self._due[direction] = now + self._pause(direction)

    def _keep(self, trial: Trial, now: float) -> None:
        """Further the same way at once, but back only after a pause that grows with each turn."""
        self._at += trial.distance
        self._recent = deque((pace / trial.factor for pace in trial.paces[1:]), maxlen=RECENT)
        self._usual = {kind: seconds * trial.factor for kind, seconds in self._usual.items()}
        self._beaten /= trial.factor
        self._reach = {FEWER: 1, MORE: 1}
        if trial.direction == self._last_won:
            self._pauses = {FEWER: FIRST_PAUSE, MORE: FIRST_PAUSE}
        else:
            self._pauses = {d: min(2 * pause, MAX_PAUSE) for d, pause in self._pauses.items()}
        self._last_won = trial.direction
        self._due = {d: now + self._pause(d) for d in (FEWER, MORE)}
        self._due[trial.direction] = now

    def _pause(self, direction: int) -> float:
        """Until the next round of trials: rarely for fewer threads while nobody else is known to be there, and soon
        for more of them, which costs little then."""
        if self._others is None or self._is_busy or not self._room(direction):
            return self._pauses[direction]
        return max(QUIET_PAUSE, self._pauses[FEWER]) if direction == FEWER else FIRST_PAUSE

    def _room(self, direction: int) -> int:
        """How many modes there are that way."""
        return self._at if direction == MORE else len(self._modes) - 1 - self._at

    def _look(self, now: float) -> None:
        """When others begin or end, what was found before holds no longer."""
        self._looked = now
        if (others := self._neighbours()) is None:
            return
        is_first, was_busy = self._others is None, self._is_busy
        self._others = others
        self._is_busy = others >= (NO_LONGER_BUSY if was_busy else BUSY)
        if is_first or was_busy != self._is_busy:
            self._begin_anew(now)

    def _begin_anew(self, now: float) -> None:
        changed, other = (FEWER, MORE) if self._is_busy else (MORE, FEWER)
        self._recent.clear()  # a trial is compared with steps beside them, or without them
        self._pauses = {FEWER: FIRST_PAUSE, MORE: FIRST_PAUSE}
        self._reach = {FEWER: self._first_reach(), MORE: 1}
        self._due[changed] = now
        self._due[other] = now + self._pause(other)
        if now - self._refreshed >= FRESH:
            self._refreshed = now
            self._rest_until = {FEWER: now, MORE: now}

    def _first_reach(self) -> int:
        """Where threads cannot sleep, as many fewer as leave the others' cores alone."""
        if self._at > 0 or not self._modes[-1].is_spinning or self._others is None:
            return 1
        free = self._modes[0].num_threads - self._others
        fitting = [distance for distance, mode in enumerate(self._modes) if distance and mode.num_threads <= free]
        return fitting[0] if fitting else len(self._modes) - 1
