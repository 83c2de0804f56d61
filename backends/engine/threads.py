"""How many threads compute a step, and whether they spin while they wait for each other. Knows clocks, no runtime.

On a quiet machine a thread for each core is quickest, and spinning at the barriers between operations. Beside other
programs a spinning thread takes the time of the very thread it waits for, which can cost all of the speed; then
sleeping is quicker, or fewer threads. No figure says beforehand which: so the next mode is tried for a few steps and
kept if these were quicker. A trial that failed is followed by so long a pause that trials cost MAX_SHARE of the time.

Steps differ for other reasons, too. So fewer threads, or sleep, must win plainly or twice, with steps of the present
mode in between; and where nobody else is there, by much: little speaks for them then.
"""

from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from statistics import median

from backends.median import running_median

QUICKER = 0.93  # of the time before, or a mode is not kept: steps of one mode differ by some percent
MUCH_QUICKER = 0.75  # where nobody else uses the processor
PLAINLY_QUICKER = 0.5  # beside others one trial is enough
TRIAL_STEPS, TRIAL_SECONDS = 8, 1.0  # a trial ends with either
RECENT = 8  # steps that a trial is compared with
ENOUGH, ENOUGH_SECONDS = 4, 0.3  # of them before a trial; of slow steps two that took so long together
HOPELESS = 2.0  # times the time before, which two steps tell, or a long one
SLOW = 1.5  # times the usual: something has changed, so the next mode is due
NEW = 4  # steps of a kind until it is known how long they take
STALE = 32  # steps without one of a kind, after which it may have become another: contexts grow, and end
LEARNING = 0.02  # share that one step moves what is usual
MAX_SHARE = 0.01  # of the time, for trials that fail
FIRST_PAUSE, MAX_PAUSE = 1.0, 60.0  # seconds between rounds of trials in one direction; doubled by each that fails
QUIET_PAUSE = 10.0
NEIGHBOURS_INTERVAL = 1.0  # seconds between two looks at other programs
SOONER = 0.2  # and when steps have become slow
IDLE = 1.0  # seconds between two steps
BUSY, NO_LONGER_BUSY = 0.5, 0.25  # cores that other programs use
WHOLE = 0.75  # of a core: somebody is there all the time

FEWER, MORE = 1, -1  # towards modes for a busier machine, or for a quieter one

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


@dataclass(slots=True)
class _Trial:
    """Of another mode, `distance` further on; paces are times the usual, `before` those of the present mode."""

    distance: int
    before: float
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
        is_long = len(self.paces) > 1 or self.seconds > TRIAL_SECONDS
        is_hopeless = is_long and min(self.paces) > HOPELESS * self.before
        return is_hopeless or len(self.paces) > TRIAL_STEPS or (self.seconds > TRIAL_SECONDS and len(self.paces) > 2)

    @property
    def factor(self) -> float:
        """How many times as long its steps took. The first one still wakes or makes threads."""
        return median(self.paces[1:] or self.paces) / self.before


@dataclass(slots=True)
class _Kind:
    """Of steps. usual: seconds of one of size 1."""

    last: int  # the number of the last step
    usual: float | None = None
    firsts: list[float] = field(default_factory=list)  # while that is not known


class Threads:
    """Told of each step, it says in which mode the next one is computed. `now` is of any clock, in seconds."""

    def __init__(self, modes: tuple[ThreadMode, ...], now: float, neighbours: Neighbours = lambda: None):
        self._modes = modes
        self._neighbours = neighbours
        self._others = neighbours()
        self._is_busy = is_busy = self._others is not None and self._others >= BUSY
        self._at = 1 if is_busy and len(modes) > 1 and modes[1].num_threads == modes[0].num_threads else 0
        self._trial: _Trial | None = None
        self._kinds: dict[Hashable, _Kind] = {}
        self._num_steps = 0
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._recent_seconds = 0.0  # since the last trial
        self._pauses = {FEWER: FIRST_PAUSE, MORE: FIRST_PAUSE}
        self._due = {FEWER: now if is_busy else now + 2 * FIRST_PAUSE, MORE: now + FIRST_PAUSE}
        self._rest_until = now  # no trial before, or they would cost more than their share
        self._last_won: int | None = None
        self._to_confirm: int | None = None  # the distance that has won once
        self._looked = self._last = now  # at others; the end of the last step
        self._was_idle = False  # since the last look
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
    def is_crowded(self) -> bool:
        """Other programs are why not all threads work, or not as they would on a quiet machine."""
        return self._at > 0 and (self._others is None or self._is_busy)

    @property
    def present(self) -> float:
        """Times the usual that recent steps took."""
        return median(self._recent) if self._recent else 1.0

    @property
    def _is_quiet(self) -> bool:
        return self._others is not None and not self._is_busy

    def observe(self, kind: Hashable, seconds: float, now: float, size: float = 1.0) -> None:
        """A step of that kind, as its number of rows, took so long in the present `mode`. Steps of one kind whose
        `size` differs take as many times as long."""
        if len(self._modes) == 1 or seconds <= 0:
            return
        self._was_idle |= now - seconds - self._last > IDLE
        self._last = now
        self._num_steps += 1
        pace = self._pace(kind, seconds / size)
        if self._trial:
            self._trial.add(pace, seconds)
            if self._trial.is_over:
                self._judge(self._trial, now)
            return
        self._recent.append(pace)
        self._recent_seconds += seconds
        if now - self._looked >= NEIGHBOURS_INTERVAL:
            self._look(now)
        # what is recent becomes unusual with an unusual step: other steps need not look at all of it
        is_unusual = not 1 / SLOW <= pace <= SLOW
        if is_unusual or self._to_confirm or self._is_due(FEWER, now) or self._is_due(MORE, now):
            self._begin_trial(now)

    def _pace(self, kind: Hashable, seconds: float) -> float:
        """Times the usual. Of a new kind nothing is usual yet: it is taken to be as slow as the others are now."""
        known = self._kinds.get(kind)
        if known is None or self._num_steps - known.last > STALE:
            known = self._kinds[kind] = _Kind(self._num_steps)
        known.last = self._num_steps
        present = self._trial.before if self._trial else self.present
        if known.usual is None:
            if not self._trial:
                known.firsts.append(seconds)
                if len(known.firsts) == NEW:
                    known.usual = median(known.firsts) / present
            return present
        pace = seconds / known.usual
        if not self._trial:
            known.usual = running_median(known.usual, seconds, LEARNING)
        return pace

    def _begin_trial(self, now: float) -> None:
        enough = 2 if self._recent_seconds > ENOUGH_SECONDS else ENOUGH
        if len(self._recent) < enough:
            return
        if self._to_confirm:
            self._trial = _Trial(self._to_confirm, self.present)
            return
        if now < self._rest_until:
            return
        present = self.present
        jumped = FEWER if present > SLOW and not self._was_work(now) else MORE if present < 1 / SLOW else None
        due = [d for d in (MORE, FEWER) if self._is_due(d, now) or (d == jumped and self._room(d))]
        if due:
            direction = max(due, key=lambda d: now - self._due[d])
            self._trial = _Trial(direction * self._reach[direction], present)

    def _was_work(self, now: float) -> bool:
        """Whether steps have become slow where nobody else is there: there is more to compute."""
        if now - self._looked >= SOONER:
            self._look(now)
        return self._is_quiet

    def _is_due(self, direction: int, now: float) -> bool:
        return now >= self._due[direction] and self._room(direction) > 0

    def _judge(self, trial: _Trial, now: float) -> None:
        self._trial, self._recent_seconds = None, 0.0
        direction = trial.direction
        if self._has_won(trial):
            self._keep(trial, now)
            return
        if self._to_confirm:
            self._recent.clear()
            return
        self._rest_until = now + max(0.0, trial.lost) / MAX_SHARE
        room = 1 if self._is_quiet else self._room(direction)
        self._reach[direction] = self._reach[direction] % room + 1  # what lies behind a worse mode may be better
        if self._reach[direction] == 1:  # all of them have been tried
            self._pauses[direction] = min(2 * self._pauses[direction], MAX_PAUSE)
            self._due[direction] = now + self._pause(direction)

    def _has_won(self, trial: _Trial) -> bool:
        """For good, or `_to_confirm` says what it has to win again."""
        confirmed, self._to_confirm = self._to_confirm is not None, None
        if trial.direction == MORE:
            return trial.factor < (1.0 if self._others is not None and self._others < WHOLE else QUICKER)
        if trial.factor >= (MUCH_QUICKER if self._is_quiet else QUICKER):
            return False
        if confirmed or (trial.factor < PLAINLY_QUICKER and not self._is_quiet):
            return True
        self._to_confirm = trial.distance
        return False

    def _keep(self, trial: _Trial, now: float) -> None:
        """Further the same way at once, but back only after a pause that grows with each turn."""
        self._at += trial.distance
        self._recent = deque((pace / trial.factor for pace in trial.paces[1:]), maxlen=RECENT)
        for kind in self._kinds.values():
            kind.usual = kind.usual and kind.usual * trial.factor
            kind.firsts.clear()
        self._reach = {FEWER: 1, MORE: 1}
        if trial.direction == self._last_won:
            self._pauses = {FEWER: FIRST_PAUSE, MORE: FIRST_PAUSE}
        else:
            self._pauses = {d: min(2 * pause, MAX_PAUSE) for d, pause in self._pauses.items()}
        self._last_won = trial.direction
        self._due = {d: now + self._pause(d) for d in (FEWER, MORE)}
        self._due[trial.direction] = now

    def _pause(self, direction: int) -> float:
        """Until the next round of trials: rarely for fewer threads while nobody else is known to be there, and rarely
        for spinning while somebody is."""
        if self._others is None or not self._room(direction):
            return self._pauses[direction]
        if direction == FEWER:
            return self._pauses[FEWER] if self._is_busy else max(QUIET_PAUSE, self._pauses[FEWER])
        if self._others < WHOLE:
            return min(QUIET_PAUSE, self._pauses[MORE])
        return MAX_PAUSE if self._modes[self._at - self._reach[MORE]].is_spinning else self._pauses[MORE]

    def _room(self, direction: int) -> int:
        """How many modes there are that way."""
        return self._at if direction == MORE else len(self._modes) - 1 - self._at

    def _look(self, now: float) -> None:
        """When others begin or end, what was found before holds no longer."""
        self._looked = now
        others, was_idle, self._was_idle = self._neighbours(), self._was_idle, False
        if others is None or was_idle:  # what ran while the engine had nothing to do says nothing of now
            return
        is_first, was_busy = self._others is None, self._is_busy
        self._others, self._is_busy = others, others >= (NO_LONGER_BUSY if was_busy else BUSY)
        if not is_first and was_busy == self._is_busy:
            return
        changed, other = (FEWER, MORE) if self._is_busy else (MORE, FEWER)
        self._to_confirm = None
        self._pauses = {FEWER: FIRST_PAUSE, MORE: FIRST_PAUSE}
        self._reach = {FEWER: self._first_reach(), MORE: 1}
        self._due[changed] = self._rest_until = now
        self._due[other] = now + self._pause(other)

    def _first_reach(self) -> int:
        """Where threads cannot sleep, as many fewer as leave the others' cores alone."""
        if self._at > 0 or not self._modes[-1].is_spinning or self._others is None:
            return 1
        free = self._modes[0].num_threads - self._others
        fitting = [distance for distance, mode in enumerate(self._modes) if distance and mode.num_threads <= free]
        return fitting[0] if fitting else len(self._modes) - 1
