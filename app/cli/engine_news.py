"""Says on stderr what becomes of the engines while nobody sees a window. Knows snapshots, starts and ends nothing."""

import threading
from collections.abc import Callable

from app.cli.terminal import warn
from app.inference.engine_handle import EngineSnapshot, EngineState
from app.library.entry import kind_of
from app.telemetry import Sample
from app.telemetry.finding import Kind


class EngineNews:
    """`hear` is a listener of the supervisor: one sentence for each death, failure and return; `hear_sample` one of the
    telemetry: one for each thing that is wrong with where or how a model runs, when it begins."""

    def __init__(self, say: Callable[[str], None] = warn):
        self._say = say
        self._known: dict[str, EngineSnapshot] = {}
        self._found: set[tuple[str, Kind]] = set()
        self._lock = threading.Lock()  # each engine tells from a thread of its own

    def hear(self, snapshot: EngineSnapshot) -> None:
        with self._lock:
            before, self._known[snapshot.name] = self._known.get(snapshot.name), snapshot
        if sentence := _news(before, snapshot):
            self._say(sentence)

    def hear_sample(self, sample: Sample) -> None:
        before = self._found
        self._found = {(finding.engine, finding.kind) for finding in sample.findings}
        for finding in sample.findings:
            if (finding.engine, finding.kind) not in before:
                self._say(finding.sentence)


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
