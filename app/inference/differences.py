"""Remembers how a load differed from its plan, for each model and build: the next plan is corrected by it."""

import json
import logging
import threading
from pathlib import Path
from typing import Any

from app.planner.corrections import MOST, NONE, Correction
from app.whole_file import replace_file
from backends.regular_file import read_regular

MAX_MODELS = 500
MAX_BYTES = 1 << 20
VERSION = 1

_log = logging.getLogger(__name__)


class Differences:
    """Thread-safe. What cannot be read or kept is as if it had never been."""

    def __init__(self, file: Path):
        self._file = file
        self._lock = threading.Lock()  # a plan asks while another load tells
        self._known: dict[str, dict[str, float]] | None = None

    def of(self, key: str) -> Correction:
        with self._lock:
            factors = self._read().get(key)
        return Correction(factors) if factors else NONE

    def keep(self, key: str, correction: Correction) -> None:
        with self._lock:
            known = self._read()
            known.pop(key, None)
            if correction.factors:
                known[key] = dict(correction.factors)
            while len(known) > MAX_MODELS:
                del known[next(iter(known))]
            try:
                replace_file(self._file, json.dumps({"version": VERSION, "models": known}).encode())
            except OSError as fault:
                _log.warning("%s could not be written: %s", self._file, fault)

    def _read(self) -> dict[str, dict[str, float]]:
        if self._known is None:
            try:
                document = json.loads(read_regular(self._file, MAX_BYTES))
                models = document["models"] if document["version"] == VERSION else {}
                self._known = {key: found for key, factors in models.items() if (found := _sound(factors))}
            except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
                self._known = {}
        return self._known


def _sound(factors: Any) -> dict[str, float] | None:
    """None unless all are numbers that a plan can be wrong by."""
    if not isinstance(factors, dict) or not factors:
        return None
    sound = all(isinstance(f, float) and 1 - MOST <= f <= 1 + MOST for f in factors.values())
    return {str(device): float(factor) for device, factor in factors.items()} if sound else None
