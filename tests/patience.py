"""How long tests wait. Nothing waits so long where all is well, and no test asks how quick a machine is."""

import threading
import time
from collections.abc import Callable

PATIENCE = 180.0  # seconds that anything may take on the busiest machine, with any process stopped for two seconds


def until(is_so: Callable[[], object], what: object = "") -> None:
    """Fails, with what was waited for, when it does not come."""
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline, f"waited in vain: {what() if callable(what) else what}"
        time.sleep(0.01)


class SteadyClock:
    """Seconds, of which a process that was stopped meanwhile sees none: for the event loop of a port whose limits are
    shorter than that. It must be looked at more often than once in LONGEST."""

    LONGEST = 0.25

    def __init__(self) -> None:
        self._now = self._looked = time.monotonic()

    def __call__(self) -> float:
        now = time.monotonic()
        self._now += min(now - self._looked, self.LONGEST)
        self._looked = now
        return self._now


def comes_back(function: Callable[[], object]) -> None:
    """Fails, instead of hanging, when the function waits for what never comes. Raises what it raises."""
    faults: list[BaseException] = []

    def run() -> None:
        try:
            function()
        except BaseException as fault:
            faults.append(fault)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive(), f"not back after {PATIENCE} s"
    if faults:
        raise faults[0]
