"""What is remembered of builds: which one has proved itself, which ones have not, and what was offered. One small file.

What cannot be read counts as nothing: then a build is tried once more.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from app.whole_file import changing_file, replace_file
from backends.build_report import Canary
from backends.regular_file import read_regular

VERSION, MAX_BYTES, MAX_NAMES, MAX_SENTENCE = 1, 1 << 20, 100, 1000


@dataclass(frozen=True, slots=True)
class Proof:
    """key: the build's files and the driver, as they were."""

    name: str
    key: str
    canary: Canary


@dataclass(frozen=True, slots=True)
class State:
    """rejected: sentences by the key of what was tried. offered: by the name of the way, "no" or a failure."""

    proof: Proof | None = None
    rejected: dict[str, str] = field(default_factory=dict)
    offered: dict[str, str] = field(default_factory=dict)


def read(file: Path) -> State:
    try:
        document = json.loads(read_regular(file, MAX_BYTES))
        return State(_proof(document["proof"]), _sentences(document["rejected"]), _sentences(document["offered"]))
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return State()


def change(file: Path, changed: Callable[[State], State]) -> State:
    """Raises OSError when it cannot be kept."""
    with changing_file(file):
        state = changed(read(file))
        state = replace(state, rejected=_newest(state.rejected), offered=_newest(state.offered))
        replace_file(file, json.dumps({"version": VERSION, **asdict(state)}).encode())
    return state


def _newest(sentences: dict[str, str]) -> dict[str, str]:
    return dict(list(sentences.items())[-MAX_NAMES:])


def _proof(document: Any) -> Proof | None:
    if document is None:
        return None
    canary = document["canary"]
    speeds = [float(canary[name]) for name in ("prompt_per_second", "predicted_per_second")]
    tokens, logits = tuple(map(int, canary["tokens"])), tuple(map(float, canary["logits"]))
    found = Canary(str(canary["device"]), tokens, logits, speeds[0], speeds[1], int(canary["num_bytes"]))
    return Proof(str(document["name"]), str(document["key"]), found)


def _sentences(document: Any) -> dict[str, str]:
    pairs = list(document.items())[:MAX_NAMES]
    return {str(key)[:MAX_SENTENCE]: str(value)[:MAX_SENTENCE] for key, value in pairs}
