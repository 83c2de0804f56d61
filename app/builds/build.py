"""A build of llama.cpp on this disk, and the record that lies beside its libraries. Knows no folder of builds."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backends.build_report import BuildDevice, BuildReport

INSTALLED = "installed"  # the name of the one that comes with llama-cpp-python
MAX_RECORD = 1 << 18  # bytes
MAX_TEXT = 4096
MAX_DEVICES = 64


@dataclass(frozen=True, slots=True)
class Build:
    """libraries: its folder, None for the installed one's. kind: "cuda", "vulkan" or "" where nobody has noted it.

    made_for: the GPU's name. made_at: ISO date. report: what it said of itself when it was made, None: not asked yet.
    """

    name: str
    libraries: Path | None = None
    kind: str = ""
    made_for: str = ""
    made_at: str = ""
    binding: str = ""
    report: BuildReport | None = None

    @property
    def is_installed(self) -> bool:
        return self.libraries is None


def record_of(build: Build) -> bytes:
    document = asdict(build)
    del document["libraries"]
    return json.dumps({"version": 1, "build": document}, indent=1).encode()


def build_from(record: bytes, name: str, libraries: Path) -> Build:
    """Raises ValueError for what is no record of ours."""
    try:
        document = json.loads(record)["build"]
        texts = {field: _text(document[field]) for field in ("kind", "made_for", "made_at", "binding")}
        return Build(name, libraries, report=_report(document["report"]), **texts)
    except (LookupError, TypeError, RecursionError) as fault:
        raise ValueError(str(fault)) from fault


def _report(document: Any) -> BuildReport | None:
    if document is None:
        return None
    devices = tuple(map(_device, document["devices"][:MAX_DEVICES]))
    problem = document["problem"]
    return BuildReport(
        _text(document["version"]),
        _text(document["binding"]),
        _text(document["system_info"]),
        bool(document["supports_gpu"]),
        devices,
        None if problem is None else _text(problem),
    )


def _device(document: Any) -> BuildDevice:
    free, total = int(document["free"]), int(document["total"])
    return BuildDevice(_text(document["name"]), _text(document["description"]), bool(document["is_gpu"]), free, total)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value[:MAX_TEXT]
