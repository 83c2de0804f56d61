"""How long tests wait. Nothing waits so long where all is well, and no test passes or fails by how quick a machine is."""

import threading
import time
from collections.abc import Callable

PATIENCE = 60.0  # seconds that anything may take on the busiest machine, with any process stopped for two seconds


def until(is_so: Callable[[], object], what: object = "") -> None:
    """Fails, with what was waited for, when it does not come."""
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline, f"waited in vain: {what() if callable(what) else what}"
        time.sleep(0.01)


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
