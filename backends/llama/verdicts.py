"""What a sandbox said of grammars, remembered by their text: the good ones and the bad ones."""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

from backends.protocol import Grammar

MAX_VERDICTS, MAX_CHARACTERS = 256, 8 << 20
SECONDS = 60.0  # that a reason counts which the machine may be to blame for


@dataclass(frozen=True, slots=True)
class Verdict:
    """source: the grammar in llguidance's own format, when it can be used; reason: why not, when it cannot."""

    source: str = ""
    reason: str | None = None
    is_final: bool = True


class Verdicts:
    """Those asked for last. Thread-safe: the receiver asks for each request, the encoders add."""

    def __init__(self) -> None:
        self._verdicts: OrderedDict[Grammar, tuple[Verdict, float]] = OrderedDict()
        self._num_characters = 0
        self._lock = threading.Lock()

    def get(self, grammar: Grammar) -> Verdict | None:
        with self._lock:
            if (found := self._verdicts.get(grammar)) is None:
                return None
            verdict, since = found
            if not verdict.is_final and time.monotonic() - since > SECONDS:
                self._drop(grammar)
                return None
            self._verdicts.move_to_end(grammar)
            return verdict

    def add(self, grammar: Grammar, verdict: Verdict) -> None:
        with self._lock:
            if grammar in self._verdicts:
                self._drop(grammar)
            self._verdicts[grammar] = verdict, time.monotonic()
            self._num_characters += _size(grammar, verdict)
            while len(self._verdicts) > MAX_VERDICTS or self._num_characters > MAX_CHARACTERS:
                self._drop(next(iter(self._verdicts)))

    def _drop(self, grammar: Grammar) -> None:
        verdict, _ = self._verdicts.pop(grammar)
        self._num_characters -= _size(grammar, verdict)


def _size(grammar: Grammar, verdict: Verdict) -> int:
    return len(grammar.text) + len(verdict.source)
