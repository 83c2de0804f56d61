"""How much of the processor other programs use. Knows nothing of models."""

import time

import psutil


class Neighbours:
    """Called from time to time, it says how many cores others used since the last call; None where nobody says.

    A virtual machine's stolen time counts as theirs, and this process's children do.
    """

    def __init__(self) -> None:
        self._before = _now()

    def __call__(self) -> float | None:
        before, self._before = self._before, _now()
        if before is None or self._before is None:
            return None
        seconds, all_busy, own = (new - old for new, old in zip(self._before, before, strict=True))
        return max(0.0, all_busy - own) / seconds if seconds > 0 else None


def _now() -> tuple[float, float, float] | None:
    """Seconds: of the clock, of all cores at work, and of this process."""
    try:
        times = psutil.cpu_times()
    except (OSError, psutil.Error, RuntimeError):
        return None
    at_rest = times.idle + getattr(times, "iowait", 0.0)
    counted_twice = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    return time.monotonic(), sum(times) - at_rest - counted_twice, time.process_time()
