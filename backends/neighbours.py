"""How much of the processor other programs use. Knows nothing of models."""

import os
import time
from collections.abc import Callable, Collection
from contextlib import suppress

import psutil

MOST_LOOKS = 4  # at all processes of a family, until none of them ends meanwhile


class Neighbours:
    """Called from time to time, it says how many cores others used since the last call; None where nobody says."""

    def __init__(self, own: Callable[[], float] = time.process_time, counts_stolen: bool = True) -> None:
        """own: the processor's time that is ours, in seconds; of this process, without its children, unless another way
        is given. counts_stolen: what the host of a virtual machine takes from it is others', too."""
        self._own = own
        self._counts_stolen = counts_stolen
        self._before = self._now()

    def __call__(self) -> float | None:
        before, self._before = self._before, self._now()
        if before is None or self._before is None:
            return None
        seconds, all_busy, own = (new - old for new, old in zip(self._before, before, strict=True))
        return max(0.0, all_busy - own) / seconds if seconds > 0 else None

    def _now(self) -> tuple[float, float, float] | None:
        """Seconds: of the clock, of all cores at work, and of what is ours."""
        try:
            times = psutil.cpu_times()
        except (OSError, psutil.Error, RuntimeError):
            return None
        at_rest = times.idle + getattr(times, "iowait", 0.0)
        counted_twice = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
        stolen = 0.0 if self._counts_stolen else getattr(times, "steal", 0.0)
        return time.monotonic(), sum(times) - at_rest - counted_twice - stolen, self._own()


class ApplicationTime:
    """Processor time of this process and of the one that has started it, in seconds. That one only writes down what
    this one says: a machine on which nobody else works is a quiet one."""

    def __init__(self) -> None:
        self._parent: psutil.Process | None = None
        self._parents = 0.0
        with suppress(psutil.Error):
            self._parent = psutil.Process(os.getppid())

    def __call__(self) -> float:
        with suppress(psutil.Error):  # it has ended, and this process will at once
            if self._parent:
                times = self._parent.cpu_times()
                self._parents = times.user + times.system
        return time.process_time() + self._parents


class FamilyTime:
    """Processor time of this process and all below it, in seconds; of those that have ended, too."""

    def __init__(self, strangers: Callable[[], Collection[int]] = tuple) -> None:
        """strangers: ids of processes below it that count as others, before and after their end."""
        self._strangers = strangers
        self._of_strangers: dict[psutil.Process, float] = {}  # when each was last seen

    def __call__(self) -> float:
        strangers, me = set(self._strangers()), psutil.Process()
        for _ in range(MOST_LOOKS):
            ended, family = _time_of_ended(me), me.children(recursive=True)
            times = {process: seconds for process in family if (seconds := _time(process)) is not None}
            if _time_of_ended(me) == ended:  # else one that has ended meanwhile is in neither, or in both
                break
        self._of_strangers |= {process: seconds for process, seconds in times.items() if process.pid in strangers}
        return time.process_time() + ended + sum(times.values()) - sum(self._of_strangers.values())


def _time(process: psutil.Process) -> float | None:
    """With that of its children that have ended; None: it has ended itself."""
    with suppress(psutil.Error):
        times = process.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)
    return None


def _time_of_ended(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.children_user + times.children_system)
