"""How fast this machine reads weights, measured once for each build, and never by a load. What was measured while other
programs were at work is measured again, each time that somebody asks for it, until the machine was quiet."""

import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from app.errors import EngineError
from app.jobs.child import OnProgress, ignore_progress, run_in_child
from app.whole_file import replace_file
from backends.measurement import Rates
from backends.neighbours import Neighbours
from backends.regular_file import read_regular

MEASURE = "backends.llama.rates:measure"
LIMIT_SECONDS = 120.0  # on a machine with no time for it: by itself it ends sooner, with what it has measured by then
LOOK_SECONDS = 0.3
MAX_BYTES = 1 << 16
MOST_CORES = 1e4
SLOWEST, FASTEST = 1e6, 1e14  # bytes a second that are believed

_log = logging.getLogger(__name__)


def seen_others() -> float | None:
    """During a moment. Of ours nobody is at work, or it would be in the way as well."""
    look = Neighbours()
    time.sleep(LOOK_SECONDS)
    return look()


class MachineRates:
    def __init__(self, cache: Path, logs: Path, others: Callable[[], float | None] = seen_others):
        """others: cores that other programs use now."""
        self._file, self._log_path = cache / "rates.json", logs / "rates.log"
        self._others = others

    def known(self, build: str) -> Rates | None:
        try:
            rates = Rates(**json.loads(read_regular(self._file, MAX_BYTES))[build])
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return None
        return rates if _is_sound(rates) else None

    def measured(
        self,
        build: str,
        on_progress: OnProgress = ignore_progress,
        cancelled: threading.Event | None = None,
        extra_buffer_types: bool = True,
    ) -> Rates:
        """Known, or found out in some seconds. Raises EngineError or Cancelled."""
        before = self.known(build)
        if before and (before.is_quiet or (self._others() or 0.0) >= Rates.QUIET):
            return before  # or to measure it again now would be of no use either
        try:
            found: Rates = run_in_child(
                MEASURE,
                log_path=self._log_path,
                on_progress=on_progress,
                cancelled=cancelled,
                limit=LIMIT_SECONDS,
                extra_buffer_types=extra_buffer_types,
            )
        except EngineError as error:
            if before is None:
                raise
            _log.warning("the rates of this machine stay as they were: %s", error)
            return before
        if before:
            found = found.beside(before)
        try:
            replace_file(self._file, json.dumps({build: asdict(found)}).encode())
        except OSError as fault:
            _log.warning("%s could not be written: %s", self._file, fault)
        return found


def _is_sound(rates: Rates) -> bool:
    if not all(isinstance(each, dict) for each in (rates.by_type, rates.attention)) or not rates.by_type:
        return False
    numbers = [
        *rates.by_type.values(),
        *rates.attention.values(),
        *(each for each in (rates.gpu, rates.memory) if each is not None),
    ]
    is_each = all(type(number) is float and SLOWEST < number < FASTEST for number in numbers)
    is_others = rates.others is None or (type(rates.others) is float and 0 <= rates.others < MOST_CORES)
    return is_each and is_others and type(rates.layer_seconds) is float and 0 <= rates.layer_seconds < 1
