"""The self-test of the installed build, once for all applications and engines of a test session: each of them would
spend two seconds of the processor on it, in a child of its own, whenever its cache is new."""

import tempfile
from functools import cache
from pathlib import Path

from app.inference.preflight import Preflight


@cache
def _verdict() -> bytes:
    with tempfile.TemporaryDirectory(prefix="slipstream-tests-") as folder:
        Preflight(Path(folder), Path(folder)).verdict()
        return (Path(folder) / "selftest.json").read_bytes()


def tried(folder: Path) -> Path:
    """The folder, as the cache of an application that has tried its engine."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "selftest.json").write_bytes(_verdict())
    return folder
