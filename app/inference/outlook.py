"""Whether models would run on this machine: one machine, one planner and one sentence, wherever that is shown.

The machine is as it is now, with what loaded models would give back: they leave for another.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from app.errors import EngineError, ModelFileError
from app.planner.machine import Machine
from app.planner.verdict import Verdict
from backends.protocol import EngineOptions

if TYPE_CHECKING:
    from app.inference.planning import Planning
    from app.library.entry import ModelEntry

LOOK_SECONDS = 10.0  # that the figures of a machine hold: a GPU is asked in a child
SAME = 0.05  # of free memory: what changes by less is the same machine, and its verdicts hold

_log = logging.getLogger(__name__)


class Outlook:
    """Thread-safe. Whoever asks first waits a second for the GPUs, and for headers that nobody has read."""

    def __init__(
        self,
        planning: Callable[[], "Planning"],
        options_for: Callable[["ModelEntry"], EngineOptions],
        measured: Callable[[EngineOptions], EngineOptions] = lambda options: options,
        given_back: Callable[[], Mapping[str, int]] = dict,
        clock: Callable[[], float] = time.monotonic,
    ):
        """options_for: what a model would be loaded with. measured: with what the self-test has found. given_back:
        bytes by device, of those that would leave."""
        self._planning = planning
        self._options_for = options_for
        self._measured = measured
        self._given_back = given_back
        self._clock = clock
        self._lock = threading.Lock()  # two that ask at once should ask the GPUs once
        self._machine: Machine | None = None
        self._until = 0.0
        self._known: dict[Path, tuple[EngineOptions, Machine, Verdict]] = {}

    def machine(self) -> Machine:
        """Raises EngineError when the GPUs cannot be asked."""
        with self._lock:
            if self._machine is None or self._clock() >= self._until:
                found = _with(self._planning().machine(), self._given_back())
                if self._machine is None or not _is_same(self._machine, found):
                    self._machine = found
                self._until = self._clock() + LOOK_SECONDS
            return self._machine

    def ground(self, options: EngineOptions) -> tuple[Machine, EngineOptions]:
        """What a verdict stands on where a model would be loaded with these options. Raises EngineError."""
        return self.machine(), self._measured(options)

    def of(self, entry: "ModelEntry") -> Verdict | None:
        """None for what is not to be loaded, and where neither header nor machine can say."""
        if not entry.is_offered:
            return None
        try:
            self._planning().model(entry.path)  # where that cannot be read, no machine need be asked
            machine, options = self.ground(self._options_for(entry))
            known = self._known.get(entry.path)
            if known and known[:2] == (options, machine):
                return known[2]
            verdict = self._planning().plan(entry.path, options, machine).verdict
        except (EngineError, ModelFileError, OSError) as error:
            _log.debug("no verdict on %s: %s", entry.path, error)
            return None
        self._known[entry.path] = options, machine, verdict
        return verdict

    def of_all(self, entries: Iterable["ModelEntry"], seconds: float) -> dict[Path, Verdict]:
        """By path. When the time is over, of the rest what was found last."""
        end, found = self._clock() + seconds, {}
        for entry in entries:
            verdict = self.of(entry) if self._clock() < end else self._last(entry)
            if verdict:
                found[entry.path] = verdict
        return found

    def _last(self, entry: "ModelEntry") -> Verdict | None:
        known = self._known.get(entry.path)
        return known[2] if known else None


def _with(machine: Machine, given_back: Mapping[str, int]) -> Machine:
    """No device has more than all of it."""
    found = machine.without({device: -num_bytes for device, num_bytes in given_back.items()})
    gpus = tuple(replace(gpu, free=min(gpu.free, gpu.total)) for gpu in found.gpus)
    return replace(found, ram_free=min(found.ram_free, found.ram_total), gpus=gpus)


def _is_same(one: Machine, other: Machine) -> bool:
    """But for a little of the free memory."""
    pairs = [(one.ram_free, other.ram_free)]
    pairs += [(a.free, b.free) for a, b in zip(one.gpus, other.gpus, strict=False)]
    return _but_free(one) == _but_free(other) and all(abs(a - b) <= SAME * max(a, b) for a, b in pairs)


def _but_free(machine: Machine) -> Machine:
    return replace(machine, ram_free=0, gpus=tuple(replace(gpu, free=0) for gpu in machine.gpus))
