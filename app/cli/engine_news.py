"""Says on stderr what becomes of the engines while nobody sees a window. Knows snapshots, starts and ends nothing."""

import threading
import time
from collections.abc import Callable
from enum import Enum

from app.cli.terminal import warn
from app.inference.engine_handle import EngineSnapshot, EngineState
from app.library.entry import kind_of
from app.telemetry import Sample
from app.telemetry.finding import Kind
from backends.protocol import Stats

CALM = 10.0  # seconds that a trouble has to stay away until its end is told: programs come and go in bursts


class Trouble(Enum):
    """What the machine may lack, by what is said when it lacks it no longer."""

    PROCESSOR = "The processor is no longer busy with other programs."
    MEMORY = "The KV cache is no longer short of memory."


class EngineNews:
    """`hear` is a listener of the supervisor: one sentence for each death, failure and return, and when the machine's
    processor or memory begins to be in an engine's way, or is so no longer; `hear_sample` one of the telemetry: one for
    each thing that is wrong with where or how a model runs, when it begins."""

    def __init__(self, say: Callable[[str], None] = warn, clock: Callable[[], float] = time.monotonic):
        self._say = say
        self._clock = clock
        self._known: dict[str, EngineSnapshot] = {}
        self._troubles: dict[tuple[str, Trouble], float] = {}  # that are told, by when they were last seen
        self._found: set[tuple[str, Kind]] = set()
        self._lock = threading.Lock()  # each engine tells from a thread of its own

    def hear(self, snapshot: EngineSnapshot) -> None:
        with self._lock:
            before, self._known[snapshot.name] = self._known.get(snapshot.name), snapshot
            troubles = self._turns(snapshot)
        if sentence := _news(before, snapshot):
            self._say(sentence)
        for sentence in troubles:
            self._say(f"“{snapshot.name}”: {sentence}")

    def _turns(self, snapshot: EngineSnapshot) -> list[str]:
        """What has begun or ended with this account. The lock is held."""
        told, now = [], self._clock()
        for trouble in Trouble:
            key = snapshot.name, trouble
            if snapshot.stats is None:  # the engine has gone, and its troubles with it
                self._troubles.pop(key, None)
            elif sentence := _sentence(trouble, snapshot.stats):
                if key not in self._troubles:
                    told.append(sentence)
                self._troubles[key] = now
            elif now - self._troubles.get(key, now) >= CALM:
                del self._troubles[key]
                told.append(trouble.value)
        return told

    def hear_sample(self, sample: Sample) -> None:
        before = self._found
        self._found = {(finding.engine, finding.kind) for finding in sample.findings}
        for finding in sample.findings:
            if (finding.engine, finding.kind) not in before:
                self._say(finding.sentence)


def _sentence(trouble: Trouble, stats: Stats) -> str:
    """The one that the strip and `slipstream ps` have; empty while all is well."""
    return str(stats.cells) if trouble is Trouble.MEMORY else str(stats.processor or "")


def _news(before: EngineSnapshot | None, now: EngineSnapshot) -> str | None:
    has_died = now.crash is not None and (before is None or before.crash is not now.crash)
    has_failed = now.state is EngineState.FAILED and (before is None or before.state is not EngineState.FAILED)
    if has_failed:
        return f"“{now.name}” is not running any more. {now.error or ''} The next request for it loads it again."
    if has_died:
        return f"“{now.name}” is started again. {now.crash}"
    if now.state is EngineState.READY and before is not None and before.state is EngineState.LOADING:
        kind = kind_of(now.ready) if now.ready else ""
        return f"“{now.name}” is loaded. {kind}" if kind else f"“{now.name}” is loaded"
    return None
